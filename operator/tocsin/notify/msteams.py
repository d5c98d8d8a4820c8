"""Microsoft Teams: an Adaptive Card to a workflow ("when a Teams webhook request is received"). No edits.

Written against https://learn.microsoft.com: Workflows webhooks, Adaptive Cards 1.4, at most 28 KB a message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.flow.groups import State
from tocsin.flow.model import ChannelFragment
from tocsin.notify import text as words
from tocsin.notify.calls import Vendor, encoded
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.markdown import ATOMS, balanced
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.tools import Tools

SIZE_LIMIT = 28 * 1024
_ROOM = 1_024
"""Of the limit, for what a workflow adds."""
_TITLE_LIMIT = 1_000
_FAILURES_LIMIT = 4_000
_ITEM_LIMIT = 200
_URL_LIMIT = 2_000
"""In bytes, so that everything but the text takes a part of the limit that is known."""
_COLOURS = {
    State.FIRING: "attention",
    State.ACKNOWLEDGED: "warning",
    State.SILENCED: "default",
    State.RESOLVED: "good",
}

Document = dict[str, Any]


class MSTeams:
    type = "msteams"
    edits = False

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        self._url = secrets["msteams.urlSecretRef"].strip()
        self._vendor = Vendor(http=tools.http, secrets=(self._url,))

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        answer = await self._vendor.post(self._url, envelope(words.addressed(message, recipient), recipient))
        if not answer.ok:
            raise self._vendor.failure(self._url, answer)
        said = answer.body.decode("utf-8", "replace")
        if "delivery failed" in said.lower():  # the older connectors say so with 200
            limited = "429" in said
            raise DeliveryFailed(
                FailureReason.RATE_LIMITED if limited else FailureReason.SERVER_ERROR,
                "Teams took the message and could not deliver it",
            )
        return Sent(receipt=answer.headers.get("x-ms-workflow-run-id", ""))

    async def update(self, message: Message, reference: str) -> Sent:
        raise DeliveryFailed(FailureReason.CLIENT_ERROR, "messages in Teams cannot be edited", permanent=True)


def envelope(message: Message, recipient: Recipient) -> Document:
    """The whole body, within the size limit: the text gets what the rest leaves."""
    room = SIZE_LIMIT - _ROOM - len(encoded(_envelope(message, recipient, "")))
    return _envelope(message, recipient, balanced(words.fit(message.text, room, atoms=ATOMS, size=_size)))


def _size(text: str) -> int:
    """Bytes that a text has within JSON."""
    return len(encoded(text)) - 2


def _envelope(message: Message, recipient: Recipient, text: str) -> Document:
    card: Document = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [part for part in _body(message, recipient, text) if part],
        "actions": [
            {"type": "Action.OpenUrl", "title": title, "url": url}
            for title, url in (("Open", message.link), ("Source", message.source_link))
            if url and len(url) <= _URL_LIMIT
        ],
        "msteams": {"width": "Full"},
    }
    if recipient.address:
        mentioned = {"id": recipient.address, "name": recipient.name or recipient.address}
        mention = f"<at>{mentioned['name']}</at>"
        card["msteams"]["entities"] = [{"type": "mention", "text": mention, "mentioned": mentioned}]
    attachment = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [attachment]}


def _body(message: Message, recipient: Recipient, text: str) -> list[Document]:
    """Rendered texts are Markdown in a TextBlock; all others are runs of text, in which nothing is markup."""
    markup = _markdown if words.is_rendered(message) else _plain
    heading: Document = {"weight": "bolder", "size": "medium", "color": _colour(message)}
    facts = " · ".join((*words.facts(message), *filter(None, [message.reason])))
    left = words.items_left(message)
    return [
        _markdown(f"<at>{recipient.name or recipient.address}</at>") if recipient.address else {},
        _plain(words.name_of(message), **heading),
        markup(words.fit(words.one_line(message.title), _TITLE_LIMIT, atoms=ATOMS, size=_size), **heading),
        _plain(words.short(facts, _TITLE_LIMIT, _size), isSubtle=True),
        markup(text),
        _plain(words.fit("\n".join(words.failures(message)), _FAILURES_LIMIT, size=_size)),
        *(_item(*item) for item in words.shown_items(message)),
        _plain(f"and {left} more" if left else ""),
        {"type": "Image", "url": message.image_url, "altText": "image of the alert"}
        if message.image_url and len(message.image_url) <= _URL_LIMIT
        else {},
    ]


def _item(name: str, title: str, link: str) -> Document:
    opened = {"selectAction": {"type": "Action.OpenUrl", "url": link}} if link and len(link) <= 300 else {}
    runs: list[Document] = [
        {"type": "TextRun", "text": f"{name} ", **opened},
        {"type": "TextRun", "text": words.short(title, _ITEM_LIMIT, _size)},
    ]
    return {"type": "RichTextBlock", "inlines": runs}


def _markdown(text: str, **style: Any) -> Document:
    return {"type": "TextBlock", "text": text, "wrap": True, **style} if text else {}


def _plain(text: str, **style: Any) -> Document:
    run: Document = {"type": "TextRun", "text": text, **style}
    return {"type": "RichTextBlock", "inlines": [run]} if text else {}


def _colour(message: Message) -> str:
    return _COLOURS[message.state] if message.number else "accent"
