"""Timers by kind: what a dispatcher may take, when it has to wake, and the ones that failed too often.

A timer of a kind that nobody handles stays where it is: no claim touches it. A dead timer is kept under the kind
`dead:<kind>` with the error, out of the way of a new timer of the same kind and subject, until someone revives it.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, and_, delete, func, select, update

from tocsin.flow.model import Micros
from tocsin.store import clock, dialects, timers
from tocsin.store.tables import timer
from tocsin.store.timers import Timer

DEAD = "dead:"
_ERROR_LIMIT = 500


class DeadTimer(msgspec.Struct, frozen=True, kw_only=True):
    """A timer that was given up. `data` is what it carried; `error` one line without payload."""

    kind: str
    subject: str
    data: str
    died_at: Micros
    attempts: int
    error: str


class _Epitaph(msgspec.Struct, frozen=True, kw_only=True):
    data: str
    attempts: int
    error: str


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(_Epitaph)


def claim(
    connection: Connection,
    owner: str,
    kinds: Collection[str],
    *,
    limit: int = 100,
    now: Micros | None = None,
) -> tuple[Timer, ...]:
    """`timers.claim_due` for these kinds only. Callers that do not see each other never get the same timer."""
    moment = clock.now(connection) if now is None else now
    due = (
        select(timer)
        .where(timer.c.due_at <= moment, timer.c.kind.in_(kinds))
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
        .values(due_at=moment + timers.LEASE, claimed_by=owner, attempts=timer.c.attempts + 1)
    )
    return tuple(
        Timer(
            id=row["id"],
            kind=row["kind"],
            subject=row["subject"],
            due_at=Micros(row["due_at"]),
            data=row["data"],
            version=row["version"],
            attempts=row["attempts"] + 1,
        )
        for row in rows
    )


def held(connection: Connection, claimed: Timer, owner: str) -> bool:
    """Whether the claim still counts; its row is locked until the transaction ends."""
    wanted = (
        select(timer.c.id)
        .where(
            and_(timer.c.id == claimed.id, timer.c.version == claimed.version, timer.c.claimed_by == owner)
        )
        .with_for_update()
    )
    return connection.scalar(wanted) is not None


def next_due(connection: Connection, kinds: Collection[str]) -> Micros | None:
    """When the next timer of these kinds is due (or its lease ends)."""
    due = connection.scalar(select(func.min(timer.c.due_at)).where(timer.c.kind.in_(kinds)))
    return None if due is None else Micros(due)


def schedule_earlier(connection: Connection, kind: str, subject: str, due_at: Micros) -> None:
    """Like `timers.schedule`, but a timer that is due earlier already keeps its time."""
    statement = dialects.insert(connection, timer).values(
        kind=kind, subject=subject, due_at=due_at, data="", version=1, claimed_by=None, attempts=0
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["kind", "subject"],
            set_={"due_at": due_at, "version": timer.c.version + 1, "claimed_by": None, "attempts": 0},
            where=timer.c.due_at > due_at,
        )
    )


def drop_stale(connection: Connection, kind: str, before: Micros) -> int:
    """Remove timers of a kind that were due before this moment and that nobody took; how many."""
    stale = timer.c.kind == kind, timer.c.due_at < before, timer.c.claimed_by.is_(None)
    return connection.execute(delete(timer).where(*stale)).rowcount


def bury(connection: Connection, claimed: Timer, owner: str, *, error: str, now: Micros) -> bool:
    """Give a claimed timer up; False if it was rescheduled, cancelled or given to another owner meanwhile."""
    if not timers.finish(connection, claimed, owner):
        return False
    epitaph = _Epitaph(data=claimed.data, attempts=claimed.attempts, error=error[:_ERROR_LIMIT])
    timers.schedule(
        connection, DEAD + claimed.kind, claimed.subject, now, data=_encoder.encode(epitaph).decode()
    )
    return True


def list_dead(connection: Connection, *, limit: int = 1000) -> tuple[DeadTimer, ...]:
    """Latest first."""
    wanted = (
        select(timer).where(timer.c.kind.startswith(DEAD)).order_by(timer.c.due_at.desc(), timer.c.id.desc())
    )
    return tuple(
        _dead(row["kind"], row["subject"], Micros(row["due_at"]), row["data"])
        for row in connection.execute(wanted.limit(limit)).mappings()
    )


def count_dead(connection: Connection) -> int:
    return connection.scalar(select(func.count()).where(timer.c.kind.startswith(DEAD))) or 0


def revive(connection: Connection, kind: str, subject: str, due_at: Micros) -> bool:
    """Give a dead timer a new life, unless a new one has taken its place; False if there is no such dead timer."""
    found = timers.get(connection, DEAD + kind, subject)
    if found is None:
        return False
    timers.cancel(connection, found.kind, subject)
    if timers.get(connection, kind, subject) is None:
        timers.schedule(connection, kind, subject, due_at, data=_decoder.decode(found.data).data)
    return True


def _dead(kind: str, subject: str, died_at: Micros, data: str) -> DeadTimer:
    epitaph = _decoder.decode(data)
    return DeadTimer(
        kind=kind.removeprefix(DEAD),
        subject=subject,
        data=epitaph.data,
        died_at=died_at,
        attempts=epitaph.attempts,
        error=epitaph.error,
    )
