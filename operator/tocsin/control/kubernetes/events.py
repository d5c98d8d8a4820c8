"""Kubernetes Events: what happened to an object, for `kubectl describe`. On transitions only, and never about payloads."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

from tocsin.api.common import API_VERSION, Condition, Identity
from tocsin.api.conditions import ConditionType
from tocsin.control.kubernetes.client import ApiError, Object
from tocsin.control.kubernetes.desired import Document, previous_conditions
from tocsin.control.kubernetes.limiter import Limiter
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.resources import EVENTS

NORMAL, WARNING = "Normal", "Warning"
_MOST_WAITING = 1_000
_LONGEST_MESSAGE = 1_024
_RATE = 20.0


class Happening(NamedTuple):
    type: str
    reason: str
    message: str


# condition -> (status that is news, type, reason of the Event)
_NEWS: Mapping[str, tuple[str, str, str]] = {
    ConditionType.ACCEPTED: ("False", WARNING, "InvalidConfiguration"),
    ConditionType.PARTIALLY_INVALID: ("True", WARNING, "InvalidConfiguration"),
    ConditionType.RESOLVED_REFS: ("False", WARNING, "UnresolvedRef"),
    ConditionType.PROGRAMMED: ("True", NORMAL, "Programmed"),
    ConditionType.SHADOWED: ("True", WARNING, "Shadowed"),
    ConditionType.TEMPLATE_ERRORS: ("True", WARNING, "TemplateError"),
    ConditionType.RATE_LIMITED: ("True", WARNING, "RateLimited"),
    ConditionType.DELIVERY_FAILING: ("True", WARNING, "DeliveryFailed"),
}


def happenings(before: Document, after: Document) -> Iterator[Happening]:
    """What turned between two statuses of one object."""
    earlier: dict[str, Condition] = {c.type: c for c in previous_conditions(before)}
    for condition in previous_conditions(after):
        news = _NEWS.get(condition.type)
        if news is None or condition.status != news[0]:
            continue
        was = earlier.get(condition.type)
        if was is None or was.status != condition.status:
            yield Happening(news[1], news[2], condition.message)
    if "active" in after and bool(before.get("active")) != bool(after["active"]):
        if after["active"]:
            yield Happening(NORMAL, "WindowStarted", f"open until {after.get('ends', '')}")
        elif before:
            yield Happening(NORMAL, "WindowEnded", "the window is closed")


class EventApi(Protocol):
    async def create(self, path: str, body: Object) -> Object: ...


class Events:
    """Posts in the background and forgets what cannot be posted: Events are a courtesy."""

    def __init__(self, api: EventApi, instance: str, signals: Signals) -> None:
        self._api = api
        self._instance = instance
        self._figures = signals.figures
        self._limiter = Limiter(_RATE, burst=50)
        self._waiting: deque[tuple[str, Object]] = deque(maxlen=_MOST_WAITING)
        self._woken = asyncio.Event()

    def tell(self, identity: Identity, uid: str, happening: Happening, *, at: str) -> None:
        """`at`: RFC 3339."""
        self._waiting.append((identity.namespace, _event(identity, uid, happening, at, self._instance)))
        self._woken.set()

    async def run(self) -> None:
        """Posts until cancelled."""
        while True:
            await self._woken.wait()
            while self._waiting:
                namespace, body = self._waiting.popleft()
                await self._limiter.wait()
                try:
                    await self._api.create(EVENTS.path(namespace), body)
                    self._figures.count("event", "ok")
                except ApiError as error:
                    self._figures.count("event", error.reason or str(error.status))
            self._woken.clear()


def _event(identity: Identity, uid: str, happening: Happening, at: str, instance: str) -> Object:
    message = happening.message
    if len(message) > _LONGEST_MESSAGE:
        message = message[: _LONGEST_MESSAGE - 1] + "…"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        # Two transitions of one second are two Events, so the name cannot be derived from what happened.
        "metadata": {
            "name": f"{identity.name[:200]}.{secrets.token_hex(8)}",
            "namespace": identity.namespace,
        },
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": identity.kind,
            "namespace": identity.namespace,
            "name": identity.name,
            "uid": uid,
        },
        "type": happening.type,
        "reason": happening.reason,
        "message": message,
        "source": {"component": "tocsin"},
        "reportingComponent": "tocsin.dev/tocsin",
        "reportingInstance": instance[:128],
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }
