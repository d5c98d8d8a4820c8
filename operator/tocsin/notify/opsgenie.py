"""Opsgenie (and Jira Service Management's copy of its API): one alert per alert group, closed with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tocsin.flow.groups import State
from tocsin.flow.model import ChannelFragment
from tocsin.notify import plain
from tocsin.notify.calls import Vendor, json_of
from tocsin.notify.channel import Channel
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.text import short
from tocsin.notify.tools import Tools

MESSAGE_LIMIT = 130
DESCRIPTION_LIMIT = 15_000
_ALIAS_LIMIT = 512
_TAG_LIMIT = 50
_TAGS = 20
_DETAILS_LIMIT = 8_000
"""Characters that keys and values of `details` may have together."""
_PRIORITIES = {"critical": "P1", "page": "P1", "error": "P2", "high": "P2", "warning": "P3", "info": "P5"}
_ACTIONS = {State.ACKNOWLEDGED: "acknowledge", State.RESOLVED: "close"}


class Opsgenie:
    type = "opsgenie"
    edits = True

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        assert fragment.target.opsgenie is not None
        self._url = fragment.target.opsgenie.url.rstrip("/") + "/v2/alerts"
        key = secrets["opsgenie.apiKeySecretRef"]
        self._headers = {"Authorization": f"GenieKey {key}"}
        self._vendor = Vendor(http=tools.http, secrets=(key,))

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        alias = (f"tocsin/{message.public_id}" if message.public_id else message.key)[:_ALIAS_LIMIT]
        document = _alert(message, alias)
        if recipient.address:
            document["responders"] = [{"type": "user", "username": recipient.address}]
        return await self._call(self._url, document, alias)

    async def update(self, message: Message, reference: str) -> Sent:
        """Acknowledges or closes; a group that fires again is acknowledged no more, or a new alert if it was closed."""
        action = _ACTIONS.get(message.state)
        if action is None:
            await self._act("unacknowledge", reference)
            return await self._call(self._url, _alert(message, reference), reference)
        return await self._act(action, reference)

    async def _act(self, action: str, alias: str) -> Sent:
        url = f"{self._url}/{quote(alias, safe='')}/{action}?identifierType=alias"
        return await self._call(url, {"source": "Tocsin"}, alias)

    async def _call(self, url: str, document: dict[str, Any], alias: str) -> Sent:
        answer = await self._vendor.post(url, document, headers=self._headers)
        said = json_of(answer)
        if not answer.ok:
            raise self._vendor.failure(url, answer, str(said.get("message", "")))
        return Sent(reference=alias, receipt=str(said.get("requestId", "")))


def _alert(message: Message, alias: str) -> dict[str, Any]:
    labels = dict(message.labels)
    return {
        "message": short(plain.headline(message), MESSAGE_LIMIT) or "Alert",
        "alias": alias,
        "description": plain.body(message, limit=DESCRIPTION_LIMIT),
        "source": short(message.integration or "tocsin", 100),
        "entity": short(message.integration, 512),
        "priority": _PRIORITIES.get(labels.get("severity", "").lower(), "P3"),
        "tags": [short(f"{key}:{value}", _TAG_LIMIT) for key, value in message.labels[:_TAGS]],
        "details": _details(message),
    }


def _details(message: Message) -> dict[str, str]:
    kept: dict[str, str] = {}
    size = 0
    links = (("alert group", message.link), ("source", message.source_link))
    for key, value in (*links, *message.labels):
        size += len(key) + len(value)
        if value and size <= _DETAILS_LIMIT:
            kept[key] = value
    return kept


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    return Opsgenie(fragment, secrets, tools)
