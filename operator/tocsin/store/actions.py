"""What people, sources and timers do to stored groups: the pure transitions of `flow.groups`, made durable.

Every function runs inside the caller's transaction. On PostgreSQL a group's grouping id is locked before the group is
read, with the same advisory lock that ingest takes, so that an alert and a person never decide on different states.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace
from sqlalchemy import Connection, select, update

from tocsin.flow import groups as life
from tocsin.flow.groups import (
    AUTOMATIC,
    START_DELAY_AGAIN,
    Action,
    Actor,
    Effect,
    Entry,
    GroupState,
    LogKind,
    Refused,
    State,
    Transition,
    Verb,
)
from tocsin.flow.model import Micros
from tocsin.store import dialects, events, logbook, removal, states, timers
from tocsin.store.tables import alert_group

_COLUMNS = [alert_group.c[name] for name in states.COLUMNS]


class NoSuchGroup(Exception):
    """The group was deleted, or never was."""

    def __init__(self, number: int) -> None:
        super().__init__(f"there is no alert group #{number}")
        self.number = number


class Acted(msgspec.Struct, frozen=True, kw_only=True):
    """What an action did. `affected`: numbers of all groups that changed, the one acted upon first."""

    group: GroupState
    entries: tuple[Entry, ...]
    effects: frozenset[Effect]
    affected: tuple[int, ...]


def group_lock(integration: int, key: bytes) -> int:
    """The advisory lock of a grouping id within an integration."""
    return dialects.lock_key("group", integration, key)


def state_for_update(connection: Connection, number: int) -> GroupState | None:
    """The group's state, locked against every other writer until the transaction ends."""
    lock_groups(connection, [number])
    row = connection.execute(select(*_COLUMNS).where(alert_group.c.id == number).with_for_update()).first()
    return None if row is None else states.state_of(row)


def act(connection: Connection, number: int, action: Action) -> Acted:
    """Do what a person asks. Raises Refused (nothing changed) or NoSuchGroup."""
    found = state_for_update(connection, number)
    if found is None:
        raise NoSuchGroup(number)
    return _finish(connection, found, life.transition(found, action))


def act_on_many(connection: Connection, numbers: Iterable[int], action: Action) -> tuple[Acted, ...]:
    """Bulk (alert-flow R-ACT-12): groups that the action does not suit are passed over."""
    done = []
    lock_groups(connection, wanted := sorted(set(numbers)))
    for number in wanted:
        try:
            done.append(act(connection, number, action))
        except (Refused, NoSuchGroup):
            continue
    return tuple(done)


def signal(connection: Connection, number: int, action: Action) -> Acted | None:
    """A signal of a source, a timer or a window; None if there was nothing to do."""
    found = state_for_update(connection, number)
    if found is None:
        return None
    try:
        done = life.transition(found, action)
    except Refused:
        return None
    return _finish(connection, found, done) if done.entries else None


def attach(
    connection: Connection, number: int, parent: int, *, now: Micros, actor: Actor = AUTOMATIC
) -> Acted:
    """Attach a group to another (alert-flow R-ACT-7). Raises Refused or NoSuchGroup."""
    lock_groups(connection, sorted((number, parent)))
    child, root = state_for_update(connection, number), state_for_update(connection, parent)
    if child is None or root is None:
        raise NoSuchGroup(number if child is None else parent)
    action = Action(verb=Verb.UNATTACH, at=now, actor=actor)
    done = life.attach(child, root, action, has_children=bool(children(connection, number)))
    return _finish(connection, child, done, parent=parent)


def children(connection: Connection, number: int) -> tuple[int, ...]:
    """Numbers of the groups attached to this one."""
    rows = connection.execute(
        select(alert_group.c.id).where(alert_group.c.parent_id == number).order_by(alert_group.c.id)
    )
    return tuple(rows.scalars())


def follow_children(
    connection: Connection, number: int, action: Action, *, alert: int | None = None
) -> tuple[GroupState, ...]:
    """Let every group attached to `number` follow `action`; those that changed."""
    wanted = (
        select(*_COLUMNS)
        .where(alert_group.c.parent_id == number)
        .order_by(alert_group.c.id)
        .with_for_update()
    )
    changed = []
    for row in connection.execute(wanted).all():
        child = states.state_of(row)
        done = life.follow(child, action)
        if done is not None:
            save(connection, done, before=child, parent=number, alert=alert)
            changed.append(done.group)
    return tuple(changed)


def save(
    connection: Connection,
    done: Transition,
    *,
    before: GroupState | None = None,
    parent: int | None = None,
    alert: int | None = None,
) -> None:
    """Write one transition: the row, both logs, the timers it owes."""
    number, at = done.group.number, done.entries[0].at if done.entries else 0
    values = dict(zip(states.CHANGING, states.changing_values(done.group), strict=True))
    if before is not None and before.resolved is not None and done.group.resolved is None:
        values["place"] = number  # open again, behind any group that an alert opened meanwhile
    if Effect.START_ESCALATION in done.effects:
        values |= {"escalate_at": at + START_DELAY_AGAIN, "suppressed": False}
    elif Effect.STOP_ESCALATION in done.effects:
        values["escalate_at"] = None
    if done.group.wiped:
        values |= {"wiped": True, "grouping_key": None}
    connection.execute(update(alert_group).where(alert_group.c.id == number).values(values))
    logbook.append(connection, number, done.entries, alert=alert)
    events.append(connection, number, events.told(done.entries))
    if parent is not None:
        logbook.append(connection, parent, done.parent_entries)
    _set_timers(connection, done)
    if Effect.WIPE_CONTENT in done.effects:
        removal.wipe(connection, number, actor=done.entries[0].actor.name)


def _set_timers(connection: Connection, done: Transition) -> None:
    subject = str(done.group.number)
    if Effect.CANCEL_UNSILENCE in done.effects:
        timers.cancel(connection, timers.UNSILENCE, subject)
    if Effect.CANCEL_EXPIRY in done.effects:
        timers.cancel(connection, timers.EXPIRE, subject)
    silence = done.group.silenced
    if Effect.SCHEDULE_UNSILENCE in done.effects and silence is not None and silence.until is not None:
        timers.schedule(connection, timers.UNSILENCE, subject, silence.until, data=str(silence.until))


def _finish(
    connection: Connection, before: GroupState, done: Transition, *, parent: int | None = None
) -> Acted:
    number = before.number
    save(connection, done, before=before, parent=parent or before.parent)
    affected = [number]
    if done.children is not None:
        affected += [child.number for child in follow_children(connection, number, done.children)]
    if Effect.END_MAINTENANCE in done.effects:
        affected += _end_maintenance(connection, number, done.entries[-1])
    if Effect.DELETE_ROWS in done.effects:
        removal.delete_groups(connection, [number])
    return Acted(group=done.group, entries=done.entries, effects=done.effects, affected=tuple(affected))


def _end_maintenance(connection: Connection, number: int, entry: Entry) -> tuple[int, ...]:
    """A person resolved the maintenance group: that ends the occurrence (alert-flow R-MNT-12)."""
    from tocsin.store import windows

    occurrence = connection.scalar(select(alert_group.c.occurrence_id).where(alert_group.c.id == number))
    if occurrence is None:
        return ()
    ended = windows.end(connection, occurrence, entry.at, actor=entry.actor)
    return () if ended is None else (*ended.resumed, *ended.resolved, *ended.kept, *ended.still_covered)


def close_collector(connection: Connection, number: int, action: Action) -> None:
    """Resolve a maintenance group whose occurrence has ended. It may be resolved already, or gone."""
    found = state_for_update(connection, number)
    if found is not None and found.resolved is None:
        save(connection, life.transition(found, action), before=found)


def release(connection: Connection, number: int, parent: int | None, now: Micros) -> None:
    """Take a group out of a maintenance group, if that is where it is."""
    if parent is None:
        return
    found = state_for_update(connection, number)
    if found is None or found.parent != parent:
        return
    done = life.transition(found, Action(verb=Verb.MAINTENANCE_RELEASE, at=now, reason="maintenance ended"))
    save(connection, replace(done, effects=frozenset()), before=found, parent=parent)


def resume(connection: Connection, number: int, now: Micros) -> bool:
    """After its last window: a root group that still fires starts its escalation. Whether it does."""
    found = state_for_update(connection, number)
    if found is None:
        return False
    starts = found.state is State.FIRING and found.parent is None
    values = {"suppressed": False, "escalate_at": now + START_DELAY_AGAIN if starts else None}
    connection.execute(
        update(alert_group).where(alert_group.c.id == number, alert_group.c.suppressed).values(values)
    )
    if starts:
        events.append(connection, number, Entry(kind=LogKind.RESUMED, at=now))
    return starts


def lock_groups(connection: Connection, numbers: Iterable[int], others: Iterable[int] = ()) -> None:
    """Lock the grouping ids of these groups and of all attached to them, and `others`. Nothing to do on SQLite."""
    if not dialects.is_postgresql(connection):
        return
    wanted = list(numbers)
    rows = connection.execute(
        select(alert_group.c.integration_id, alert_group.c.grouping_key).where(
            (alert_group.c.id.in_(wanted)) | (alert_group.c.parent_id.in_(wanted)),
            alert_group.c.grouping_key.is_not(None),
        )
    )
    keys = [group_lock(row.integration_id, bytes(row.grouping_key)) for row in rows]
    dialects.lock(connection, [*keys, *others])
