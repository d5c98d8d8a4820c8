"""The escalation of each group and the rules of each responder at work for it: values of the pure flow, made durable.

A row that is due is worked on inside one transaction that holds its lock: what comes of it and its next moment are one
commit, so a step takes effect once, whatever crashes, however many dispatchers there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, select, update

from tocsin.flow.escalation.personal import PersonalRun
from tocsin.flow.escalation.run import Run
from tocsin.flow.model import Micros
from tocsin.store import bulk, dialects
from tocsin.store.agenda import JOINED
from tocsin.store.tables import escalation, group_tally, personal, turn

_run_decoder = msgspec.json.Decoder(Run)
_personal_decoder = msgspec.json.Decoder(PersonalRun)
_encoder = msgspec.json.Encoder()


def _conflict(table: str, keys: int, columns: tuple[str, ...]) -> str:
    """Replace the row with the same key (so many columns), unless it began later."""
    changed = ", ".join(f"{name} = excluded.{name}" for name in columns[keys:])
    return (
        f"ON CONFLICT ({', '.join(columns[:keys])}) DO UPDATE SET {changed} "
        f"WHERE {table}.started_at <= excluded.started_at"
    )


_COLUMNS = (
    "group_id",
    "run",
    "resume_at",
    "paused",
    "seen_alert_id",
    "started_at",
    "finished_at",
    "failures",
)
_PERSONAL = ("group_id", "responder", "run", "resume_at", "started_at", "finished_at", "failures")
_REPLACE = _conflict("escalation", 1, _COLUMNS)
_REPLACE_PERSONAL = _conflict("personal", 2, _PERSONAL)


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


def joined(connection: Connection, *, limit: int) -> tuple[Escalation, ...]:
    """Paused ones whose groups took in an alert since, locked until the transaction ends."""
    rows = connection.execute(
        select(escalation)
        .join(group_tally, JOINED[0])
        .where(*JOINED[1:])
        .order_by(escalation.c.group_id)
        .limit(limit)
        .with_for_update(of=escalation, skip_locked=True)
    ).mappings()
    return tuple(_escalation(row) for row in rows)


def put(connection: Connection, rows: Iterable[Escalation]) -> None:
    """Write the present state of these escalations: one per group, a later start replaces it (alert-flow R-ESC-6)."""
    values = [
        (
            one.group,
            _encoder.encode(one.run),
            one.resume_at,
            one.run.paused and one.finished_at is None,
            one.seen_alert,
            one.run.started_at,
            one.finished_at,
            one.failures,
        )
        for one in sorted(rows, key=lambda e: e.group)
    ]
    bulk.insert_together(connection, escalation, _COLUMNS, values, _REPLACE)


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
        (
            one.group,
            one.run.responder,
            _encoder.encode(one.run),
            one.resume_at,
            one.run.started_at,
            one.finished_at,
            one.failures,
        )
        for one in sorted(rows, key=lambda p: (p.group, p.run.responder))
    ]
    bulk.insert_together(connection, personal, _PERSONAL, values, _REPLACE_PERSONAL)


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
