"""Another Alertmanager: groups become alerts of its API, as a Prometheus would send them, to every one of its peers."""

from __future__ import annotations

import asyncio
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from tocsin.flow.groups import State
from tocsin.flow.model import ChannelFragment, Micros
from tocsin.notify import plain
from tocsin.notify.calls import Vendor
from tocsin.notify.channel import Channel, DeliveryFailed
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.tools import Tools

LASTS = 7 * 86_400_000_000
"""How long an alert lasts in Alertmanager without being sent again: it resolves what is silent, and Tocsin only sends
when something changes.
"""

_ODD = re.compile(r"[^a-zA-Z0-9_]")
_TEXT_LIMIT = 20_000


class Alertmanager:
    """`edits`: a later send of the same labels changes the alert."""

    type = "alertmanager"
    edits = True

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        target = fragment.target.alertmanager
        assert target is not None
        self._urls = tuple(url.rstrip("/") + "/api/v2/alerts" for url in target.urls)
        self._headers: dict[str, str] = {}
        password, bearer = (
            secrets.get("alertmanager.passwordSecretRef"),
            secrets.get("alertmanager.bearerSecretRef"),
        )
        if bearer:
            self._headers["Authorization"] = f"Bearer {bearer}"
        elif target.username:
            credentials = f"{target.username}:{password or ''}"
            self._headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
        self._vendor = Vendor(http=tools.http, secrets=tuple(filter(None, (password, bearer))))

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        alert = _alert(message, Micros(time.time_ns() // 1000))
        told = await asyncio.gather(*(self._post(url, alert) for url in self._urls), return_exceptions=True)
        failures = [result for result in told if isinstance(result, BaseException)]
        if len(failures) == len(told):  # peers tell each other, so one that took it is enough
            raise next((error for error in failures if not _is_permanent(error)), failures[0])
        return Sent(reference=message.public_id or message.key)

    async def update(self, message: Message, reference: str) -> Sent:
        return await self.send(message, Recipient())

    async def _post(self, url: str, alert: dict[str, Any]) -> None:
        answer = await self._vendor.post(url, [alert], headers=self._headers)
        if not answer.ok:
            raise self._vendor.failure(url, answer, answer.body.decode("utf-8", "replace"))


def _is_permanent(error: BaseException) -> bool:
    return isinstance(error, DeliveryFailed) and error.permanent


def _alert(message: Message, now: Micros) -> dict[str, Any]:
    resolved = message.state is State.RESOLVED
    labels = {_label(key): value for key, value in message.labels}
    labels.setdefault("alertname", message.integration or "Tocsin")
    labels |= {"integration": message.integration, "tocsin_group": message.public_id or message.key}
    annotations = {
        "summary": plain.headline(message),
        "description": plain.body(message, limit=_TEXT_LIMIT, link=False),
        "source": message.source_link,
    }
    return {
        "labels": {key: value for key, value in labels.items() if value},
        "annotations": {key: value for key, value in annotations.items() if value},
        "startsAt": _time(message.started_at or now),
        "endsAt": _time(now if resolved else Micros(now + LASTS)),
        "generatorURL": message.link or message.source_link,
    }


def _label(key: str) -> str:
    """A name that every version of Alertmanager takes."""
    name = _ODD.sub("_", key)
    return f"_{name}" if name[:1].isdigit() else name


def _time(moment: Micros) -> str:
    return datetime.fromtimestamp(moment / 1_000_000, UTC).isoformat()


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    return Alertmanager(fragment, secrets, tools)
