"""Any HTTP endpoint: a JSON document of a documented form, signed if there is a secret (docs/channels.md)."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Any

from tocsin.flow.model import ChannelFragment, Micros
from tocsin.flow.zones import exact_time
from tocsin.notify.calls import Vendor, encoded
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.text import fit
from tocsin.notify.tools import Tools

VERSION = "v1"
TEXT_LIMIT = 100_000

Document = dict[str, Any]


class Webhook:
    """Told again at every message; it has nothing to edit."""

    type = "webhook"
    edits = False

    def __init__(
        self,
        fragment: ChannelFragment,
        secrets: Mapping[str, str],
        tools: Tools,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        target = fragment.target.webhook
        assert target is not None, "the factory chooses by what is set"
        self._url = secrets.get("webhook.urlSecretRef", "").strip() or target.url or ""
        bearer = secrets.get("webhook.bearerSecretRef", "").strip()
        self._secret = secrets.get("webhook.hmacSecretRef", "").encode()
        self._headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        hidden = (bearer, secrets.get("webhook.urlSecretRef", "").strip())
        self._vendor = Vendor(http=tools.http, secrets=tuple(filter(None, hidden)))
        self._clock = clock

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        body = encoded(document_of(message, recipient))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Idempotency-Key": message.key,
            "X-Tocsin-Event": message.kind,
            **self._headers,
        }
        if self._secret:
            headers["X-Tocsin-Signature"] = signature(self._secret, body, int(self._clock()))
        answer = await self._vendor.send("POST", self._url, body, headers=headers)
        if not answer.ok:
            raise self._vendor.failure(self._url, answer)
        return Sent(receipt=self._vendor.clean(answer.headers.get("x-request-id", "")))

    async def update(self, message: Message, reference: str) -> Sent:
        raise DeliveryFailed(FailureReason.CLIENT_ERROR, "a webhook has nothing to edit", permanent=True)


def signature(secret: bytes, body: bytes, at: int) -> str:
    """`t=<seconds>,v1=<hexadecimal HMAC-SHA256 of "<seconds>.<body>">`."""
    digest = hmac.new(secret, f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def document_of(message: Message, recipient: Recipient) -> Document:
    """Version v1. Members are only ever added; times are RFC 3339 in UTC, null where there is none."""
    document: Document = {
        "version": VERSION,
        "kind": message.kind,
        "idempotencyKey": message.key,
        "title": message.title,
        "text": fit(message.text, TEXT_LIMIT),
        "imageUrl": message.image_url,
        "link": message.link,
        "reason": message.reason,
        "recipient": {"address": recipient.address, "name": recipient.name},
        "templateErrors": list(message.errors),
        "alertGroup": None,
    }
    if message.number:
        document["alertGroup"] = {
            "id": message.public_id,
            "number": message.number,
            "state": message.state.value,
            "integration": message.integration,
            "team": message.team,
            "labels": dict(message.labels),
            "alertsCount": message.alerts_count,
            "startedAt": _moment(message.started_at or None),
            "acknowledgedBy": message.acknowledged_by,
            "resolvedBy": message.resolved_by,
            "silencedUntil": _moment(message.silenced_until),
            "sourceLink": message.source_link,
        }
    if message.kind == "bundle":
        document["total"] = message.total
        document["items"] = [
            {"number": item.number, "title": item.title, "link": item.link} for item in message.items
        ]
    return document


def _moment(at: int | Micros | None) -> str | None:
    return None if at is None else exact_time(at)
