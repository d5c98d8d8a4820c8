"""Storms: more than a few messages in a minute for one place become one message a minute (issue: storm).

Each claim is counted per place: a person on a channel, or a channel that everybody reads. The first ones go at once;
from the sixth within a minute on they wait for the end of the minute and go together, until fewer are wanted again.
Every dispatcher counts for itself, so with several of them a few more go at once; the bundle is one for all of them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from tocsin.dispatch.clock import MINUTE
from tocsin.dispatch.deliveries.parcels import Order, order_of
from tocsin.flow.groups import Entry, LogKind
from tocsin.flow.model import Micros
from tocsin.flow.targets import Targets
from tocsin.store import bundles, deliveries, logbook
from tocsin.store.deliveries import Delivery, NewDelivery

AT_ONCE = 5
WITHIN = MINUTE
"""So many messages in this time go at once."""

KINDS = frozenset({deliveries.GROUP, deliveries.PERSONAL})
SINGLE = frozenset({"alertmanager"})
"""Types that are told of each group by itself whatever comes: what stands behind them groups on its own."""


class Place(NamedTuple):
    """Who reads it where. Important messages never wait for others (alert-flow R-NTF-6)."""

    channel: str
    responder: str
    contact: str
    important: bool


class Bundler:
    """Counts in memory; what waits is in the store."""

    def __init__(self) -> None:
        self._lately: dict[Place, deque[Micros]] = {}

    def sift(
        self, connection: Connection, claimed: Sequence[Delivery], targets: Targets, now: Micros
    ) -> list[Delivery]:
        """Those to be sent by themselves; the others are part of a bundle from now on."""
        alone: list[Delivery] = []
        together: dict[Place, list[Delivery]] = {}
        for delivery in claimed:
            place = _place(delivery, targets)
            if place is not None and self._too_many(place, now):
                together.setdefault(place, []).append(delivery)
            else:
                alone.append(delivery)
        for place, members in together.items():
            _join(connection, place, members, now)
        return alone

    def forget_old(self, now: Micros) -> None:
        """Places that were quiet for a minute."""
        self._lately = {place: when for place, when in self._lately.items() if now - when[-1] < WITHIN}

    def _too_many(self, place: Place, now: Micros) -> bool:
        """Whether this one is beyond those that go at once; counts it."""
        when = self._lately.setdefault(place, deque(maxlen=AT_ONCE))
        full = len(when) == AT_ONCE and now - when[0] < WITHIN
        when.append(now)
        return full


def _place(delivery: Delivery, targets: Targets) -> Place | None:
    """None: it goes by itself, as what was tried before and what is no news to anybody does."""
    channel = targets.channels.get(delivery.channel)
    if delivery.kind not in KINDS or delivery.attempts > 1 or channel is None or channel.type in SINGLE:
        return None
    important = order_of(delivery.data).important
    return Place(delivery.channel, delivery.responder, delivery.contact, important)


def _join(connection: Connection, place: Place, members: Sequence[Delivery], now: Micros) -> None:
    numbers = [member.id for member in members]
    minute = now // WITHIN
    while not bundles.join(connection, _bundle(place, minute, now), numbers, now):
        minute += 1
    until: Mapping[str, str] = {"channel": place.channel, "responder": place.responder}
    for group in sorted({member.group for member in members if member.group is not None}):
        entry = Entry(
            kind=LogKind.BUNDLED,
            at=now,
            reason=f"more than {AT_ONCE} messages in a minute",
            details=tuple((name, value) for name, value in until.items() if value),
        )
        logbook.append(connection, group, [entry])


def _bundle(place: Place, minute: int, now: Micros) -> NewDelivery:
    """One for each minute and place, due when the minute is over."""
    order = Order(reason=f"more than {AT_ONCE} alert groups in a minute", important=place.important)
    who = f"{place.responder}/{place.contact}" if place.responder else "everybody"
    weight = "important" if place.important else "default"
    return NewDelivery(
        key=f"bundle/{place.channel}/{who}/{weight}/{minute}",
        kind=deliveries.BUNDLE,
        at=now,
        channel=place.channel,
        responder=place.responder,
        contact=place.contact,
        data=msgspec.json.encode(order).decode(),
        due_at=Micros((minute + 1) * WITHIN),
    )
