"""Pushover: push messages to a person's devices."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tocsin.flow.groups import State
from tocsin.flow.model import ChannelFragment
from tocsin.notify import plain
from tocsin.notify.calls import Vendor, json_of
from tocsin.notify.channel import Channel, DeliveryFailed, FailureReason
from tocsin.notify.client import Answer
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.text import short
from tocsin.notify.tools import Tools

TITLE_LIMIT = 250
MESSAGE_LIMIT = 1024
URL_LIMIT = 512


class Pushover:
    type = "pushover"
    edits = False

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        assert fragment.target.pushover is not None
        self._url = fragment.target.pushover.api_url.rstrip("/") + "/1/messages.json"
        self._token = secrets["pushover.tokenSecretRef"]
        self._user = secrets.get("pushover.userSecretRef", "")
        self._vendor = Vendor(http=tools.http, secrets=tuple(filter(None, (self._token, self._user))))

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        user = recipient.address or self._user
        if not user:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                "no user key: set spec.pushover.userSecretRef, or an address on the contact",
                permanent=True,
            )
        answer = await self._vendor.post(self._url, {"token": self._token, "user": user} | _document(message))
        said = json_of(answer)
        if not answer.ok or said.get("status") != 1:
            raise self._failure(answer, said, user)
        return Sent(receipt=str(said.get("request", "")))

    async def update(self, message: Message, reference: str) -> Sent:
        return await self.send(message, Recipient())

    def _failure(self, answer: Answer, said: Mapping[str, Any], user: str) -> DeliveryFailed:
        """429 is the application's monthly quota; the header says when it begins anew."""
        errors = said.get("errors")
        detail = "; ".join(map(str, errors)) if isinstance(errors, list) else ""
        if answer.ok:
            return DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                self._vendor.clean(f"Pushover refused the message: {detail}"),
                permanent=True,
            )
        failure = self._vendor.failure(self._url, answer, detail.replace(user, "***"))
        reset = answer.headers.get("x-limit-app-reset", "")
        if failure.reason is FailureReason.RATE_LIMITED and failure.retry_after is None and reset.isdigit():
            failure.retry_after = max(float(reset) - time.time(), 1.0)
        return failure


def _document(message: Message) -> dict[str, Any]:
    firing = message.state is State.FIRING and message.kind in ("personal", "group")
    document: dict[str, Any] = {
        "title": short(plain.headline(message), TITLE_LIMIT),
        "message": plain.body(message, limit=MESSAGE_LIMIT, link=False) or "Alert",
        "priority": 1 if firing else 0,
    }
    if message.link and len(message.link) <= URL_LIMIT:
        document |= {"url": message.link, "url_title": "Alert group"}
    if message.started_at:
        document["timestamp"] = message.started_at // 1_000_000
    return document


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    return Pushover(fragment, secrets, tools)
