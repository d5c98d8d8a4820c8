"""PagerDuty by its Events API v2: one incident per alert group, acknowledged and resolved with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tocsin.flow.groups import State
from tocsin.flow.model import ChannelFragment
from tocsin.notify import plain
from tocsin.notify.calls import Vendor, json_of
from tocsin.notify.channel import Channel
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.text import short
from tocsin.notify.tools import Tools

SUMMARY_LIMIT = 1024
_DETAIL_LIMIT = 20_000
"""Characters; an event may have 512 KiB."""
_DEDUP_LIMIT = 255
_ACTIONS = {State.ACKNOWLEDGED: "acknowledge", State.RESOLVED: "resolve"}
_SEVERITIES = {
    "critical": "critical",
    "page": "critical",
    "error": "error",
    "high": "error",
    "warning": "warning",
    "info": "info",
}


class PagerDuty:
    type = "pagerduty"
    edits = True

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        assert fragment.target.pagerduty is not None
        self._url = fragment.target.pagerduty.url.rstrip("/") + "/v2/enqueue"
        self._key = secrets["pagerduty.routingKeySecretRef"]
        self._vendor = Vendor(http=tools.http, secrets=(self._key,))

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        return await self._enqueue(message, _dedup_key(message))

    async def update(self, message: Message, reference: str) -> Sent:
        return await self._enqueue(message, reference)

    async def _enqueue(self, message: Message, dedup_key: str) -> Sent:
        answer = await self._vendor.post(self._url, self._event(message, dedup_key))
        if not answer.ok:
            said = json_of(answer)
            problems = said.get("errors")
            detail = "; ".join(map(str, problems)) if isinstance(problems, list) else ""
            raise self._vendor.failure(self._url, answer, detail or str(said.get("message", "")))
        return Sent(reference=dedup_key, receipt=dedup_key)

    def _event(self, message: Message, dedup_key: str) -> dict[str, Any]:
        action = _ACTIONS.get(message.state, "trigger") if message.number else "trigger"
        event: dict[str, Any] = {"routing_key": self._key, "event_action": action, "dedup_key": dedup_key}
        if action != "trigger":
            return event
        labels = dict(message.labels)
        payload = {
            "summary": short(plain.headline(message), SUMMARY_LIMIT) or "Alert",
            "source": message.integration or "tocsin",
            "severity": _SEVERITIES.get(labels.get("severity", "").lower(), "critical"),
            "custom_details": {
                "text": plain.body(message, limit=_DETAIL_LIMIT, link=False),
                "labels": labels,
            },
        }
        if message.started_at:
            payload["timestamp"] = datetime.fromtimestamp(message.started_at / 1_000_000, UTC).isoformat()
        event |= {"payload": payload, "client": "Tocsin"}
        links = ((message.link, "Alert group"), (message.source_link, "Source"))
        event["links"] = [{"href": href, "text": text} for href, text in links if href]
        if message.link:
            event["client_url"] = message.link
        if message.image_url.startswith("https://"):
            event["images"] = [{"src": message.image_url}]
        return event


def _dedup_key(message: Message) -> str:
    """The same for all that is said of one group, so that PagerDuty has one incident for it."""
    return (f"tocsin/{message.public_id}" if message.public_id else message.key)[:_DEDUP_LIMIT]


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    return PagerDuty(fragment, secrets, tools)
