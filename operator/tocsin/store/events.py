"""What happened to groups and is still to be acted upon: an outbox, written in the transaction of what happened.

Each transition of a group leaves one event, of the kind of its last log entry: what goes before it in the same
transition (a silence lifted by an acknowledgement) is not announced by itself (alert-flow R-WHK-4).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, delete, func, select

from tocsin.flow.groups import Actor, Entry, LogKind, Via
from tocsin.flow.model import Micros
from tocsin.store import wakeups
from tocsin.store.logbook import decode_details, encode_details
from tocsin.store.tables import event
from tocsin.store.text import clean

COLUMNS = ("group_id", "at", "kind", "actor", "via", "details")

STARTS = frozenset(
    {
        LogKind.REGISTERED,
        LogKind.UNACKNOWLEDGED,
        LogKind.UNACKNOWLEDGED_BY_TIMEOUT,
        LogKind.UNRESOLVED,
        LogKind.UNSILENCED,
        LogKind.UNATTACHED,
        LogKind.RESUMED,
    }
)
"""After these a group that fires is escalated from the first step (alert-flow R-ESC-1)."""

STOPS = frozenset(
    {
        LogKind.ACKNOWLEDGED,
        LogKind.RESOLVED,
        LogKind.SILENCED,
        LogKind.ATTACHED,
        LogKind.WIPED,
    }
)
KINDS = STARTS | STOPS | {LogKind.NOTIFIED_AGAIN}

_KINDS = frozenset(int(kind) for kind in KINDS)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """`details` and `reason` are those of the log entry."""

    id: int
    group: int
    at: Micros
    kind: LogKind
    actor: Actor
    reason: str
    details: dict[str, str]


def told(entries: Sequence[Entry]) -> Entry | None:
    """The entry of one transition that is told, if any is."""
    return entries[-1] if entries and entries[-1].kind in _KINDS else None


def row(group: int, entry: Entry) -> tuple[object, ...]:
    """Values of COLUMNS."""
    via = None if entry.actor.via is None else int(entry.actor.via)
    return (group, entry.at, int(entry.kind), clean(entry.actor.name), via, encode_details(entry))


def append(connection: Connection, group: int, entry: Entry | None) -> None:
    """Tell of it after the commit; None: there is nothing to tell."""
    if entry is not None:
        connection.execute(event.insert().values(dict(zip(COLUMNS, row(group, entry), strict=True))))
        wakeups.mark(connection, wakeups.EVENTS)


def take(connection: Connection, *, limit: int) -> tuple[Event, ...]:
    """The oldest events that no other transaction is at work on, locked until this one ends; delete them in it."""
    rows = connection.execute(
        select(event).order_by(event.c.id).limit(limit).with_for_update(skip_locked=True)
    ).mappings()
    return tuple(_event(found) for found in rows)


def remove(connection: Connection, events: Iterable[Event]) -> None:
    """They are acted upon."""
    numbers = [one.id for one in events]
    if numbers:
        connection.execute(delete(event).where(event.c.id.in_(numbers)))


def backlog(connection: Connection) -> int:
    """How many wait; for a metric."""
    return connection.scalar(select(func.count()).select_from(event)) or 0


def _event(found: RowMapping) -> Event:
    reason, details = decode_details(found["details"])
    via = found["via"]
    return Event(
        id=found["id"],
        group=found["group_id"],
        at=Micros(found["at"]),
        kind=LogKind(found["kind"]),
        actor=Actor(name=found["actor"], via=None if via is None else Via(via)),
        reason=reason,
        details=details,
    )
