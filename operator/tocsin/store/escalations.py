"""The escalation of each group and the rules of each responder at work for it: values of the pure flow, made durable.

A row that is due is worked on inside one transaction that holds its lock: what comes of it and its next moment are one
commit, so a step takes effect once, whatever crashes, however many dispatchers there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, Table, func, literal_column, select, update

from tocsin.flow.escalation.personal import PersonalRun
from tocsin.flow.escalation.run import Run
from tocsin.flow.model import Micros
from tocsin.store import dialects
from tocsin.store.tables import escalation, group_tally, personal, turn

_run_decoder = msgspec.json.Decoder(Run)
_personal_decoder = msgspec.json.Decoder(PersonalRun)
_encoder = msgspec.json.Encoder()


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """Of one group. `resume_at` None: it is over, or `run.paused`: it waits for an alert after `seen_alert`.

    `failures`: how often the step in hand failed in a row, for reasons of Tocsin's own.
    """

    group: int
    run: Run
    resume_at: Micros | None
    seen_alert: int | None = None
    finished_at: Micros | None = None
    failures: int = 0


class Personal(msgspec.Struct, frozen=True, kw_only=True):
    """How a responder (`run.responder`) is told of one group."""

    group: int
    run: PersonalRun
    resume_at: Micros | None
    finished_at: Micros | None = None
    failures: int = 0


def get(connection: Connection, group: int) -> Escalation | None:
    return load(connection, [group]).get(group)


def load(connection: Connection, groups: Sequence[int]) -> Mapping[int, Escalation]:
    """Those of these groups that have (or had) one."""
    rows = connection.execute(select(escalation).where(escalation.c.group_id.in_(groups))).mappings()
    return {row["group_id"]: _escalation(row) for row in rows}


def lock(connection: Connection, groups: Sequence[int]) -> None:
    """Hold those of these groups until the transaction ends. SQLite has one writer: nothing to do."""
    if dialects.is_postgresql(connection):
        held = select(escalation.c.group_id).where(escalation.c.group_id.in_(groups))
        connection.execute(held.order_by(escalation.c.group_id).with_for_update()).all()


def due(connection: Connection, now: Micros, *, limit: int) -> tuple[Escalation, ...]:
    """Those whose next step is due and that nobody works on, locked until the transaction ends; oldest first."""
    rows = connection.execute(
        select(escalation)
        .where(escalation.c.resume_at <= now)
        .order_by(escalation.c.resume_at, escalation.c.group_id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).mappings()
    return tuple(_escalation(row) for row in rows)


def is_due(connection: Connection, now: Micros) -> bool:
    return (
        connection.scalar(select(escalation.c.group_id).where(escalation.c.resume_at <= now).limit(1))
        is not None
    )


def is_joined(connection: Connection) -> bool:
    query = _joined(select(escalation.c.group_id))
    return connection.scalar(query.limit(1)) is not None


def is_personal_due(connection: Connection, now: Micros) -> bool:
    return (
        connection.scalar(select(personal.c.group_id).where(personal.c.resume_at <= now).limit(1)) is not None
    )


def joined(connection: Connection, *, limit: int) -> tuple[Escalation, ...]:
    """Paused ones whose groups took in an alert since, locked until the transaction ends."""
    rows = connection.execute(
        _joined(select(escalation))
        .order_by(escalation.c.group_id)
        .limit(limit)
        .with_for_update(of=escalation, skip_locked=True)
    ).mappings()
    return tuple(_escalation(row) for row in rows)


def put(connection: Connection, rows: Iterable[Escalation]) -> None:
    """Write the present state of these escalations: one per group, a later start replaces it (alert-flow R-ESC-6)."""
    values = [
        {
            "group_id": one.group,
            "run": _encoder.encode(one.run),
            "resume_at": one.resume_at,
            "paused": one.run.paused and one.finished_at is None,
            "seen_alert_id": one.seen_alert,
            "started_at": one.run.started_at,
            "finished_at": one.finished_at,
            "failures": one.failures,
        }
        for one in sorted(rows, key=lambda e: e.group)
    ]
    _upsert(connection, escalation, values, ["group_id"])


def stop(connection: Connection, groups: Mapping[int, Micros], now: Micros) -> None:
    """What began until the given moment for these groups is over, not what began later: events may be seen late.

    The responders' rules look at the group by themselves.
    """
    for number, at in sorted(groups.items()):
        connection.execute(
            update(escalation)
            .where(
                escalation.c.group_id == number,
                escalation.c.finished_at.is_(None),
                escalation.c.started_at <= at,
            )
            .values(resume_at=None, paused=False, finished_at=now)
        )


def turns(connection: Connection, chains: Collection[str]) -> dict[tuple[str, str], str]:
    """(chain, step) -> who was told last, of all round robins of these chains; nobody else takes a turn meanwhile."""
    dialects.lock(connection, [dialects.lock_key("turn", chain) for chain in chains])
    rows = connection.execute(select(turn).where(turn.c.chain.in_(sorted(chains))))
    return {(row.chain, row.step): row.responder for row in rows}


def take_turns(connection: Connection, taken: Mapping[tuple[str, str], str]) -> None:
    rows = [{"chain": c, "step": s, "responder": responder} for (c, s), responder in sorted(taken.items())]
    dialects.upsert(connection, turn, rows, key=["chain", "step"])


# --- responders -----------------------------------------------------------------------------------------------------


def list_personal(connection: Connection, groups: Sequence[int]) -> tuple[Personal, ...]:
    """All of these groups, whatever became of them, the first told first."""
    rows = connection.execute(
        select(personal)
        .where(personal.c.group_id.in_(groups))
        .order_by(personal.c.group_id, personal.c.started_at, personal.c.responder)
    ).mappings()
    return tuple(_personal(row) for row in rows)


def personal_due(connection: Connection, now: Micros, *, limit: int) -> tuple[Personal, ...]:
    """As `due`."""
    rows = connection.execute(
        select(personal)
        .where(personal.c.resume_at <= now)
        .order_by(personal.c.resume_at, personal.c.group_id, personal.c.responder)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).mappings()
    return tuple(_personal(row) for row in rows)


def put_personal(connection: Connection, rows: Iterable[Personal]) -> None:
    """As `put`: one per group and responder, a new one replaces the older (alert-flow R-NTF-4)."""
    values = [
        {
            "group_id": one.group,
            "responder": one.run.responder,
            "run": _encoder.encode(one.run),
            "resume_at": one.resume_at,
            "started_at": one.run.started_at,
            "finished_at": one.finished_at,
            "failures": one.failures,
        }
        for one in sorted(rows, key=lambda p: (p.group, p.run.responder))
    ]
    _upsert(connection, personal, values, ["group_id", "responder"])


def stop_personal(connection: Connection, group: int, responder: str, now: Micros) -> bool:
    """False if nothing ran."""
    done = connection.execute(
        update(personal)
        .where(
            personal.c.group_id == group,
            personal.c.responder == responder,
            personal.c.finished_at.is_(None),
        )
        .values(resume_at=None, finished_at=now)
    )
    return done.rowcount > 0


def next_due(connection: Connection) -> Micros | None:
    """When the next step of anybody is due."""
    moments = [
        connection.scalar(select(func.min(table.c.resume_at)).where(table.c.resume_at.is_not(None)))
        for table in (escalation, personal)
    ]
    return min((Micros(moment) for moment in moments if moment is not None), default=None)


def _joined(query: Select[Any]) -> Select[Any]:
    return query.join(group_tally, group_tally.c.group_id == escalation.c.group_id).where(
        literal_column("escalation.paused"),  # as the partial index says it
        escalation.c.seen_alert_id.is_distinct_from(group_tally.c.last_alert_id),
    )


def _upsert(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], key: list[str]) -> None:
    """`dialects.upsert`, but what began later stays."""
    if not rows:
        return
    statement = dialects.insert(connection, table)
    changed = {name: statement.excluded[name] for name in rows[0] if name not in key}
    later = table.c.started_at <= statement.excluded.started_at
    connection.execute(
        statement.on_conflict_do_update(index_elements=key, set_=changed, where=later), list(rows)
    )


def _escalation(row: RowMapping) -> Escalation:
    return Escalation(
        group=row["group_id"],
        run=_run_decoder.decode(row["run"]),
        resume_at=row["resume_at"],
        seen_alert=row["seen_alert_id"],
        finished_at=row["finished_at"],
        failures=row["failures"],
    )


def _personal(row: RowMapping) -> Personal:
    return Personal(
        group=row["group_id"],
        run=_personal_decoder.decode(row["run"]),
        resume_at=row["resume_at"],
        finished_at=row["finished_at"],
        failures=row["failures"],
    )
