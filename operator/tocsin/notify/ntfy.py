"""ntfy: push messages by topic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tocsin.flow.groups import State
from tocsin.flow.model import ChannelFragment
from tocsin.notify import plain
from tocsin.notify.calls import Vendor, json_of
from tocsin.notify.channel import Channel, DeliveryFailed, FailureReason
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.text import fit, short
from tocsin.notify.tools import Tools

MESSAGE_LIMIT = 4096
"""Bytes; longer ones become attachments, which nobody reads at night."""
_TITLE_LIMIT = 250
_TAGS = {
    State.FIRING: "rotating_light",
    State.ACKNOWLEDGED: "eyes",
    State.SILENCED: "mute",
    State.RESOLVED: "white_check_mark",
}


class Ntfy:
    type = "ntfy"
    edits = False

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        assert fragment.target.ntfy is not None
        self._url = fragment.target.ntfy.server_url.rstrip("/") + "/"
        self._topic = fragment.target.ntfy.topic
        token = secrets.get("ntfy.tokenSecretRef", "")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._vendor = Vendor(http=tools.http, secrets=(token,) if token else ())

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        topic = recipient.address or self._topic
        if not topic:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                "no topic: set spec.ntfy.topic, or an address on the contact",
                permanent=True,
            )
        answer = await self._vendor.post(self._url, _document(message, topic), headers=self._headers)
        said = json_of(answer)
        if not answer.ok:
            raise self._vendor.failure(self._url, answer, str(said.get("error", "")))
        return Sent(receipt=str(said.get("id", "")))

    async def update(self, message: Message, reference: str) -> Sent:
        return await self.send(message, Recipient())


def _document(message: Message, topic: str) -> dict[str, Any]:
    firing = message.state is State.FIRING
    text = plain.body(message, limit=MESSAGE_LIMIT // 2, link=False) or message.integration or message.title
    document: dict[str, Any] = {
        "topic": topic,
        "title": short(plain.headline(message), _TITLE_LIMIT),
        "message": fit(text, MESSAGE_LIMIT, size=lambda part: len(part.encode())),
        "priority": 5 if firing and message.kind in ("personal", "group") else 3,
        "tags": [_TAGS[message.state]] if message.number else [],
    }
    if message.link or message.source_link:
        document["click"] = message.link or message.source_link
    return document


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    return Ntfy(fragment, secrets, tools)
