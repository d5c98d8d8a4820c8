"""When Tocsin itself was there to hear: so that its own downtime is not taken for somebody else's silence.

A durable mark is renewed every few seconds while signals can be received. A gap in it is remembered, and deadlines
are judged by the time that was really observed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
from sqlalchemy import Connection

from tocsin.dispatch.clock import SECOND
from tocsin.flow.model import Micros
from tocsin.store import schema
from tocsin.store.replicas import live_replicas

PERIOD = 5 * SECOND
LONGEST_PAUSE = 3 * PERIOD
"""A mark older than this is a gap, unless a start says so earlier."""

RECEIVING_ROLES = frozenset({"all", "receiver"})
MOST_GAPS = 64
_SETTING = "dispatch.presence"

Receiving = Callable[[Connection, Micros], bool]
"""Whether signals can be received at this moment."""


class Gap(NamedTuple):
    """Nobody received from `start` up to `end`."""

    start: Micros
    end: Micros


class Presence(msgspec.Struct, frozen=True, kw_only=True):
    """`seen`: the last moment that is known to be observed. Gaps ascend; only the latest are kept."""

    seen: Micros
    gaps: tuple[Gap, ...] = ()


def here(_connection: Connection, _now: Micros) -> bool:
    """One process does everything: while its dispatcher runs, its receiver does."""
    return True


def receivers_are_live(connection: Connection, now: Micros) -> bool:
    """Split roles: some process with role `receiver` or `all` renews its registration."""
    return any(replica.role in RECEIVING_ROLES for replica in live_replicas(connection, now=now))


def read(connection: Connection) -> Presence | None:
    data = schema.read_setting(connection, _SETTING)
    return None if data is None else msgspec.json.decode(data, type=Presence)


def renew(connection: Connection, now: Micros, *, longest_pause: int = LONGEST_PAUSE) -> Presence:
    """Moves the mark to `now`, noting a gap if the last one is older than `longest_pause`."""
    before = read(connection)
    after = advanced(before, now, longest_pause)
    schema.write_setting(connection, _SETTING, msgspec.json.encode(after))
    return after


def advanced(before: Presence | None, now: Micros, longest_pause: int) -> Presence:
    """The mark at `now`. A clock that went back changes nothing."""
    if before is None:
        return Presence(seen=now)
    if now <= before.seen:
        return before
    gaps = before.gaps
    if now - before.seen > longest_pause:
        gaps = (*gaps, Gap(before.seen, now))[-MOST_GAPS:]
    return Presence(seen=now, gaps=gaps)


def deadline(since: Micros, span: int, gaps: Iterable[Gap]) -> Micros:
    """When a silence that began at `since` has lasted too long.

    That is after `span` of unbroken observation, so that after a downtime everybody has one full span to be heard; or
    after twice the span of observation with gaps in it, so that frequent restarts cannot hide an outage for ever.
    """
    observed = since
    left = 2 * span
    for gap in gaps:
        if gap.end <= observed:
            continue
        seen = max(gap.start - observed, 0)
        if seen >= min(span, left):
            break
        left -= seen
        observed = gap.end
    return Micros(observed + min(span, left))


def last_gap(gaps: Iterable[Gap], moment: Micros) -> Gap | None:
    """The latest gap that ended at or before `moment`."""
    found = None
    for gap in gaps:
        if gap.end <= moment:
            found = gap
    return found
