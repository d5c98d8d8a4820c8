"""Discord: an embed through a channel's webhook, edited as the group's state changes.

Written against https://discord.com/developers/docs: execute webhook, edit webhook message, embed limits, rate limits.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from yarl import URL

from tocsin.flow.model import ChannelFragment
from tocsin.notify import markdown as markup
from tocsin.notify import text as words
from tocsin.notify.calls import Vendor, failed_later, json_of
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.client import Answer
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.tools import Tools

TITLE_LIMIT = 256
DESCRIPTION_LIMIT = 4_096
FOOTER_LIMIT = 1_024
"""Of 2,048 that Discord allows: all texts of an embed together have at most 6,000 characters."""
FIELD_LIMIT = 600

Document = dict[str, Any]


class Discord:
    """`Sent.reference` is the message's id."""

    type = "discord"
    edits = True

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        url = secrets["discord.urlSecretRef"].strip()
        try:
            self._url = URL(url)
        except ValueError:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR, "the Secret holds no URL of a webhook", permanent=True
            ) from None
        self._vendor = Vendor(http=tools.http, secrets=(url, self._url.path))

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        document = self._content(words.addressed(message, recipient))
        if recipient.address.isdecimal():
            document["content"] = f"<@{recipient.address}>"
            document["allowed_mentions"] = {"parse": [], "users": [recipient.address]}
        return await self._show("POST", self._url.update_query(wait="true"), document)

    async def update(self, message: Message, reference: str) -> Sent:
        if not reference.isdecimal():
            raise DeliveryFailed(FailureReason.CLIENT_ERROR, "there is no message to edit", permanent=True)
        url = self._url.with_path(f"{self._url.path.rstrip('/')}/messages/{reference}").with_query(
            self._url.query
        )
        return await self._show("PATCH", url, self._content(message))

    async def _show(self, method: str, url: URL, document: Document) -> Sent:
        """Discord refuses a message whose image it does not like; people are then told without it."""
        answer = await self._vendor.post(str(url), document, method=method)
        embed = document["embeds"][0]
        if answer.status == 400 and "image" in embed:
            embed.pop("image")
            answer = await self._vendor.post(str(url), document, method=method)
        if not answer.ok:
            raise self._failure(str(url), answer)
        number = str(json_of(answer).get("id") or "")
        return Sent(reference=number, receipt=number)

    def _failure(self, url: str, answer: Answer) -> DeliveryFailed:
        found = json_of(answer)
        failed = self._vendor.failure(url, answer, str(found.get("message") or ""))
        return failed_later(failed, found.get("retry_after"))

    def _content(self, message: Message) -> Document:
        embed: Document = {
            "title": words.short(_title(message), TITLE_LIMIT),
            "description": _description(message),
            "color": words.colour(message),
            "footer": {
                "text": words.short(
                    " · ".join((*words.facts(message), *filter(None, [message.reason]))), FOOTER_LIMIT
                )
            },
        }
        if message.link:
            embed["url"] = message.link
        if message.image_url:
            embed["image"] = {"url": message.image_url}
        if message.started_at:
            embed["timestamp"] = datetime.fromtimestamp(message.started_at / 1_000_000, UTC).isoformat()
        if message.errors:
            failed = words.fit("\n".join(words.failures(message)), FIELD_LIMIT // 2)
            embed["fields"] = [{"name": "Not as its template says", "value": markup.plain(failed)}]
        return {"embeds": [embed], "allowed_mentions": {"parse": []}}


def _title(message: Message) -> str:
    """The whole title is the link, so links within it would mean nothing."""
    title = re.sub(r"\[([^\[\]]*)\]\([^()\s]*\)", r"\1", words.one_line(message.title))
    title = title if words.is_rendered(message) else markup.plain(title)
    return f"{words.name_of(message)} {title}".strip()


def _description(message: Message) -> str:
    given = message.text if words.is_rendered(message) else markup.plain(message.text)
    items = [
        f"{markup.link(link, name)} {markup.plain(title)}" for name, title, link in words.shown_items(message)
    ]
    left = words.items_left(message)
    if left:
        items.append(f"and {left} more")
    if message.source_link:
        items.append(markup.link(message.source_link, "Source"))
    tail = words.fit("\n".join(items), DESCRIPTION_LIMIT // 2, atoms=markup.ATOMS, size=words.utf16)
    room = DESCRIPTION_LIMIT - words.utf16(tail) - 10
    body = markup.balanced(words.fit(given, room, atoms=markup.ATOMS, size=words.utf16))
    return "\n".join(part for part in (body, tail) if part)
