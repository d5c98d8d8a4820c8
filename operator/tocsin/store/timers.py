"""Durable timers: one per kind and subject, claimed by lease, finished only by the claim that still holds.

A claim moves the timer's `due_at` to the end of the lease, so that a dispatcher that dies gives it back by itself.
Rescheduling or cancelling meanwhile wins: `finish` then does nothing. All moments are the database's clock.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, select, update

from tocsin.flow.model import Micros
from tocsin.store import clock, dialects
from tocsin.store.tables import timer

UNSILENCE = "unsilence"
EXPIRE = "expire"
HEARTBEAT = "heartbeat"
REMIND = "remind"
"""Kinds that the store itself knows."""

OF_GROUPS = (UNSILENCE, EXPIRE, REMIND)
"""Those whose `subject` is the number of a group; they go with it."""

LEASE = 30_000_000


class Timer(msgspec.Struct, frozen=True, kw_only=True):
    """A claimed (or listed) timer. `version` tells this scheduling from later ones; `attempts` counts claims."""

    id: int
    kind: str
    subject: str
    due_at: Micros
    data: str
    version: int
    attempts: int


def schedule(connection: Connection, kind: str, subject: str, due_at: Micros, *, data: str = "") -> None:
    """Set or replace the timer of this kind and subject."""
    statement = dialects.insert(connection, timer).values(
        kind=kind, subject=subject, due_at=due_at, data=data, version=1, claimed_by=None, attempts=0
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "subject"],
            set_={
                "due_at": due_at,
                "data": data,
                "version": timer.c.version + 1,
                "claimed_by": None,
                "attempts": 0,
            },
        )
    )


def cancel(connection: Connection, kind: str, subject: str) -> bool:
    """Whether there was one."""
    done = connection.execute(delete(timer).where(timer.c.kind == kind, timer.c.subject == subject))
    return done.rowcount > 0


def get(connection: Connection, kind: str, subject: str) -> Timer | None:
    wanted = select(timer).where(timer.c.kind == kind, timer.c.subject == subject)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _timer(row)


def list_timers(connection: Connection, kind: str) -> tuple[Timer, ...]:
    """All of a kind, next first."""
    wanted = select(timer).where(timer.c.kind == kind).order_by(timer.c.due_at, timer.c.id)
    rows = connection.execute(wanted).mappings()
    return tuple(_timer(row) for row in rows)


def next_due(connection: Connection) -> Micros | None:
    """When to look again, if nobody schedules anything earlier."""
    due = connection.scalar(select(timer.c.due_at).order_by(timer.c.due_at).limit(1))
    return None if due is None else Micros(due)


def claim_due(
    connection: Connection,
    owner: str,
    *,
    limit: int = 100,
    lease: int = LEASE,
    now: Micros | None = None,
) -> tuple[Timer, ...]:
    """Take up to `limit` due timers for `lease` microseconds, oldest first; no two callers get the same one.

    `now` replaces the database's clock (for tests and simulated time).
    """
    moment = clock.now(connection) if now is None else now
    due = (
        select(timer)
        .where(timer.c.due_at <= moment)
        .order_by(timer.c.due_at, timer.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(due).mappings().all()
    if not rows:
        return ()
    connection.execute(
        update(timer)
        .where(timer.c.id.in_([row["id"] for row in rows]))
        .values(due_at=moment + lease, claimed_by=owner, attempts=timer.c.attempts + 1)
    )
    return tuple(msgspec.structs.replace(_timer(row), attempts=row["attempts"] + 1) for row in rows)


def finish(connection: Connection, claimed: Timer, owner: str) -> bool:
    """Remove a claimed timer; False if it was rescheduled, cancelled or given to another owner meanwhile."""
    done = connection.execute(delete(timer).where(_held(claimed, owner)))
    return done.rowcount > 0


def defer(connection: Connection, claimed: Timer, owner: str, due_at: Micros) -> bool:
    """Give a claimed timer back for another try at `due_at`, under the same conditions as `finish`."""
    done = connection.execute(
        update(timer).where(_held(claimed, owner)).values(due_at=due_at, claimed_by=None)
    )
    return done.rowcount > 0


def _held(claimed: Timer, owner: str) -> ColumnElement[bool]:
    return and_(timer.c.id == claimed.id, timer.c.version == claimed.version, timer.c.claimed_by == owner)


def _timer(row: RowMapping) -> Timer:
    return Timer(
        id=row["id"],
        kind=row["kind"],
        subject=row["subject"],
        due_at=Micros(row["due_at"]),
        data=row["data"],
        version=row["version"],
        attempts=row["attempts"],
    )
