"""Occurrences of maintenance windows per integration, their maintenance groups, and what their end does.

An occurrence comes to be when the first alert is covered by it, or when the dispatcher starts it. Whoever ends it
(its time, or a person who resolves the maintenance group) does so once.
"""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, RowMapping, select, update

from tocsin.api.common import Identity
from tocsin.flow.decision import WindowInForce
from tocsin.flow.groups import AUTOMATIC, Action, Actor, Entry, LogKind, State, Verb, collect
from tocsin.flow.model import Micros
from tocsin.store import actions, dialects, identities, logbook
from tocsin.store.tables import FIRING, alert_group, group_tally, window_group, window_occurrence

MAINTENANCE = "Maintenance"
DEBUG = "Debug"
RESUME, RESOLVE, KEEP = "Resume", "Resolve", "Keep"

_ALONE = 1


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """One running (or ended) occurrence for one integration. `group` is the number of its maintenance group, if any."""

    id: int
    window: Identity
    integration_id: int
    mode: str
    on_end: str
    start: Micros
    end: Micros
    group: int | None
    ended_at: Micros | None


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What the end of an occurrence did: numbers of groups that start escalating, were resolved, or stay as they are."""

    occurrence: Occurrence
    resumed: tuple[int, ...] = ()
    resolved: tuple[int, ...] = ()
    kept: tuple[int, ...] = ()
    still_covered: tuple[int, ...] = ()


def occurrence_lock(window: int, integration: int, start: int) -> int:
    """The advisory lock of an occurrence; taken before it is created, given a group, or ended."""
    return dialects.lock_key("occurrence", window, integration, start)


def ensure(connection: Connection, window: WindowInForce, number: int, integration: int) -> Occurrence:
    """The occurrence of window `number` for `integration`, made now if it is new."""
    row = {
        "window_id": number,
        "integration_id": integration,
        "mode": window.mode,
        "on_end": window.on_end,
        "starts_at": window.start,
        "ends_at": window.end,
    }
    dialects.insert_missing(connection, window_occurrence, [row])
    found = connection.execute(
        select(window_occurrence).where(
            window_occurrence.c.window_id == number,
            window_occurrence.c.integration_id == integration,
            window_occurrence.c.starts_at == window.start,
        )
    ).one()
    return _occurrence(connection, found)


def start(connection: Connection, window: WindowInForce, integration: Identity) -> Occurrence:
    """`ensure` by identities, for the dispatcher."""
    namespace, _, name = window.window.partition("/")
    of = Identity(identities.WINDOW, namespace, name)
    numbers = identities.ensure_all(connection, (of, integration))
    return ensure(connection, window, numbers[of], numbers[integration])


def running(connection: Connection, integration: Identity | None = None) -> tuple[Occurrence, ...]:
    """Occurrences that have not ended, the next to end first."""
    wanted = select(window_occurrence).where(window_occurrence.c.ended_at.is_(None))
    if integration is not None:
        number = identities.find(connection, integration)
        wanted = wanted.where(window_occurrence.c.integration_id == number)
    rows = connection.execute(wanted.order_by(window_occurrence.c.ends_at, window_occurrence.c.id)).all()
    return tuple(_occurrence(connection, row) for row in rows)


def overdue(connection: Connection, now: Micros, *, limit: int = 100) -> tuple[Occurrence, ...]:
    """Occurrences whose time is over, to be ended."""
    rows = connection.execute(
        select(window_occurrence)
        .where(window_occurrence.c.ended_at.is_(None), window_occurrence.c.ends_at <= now)
        .order_by(window_occurrence.c.ends_at, window_occurrence.c.id)
        .limit(limit)
    ).all()
    return tuple(_occurrence(connection, row) for row in rows)


def make_group(
    connection: Connection, occurrence: Occurrence, at: Micros, *, number: int | None = None
) -> int:
    """Make the maintenance group of this occurrence; its number. The caller holds the occurrence's lock."""
    values: dict[str, Any] = {
        "integration_id": occurrence.integration_id,
        "route_id": identities.ensure(connection, identities.DEFAULT),
        "grouping": _ALONE,
        "grouping_key": None,
        "place": 0,
        "state": FIRING,
        "title": f"Maintenance {occurrence.window.namespace}/{occurrence.window.name}",
        "received_at": at,
        "started_at": at,
        "suppressed": True,
        "occurrence_id": occurrence.id,
    }
    if number is not None:
        values["id"] = number
    made = connection.execute(alert_group.insert().values(values)).inserted_primary_key
    assert made is not None
    group = int(made[0])
    connection.execute(group_tally.insert().values(group_id=group, alerts_count=0, last_alert_at=at))
    connection.execute(
        update(window_occurrence).where(window_occurrence.c.id == occurrence.id).values(group_id=group)
    )
    logbook.append(connection, group, (Entry(kind=LogKind.REGISTERED, at=at, reason="maintenance"),))
    return group


def end(
    connection: Connection,
    occurrence_id: int,
    now: Micros,
    *,
    actor: Actor = AUTOMATIC,
    on_end: str | None = None,
) -> Ended | None:
    """End an occurrence: resolve its maintenance group and treat the groups it covered as `on_end` says.

    A group that another running occurrence still covers is left to that one: the last window to end decides.
    None if it had ended already. `on_end` replaces what the occurrence was started with (an edited window).
    """
    row = connection.execute(select(window_occurrence).where(window_occurrence.c.id == occurrence_id)).first()
    if row is None:
        return None
    actions.lock_groups(
        connection,
        _members(connection, occurrence_id),
        [occurrence_lock(row.window_id, row.integration_id, row.starts_at)],
    )
    done = connection.execute(
        update(window_occurrence)
        .where(window_occurrence.c.id == occurrence_id, window_occurrence.c.ended_at.is_(None))
        .values(ended_at=now, on_end=on_end or row.on_end)
    )
    if done.rowcount == 0:
        return None
    row = connection.execute(select(window_occurrence).where(window_occurrence.c.id == occurrence_id)).one()
    occurrence = _occurrence(connection, row)
    outcome = _release(connection, occurrence, now, actor)
    if occurrence.group is not None:
        actions.close_collector(
            connection, occurrence.group, Action(verb=Verb.MAINTENANCE_RESOLVE, at=now, actor=actor)
        )
    return outcome


def _release(connection: Connection, occurrence: Occurrence, now: Micros, actor: Actor) -> Ended:
    """The members in order of their numbers, one decision each."""
    resumed, resolved, kept, covered = [], [], [], []
    for number in _members(connection, occurrence.id):
        others = _others(connection, number, occurrence.id)
        actions.release(connection, number, occurrence.group, now)
        if others:
            _hand_over(connection, number, others, occurrence, now)
            covered.append(number)
        elif occurrence.on_end == RESOLVE:
            action = Action(verb=Verb.MAINTENANCE_RESOLVE, at=now, actor=actor, reason="maintenance ended")
            if actions.signal(connection, number, action) is not None:
                resolved.append(number)
        elif occurrence.on_end == RESUME and actions.resume(connection, number, now):
            resumed.append(number)
        else:
            kept.append(number)
    return Ended(
        occurrence=occurrence,
        resumed=tuple(resumed),
        resolved=tuple(resolved),
        kept=tuple(kept),
        still_covered=tuple(covered),
    )


def _members(connection: Connection, occurrence_id: int) -> tuple[int, ...]:
    """Groups that the occurrence covered when they were opened, oldest first."""
    wanted = select(window_group.c.group_id).where(window_group.c.occurrence_id == occurrence_id)
    return tuple(connection.scalars(wanted.order_by(window_group.c.group_id)))


def _others(connection: Connection, group: int, occurrence_id: int) -> list[RowMapping]:
    """Other running occurrences that cover this group."""
    rows = connection.execute(
        select(window_occurrence)
        .join(window_group, window_group.c.occurrence_id == window_occurrence.c.id)
        .where(
            window_group.c.group_id == group,
            window_occurrence.c.id != occurrence_id,
            window_occurrence.c.ended_at.is_(None),
        )
        .order_by(window_occurrence.c.id)
    )
    return list(rows.mappings())


def _hand_over(
    connection: Connection, number: int, others: list[RowMapping], ended: Occurrence, now: Micros
) -> None:
    """A group that was in the ended maintenance group moves to that of the next Maintenance occurrence."""
    if ended.mode != MAINTENANCE:
        return
    following = next((row for row in others if row["mode"] == MAINTENANCE), None)
    if following is None:
        return
    dialects.lock(
        connection,
        [occurrence_lock(following["window_id"], following["integration_id"], following["starts_at"])],
    )
    child = actions.state_for_update(connection, number)
    if child is None or child.parent is not None or child.state is State.RESOLVED:
        return
    row = connection.execute(select(window_occurrence).where(window_occurrence.c.id == following["id"])).one()
    occurrence = _occurrence(connection, row)
    parent = occurrence.group or make_group(connection, occurrence, now)
    actions.save(connection, collect(child, parent, now), parent=parent)


def _occurrence(connection: Connection, row: Row[Any]) -> Occurrence:
    return Occurrence(
        id=row.id,
        window=identities.load(connection, (row.window_id,))[row.window_id],
        integration_id=row.integration_id,
        mode=row.mode,
        on_end=row.on_end,
        start=Micros(row.starts_at),
        end=Micros(row.ends_at),
        group=row.group_id,
        ended_at=row.ended_at,
    )
