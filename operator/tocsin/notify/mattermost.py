"""Mattermost: as Slack, through a bot account of one server.

Written against https://developers.mattermost.com: the REST API (posts, users, channels) and interactive messages.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tocsin.flow.model import ChannelFragment
from tocsin.notify import markdown as markup
from tocsin.notify import text as words
from tocsin.notify.buttons import SHORT_SILENCES, SILENCE, Buttons
from tocsin.notify.calls import Vendor, failed_later, json_of
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.client import Answer
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.tools import Tools

TEXT_LIMIT = 8_000
TITLE_LIMIT = 1_000
_ID = re.compile(r"[a-z0-9]{26}")
_STYLES = {"primary": "primary", "danger": "danger", "": "default"}

Document = dict[str, Any]


class Mattermost:
    """`Sent.reference` is `<channel id>/<post id>`."""

    type = "mattermost"
    edits = True

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        target = fragment.target.mattermost
        assert target is not None, "the factory chooses by what is set"
        token = secrets["mattermost.tokenSecretRef"]
        self._api = f"{target.server_url.rstrip('/')}/api/v4"
        self._channel = target.channel_id
        self._vendor = Vendor(http=tools.http, secrets=(token,))
        self._headers = {"Authorization": f"Bearer {token}"}
        self._answers = f"{tools.console_url}/chat/mattermost/{fragment.namespace}/{fragment.name}"
        self._buttons = Buttons(fragment, tools, answered=bool(tools.console_url))
        self._own_id = ""

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        channel, _, root = message.thread.partition("/")
        if root:
            reply = await self._reply(message, recipient)
            return await self._post("POST", "/posts", reply | {"channel_id": channel, "root_id": root})
        if recipient.address:
            channel = await self._direct(recipient.address)
        else:
            channel = self._channel
        if not channel:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                "neither the NotificationChannel (spec.mattermost.channelId) nor the contact (address) names a place",
                permanent=True,
            )
        content = self._content(words.addressed(message, recipient))
        return await self._post("POST", "/posts", content | {"channel_id": channel})

    async def update(self, message: Message, reference: str) -> Sent:
        post = reference.partition("/")[2]
        return await self._post("PUT", f"/posts/{post}/patch", self._content(message))

    async def _post(self, method: str, path: str, document: Document) -> Sent:
        post = await self._call(method, path, document)
        number = str(post.get("id") or "")
        return Sent(
            reference=f"{post.get('channel_id') or document.get('channel_id')}/{number}", receipt=number
        )

    async def _call(self, method: str, path: str, document: object = None) -> Document:
        url = self._api + path
        if document is None:
            answer = await self._vendor.send(method, url, None, headers=self._headers)
        else:
            answer = await self._vendor.post(url, document, headers=self._headers, method=method)
        if not answer.ok:
            raise self._failure(url, answer)
        return json_of(answer)

    def _failure(self, url: str, answer: Answer) -> DeliveryFailed:
        """Mattermost says when its rate limit ends in a header of its own."""
        failed = self._vendor.failure(url, answer, str(json_of(answer).get("message") or ""))
        return failed_later(failed, answer.headers.get("x-ratelimit-reset", ""))

    async def _direct(self, user: str) -> str:
        """The channel in which the bot and this person talk."""
        if not _ID.fullmatch(user):
            user = str(
                (await self._call("GET", f"/users/username/{_path(user.lstrip('@'))}")).get("id") or ""
            )
        if not self._own_id:
            self._own_id = str((await self._call("GET", "/users/me")).get("id") or "")
        found = await self._call("POST", "/channels/direct", [self._own_id, user])
        return str(found.get("id") or "")

    async def _username(self, recipient: Recipient) -> str:
        """How a text mentions this person."""
        if not _ID.fullmatch(recipient.address):
            return recipient.address.lstrip("@")
        return str((await self._call("GET", f"/users/{recipient.address}")).get("username") or "")

    def _content(self, message: Message) -> Document:
        attachment: Document = {
            "fallback": _fallback(message),
            "color": f"#{words.colour(message):06x}",
            "text": _text(message),
            "footer": words.short(" · ".join((*words.facts(message), *filter(None, [message.reason]))), 300),
        }
        if message.image_url:
            attachment["image_url"] = message.image_url
        if actions := self._actions(message):
            attachment["actions"] = actions
        return {"message": _title(message), "props": {"attachments": [attachment], "tocsin_key": message.key}}

    async def _reply(self, message: Message, recipient: Recipient) -> Document:
        username = await self._username(recipient) if recipient.address else ""
        who = f"@{username}" if re.fullmatch(r"[a-z0-9._-]+", username) else markup.plain(recipient.name)
        facts = " · ".join(fact for fact in (message.reason, words.state_words(message)) if fact)
        document: Document = {"message": f"{who} {_title(message)}\n{markup.plain(facts)}".strip()}
        props: Document = {"tocsin_key": message.key}
        if message.kind == "reminder" and (actions := self._actions(message)):
            props["attachments"] = [{"text": "", "actions": actions}]
        return document | {"props": props}

    def _actions(self, message: Message) -> list[Document]:
        actions = []
        for button in self._buttons.of(message):
            choices: list[tuple[str, int | None]] = [(button.label, None)]
            if button.action == SILENCE:
                choices = [(f"Silence {name}", seconds) for name, seconds in SHORT_SILENCES]
            for label, seconds in choices:
                context = {"action": button.action, "value": self._buttons.value(message), "seconds": seconds}
                actions.append(
                    {
                        "id": f"{button.action}{seconds if seconds is not None else ''}",
                        "name": label,
                        "type": "button",
                        "style": _STYLES[button.weight],
                        "integration": {"url": self._answers, "context": context},
                    }
                )
        return actions


def _title(message: Message) -> str:
    given = words.one_line(message.title)
    title = markup.rendered(given) if words.is_rendered(message) else markup.plain(given)
    name = words.name_of(message)
    number = markup.link(message.link, name or "Open") if message.link or name else ""
    return f"**{number}** {words.fit(title, TITLE_LIMIT, atoms=markup.ATOMS)}".strip() if number else title


def _text(message: Message) -> str:
    given = markup.rendered(message.text) if words.is_rendered(message) else markup.plain(message.text)
    items = [
        f"- {markup.link(link, name)} {markup.plain(title)}"
        for name, title, link in words.shown_items(message)
    ]
    left = words.items_left(message)
    links = [markup.link(message.source_link, "Source")] if message.source_link else []
    return "\n".join(
        part
        for part in (
            markup.balanced(words.fit(given, TEXT_LIMIT, atoms=markup.ATOMS)),
            *(markup.plain(line) for line in words.failures(message)),
            *items,
            f"and {left} more" if left else "",
            *links,
        )
        if part
    )


def _fallback(message: Message) -> str:
    return words.short(f"{words.name_of(message)} {message.title} {words.state_words(message)}", 500)


def _path(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "", name)
