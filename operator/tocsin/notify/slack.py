"""Slack: one message per group that follows its state, people told in its thread, buttons that act.

Written against https://docs.slack.dev: chat.postMessage, chat.update, Block Kit, rate limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.flow.model import ChannelFragment
from tocsin.notify import slack_text as markup
from tocsin.notify import text as words
from tocsin.notify.buttons import SILENCE, SILENCES, Button, Buttons
from tocsin.notify.calls import Vendor, json_of, retry_after
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.slack_failures import Unshowable, refused
from tocsin.notify.tools import Tools

BLOCK_LIMIT = 3_000
TITLE_LIMIT = 1_000
FALLBACK_LIMIT = 3_000

Document = dict[str, Any]


class Slack:
    """`Sent.reference` is `<channel id>/<ts>`."""

    type = "slack"
    edits = True

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        target = fragment.target.slack
        assert target is not None, "the factory chooses by what is set"
        token = secrets["slack.tokenSecretRef"]
        self._api = target.api_url.rstrip("/")
        self._channel = target.channel
        self._vendor = Vendor(http=tools.http, secrets=(token,))
        self._headers = {"Authorization": f"Bearer {token}"}
        self._buttons = Buttons(fragment, tools, answered=target.signing_secret_ref is not None)

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        channel, _, thread = message.thread.partition("/")
        if thread:
            place = {"channel": channel, "thread_ts": thread, "reply_broadcast": message.kind == "group"}
            return await self._call("chat.postMessage", self._reply(message, recipient) | place, message)
        channel = recipient.address or self._channel
        if not channel:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                "neither the NotificationChannel (spec.slack.channel) nor the contact (address) names a place in Slack",
                permanent=True,
            )
        return await self._show("chat.postMessage", words.addressed(message, recipient), {"channel": channel})

    async def update(self, message: Message, reference: str) -> Sent:
        channel, _, ts = reference.partition("/")
        return await self._show("chat.update", message, {"channel": channel, "ts": ts})

    async def _show(self, method: str, message: Message, place: Document) -> Sent:
        """Slack refuses a message whose image it cannot fetch; people are then told without it."""
        try:
            return await self._call(method, self._content(message, image=True) | place, message)
        except Unshowable:
            return await self._call(method, self._content(message, image=False) | place, message)

    async def _call(self, method: str, document: Document, message: Message) -> Sent:
        url = f"{self._api}/{method}"
        metadata = {"event_type": "tocsin", "event_payload": {"key": message.key}}
        options = {"unfurl_links": False, "unfurl_media": False} if method == "chat.postMessage" else {}
        sent = {**document, **options, "metadata": metadata}
        answer = await self._vendor.post(url, sent, headers=self._headers)
        if not answer.ok:
            raise self._vendor.failure(url, answer)
        found = json_of(answer)
        if found.get("ok") is not True:
            raise refused(self._vendor.clean(str(found.get("error") or "no JSON")), retry_after(answer))
        channel, ts = str(found.get("channel") or document["channel"]), str(found.get("ts") or "")
        return Sent(reference=f"{channel}/{ts}", receipt=ts)

    def _content(self, message: Message, *, image: bool) -> Document:
        title = _title(message)
        body = [_section(text) for text in _texts(message) if text]
        if image and message.image_url:
            body.append({"type": "image", "image_url": message.image_url, "alt_text": "image of the alert"})
        elif message.image_url:
            body.append(_context([markup.link(message.image_url, "image (Slack could not show it)")]))
        body.append(
            _context([markup.plain(fact) for fact in (*words.facts(message), message.reason) if fact])
        )
        if actions := self._actions(message):
            body.append({"type": "actions", "elements": actions})
        return {
            "text": _fallback(message),
            "blocks": [_section(title)],
            "attachments": [
                {
                    "color": f"#{words.colour(message):06x}",
                    "fallback": _fallback(message),
                    "blocks": [block for block in body if block],
                }
            ],
        }

    def _reply(self, message: Message, recipient: Recipient) -> Document:
        """A line in the group's thread: the message above has everything else. The channel itself sees it too if a step of
        an escalation tells the channel again.
        """
        who = markup.mention(recipient.address, recipient.name) if recipient.address or recipient.name else ""
        facts = markup.plain(
            " · ".join(fact for fact in (message.reason, words.state_words(message)) if fact)
        )
        text = words.fit(f"{who} {_title(message)}\n{facts}".strip(), BLOCK_LIMIT, atoms=markup.ATOMS)
        blocks: list[Document] = [_section(text)]
        if actions := [self._button(button, message) for button in self._confirmation(message)]:
            blocks.append({"type": "actions", "elements": actions})
        return {"text": text, "blocks": blocks}

    def _confirmation(self, message: Message) -> tuple[Button, ...]:
        return self._buttons.of(message) if message.kind == "reminder" else ()

    def _actions(self, message: Message) -> list[Document]:
        elements = [self._button(button, message) for button in self._buttons.of(message)]
        for action, label, url in (
            ("open", "Open", message.link),
            ("source", "Source", message.source_link),
        ):
            if url and len(url) <= BLOCK_LIMIT:
                elements.append({"type": "button", "action_id": action, "text": _label(label), "url": url})
        return elements

    def _button(self, button: Button, message: Message) -> Document:
        value = self._buttons.value(message)
        if button.action == SILENCE:
            return {
                "type": "static_select",
                "action_id": SILENCE,
                "placeholder": _label(button.label),
                "options": [
                    {"text": _label(name), "value": f"{seconds}.{value}"} for name, seconds in SILENCES
                ],
            }
        weight = {"style": button.weight} if button.weight else {}
        return {
            "type": "button",
            "action_id": button.action,
            "text": _label(button.label),
            "value": value,
            **weight,
        }


def _title(message: Message) -> str:
    """Number (with the link) and title; the link survives any cut."""
    given = words.one_line(message.title)
    title = markup.rendered(given) if words.is_rendered(message) else markup.plain(given)
    number = markup.link(message.link, words.name_of(message) or "Open") if message.link else ""
    number = number or markup.plain(words.name_of(message))
    return f"{number} {words.fit(title, TITLE_LIMIT, atoms=markup.ATOMS)}".strip()


def _texts(message: Message) -> tuple[str, ...]:
    """The sections below the title, each within Slack's limit."""
    given = markup.rendered(message.text) if words.is_rendered(message) else markup.plain(message.text)
    body = markup.balanced(words.fit(given, BLOCK_LIMIT - 4, atoms=markup.ATOMS))
    failed = markup.plain("\n".join(words.failures(message)))
    items = [
        f"{markup.link(link, name)} {markup.plain(title)}" for name, title, link in words.shown_items(message)
    ]
    left = words.items_left(message)
    if left:
        items.append(f"and {left} more")
    return (
        body,
        words.fit(failed, BLOCK_LIMIT, atoms=markup.ATOMS),
        words.fit("\n".join(items), BLOCK_LIMIT, atoms=markup.ATOMS),
    )


def _fallback(message: Message) -> str:
    """For notifications and screen readers."""
    state = words.state_words(message)
    return words.fit(
        f"{_title(message)}{' · ' if state else ''}{markup.plain(state)}", FALLBACK_LIMIT, atoms=markup.ATOMS
    )


def _section(text: str) -> Document:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _context(texts: list[str]) -> Document:
    if not texts:
        return {}
    joined = words.fit(" · ".join(texts), BLOCK_LIMIT, atoms=markup.ATOMS)
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": joined, "verbatim": True}]}


def _label(text: str) -> Document:
    return {"type": "plain_text", "text": text}
