"""Messages on their way: written with the decision to send them, claimed by lease, kept with how they ended.

A key that exists already is not written again, so that a decision made twice (after a crash, by two dispatchers) sends
one message. A claim whose process died is given to another one when its lease ends: every message arrives at least
once, a repeated one under the same key.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from enum import IntEnum

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, literal_column, or_, select, update

from tocsin.flow.model import Micros
from tocsin.store import bulk, wakeups
from tocsin.store.tables import delivery
from tocsin.store.text import clean, cut

GROUP = "group"
UPDATE = "update"
PERSONAL = "personal"
ANNOUNCEMENT = "announcement"
WEBHOOK = "webhook"
BUNDLE = "bundle"
REMINDER = "reminder"
"""Kinds: the first message of a group in a channel, an edit of it, a message to a person, ..."""

ERROR_LIMIT = 500
_AT_ONCE = 500
_COLUMNS = (
    "key",
    "kind",
    "channel",
    "responder",
    "contact",
    "group_id",
    "data",
    "created_at",
    "due_at",
    "attempts",
    "state",
    "reason",
    "error",
    "receipt",
)
_PENDING = delivery.c.state == literal_column("0")  # a literal, so that the partial index serves it


class DeliveryState(IntEnum):
    """Dropped: there was no reason left to send it, as when the group was resolved meanwhile."""

    PENDING = 0
    DELIVERED = 1
    FAILED = 2
    DROPPED = 3


class NewDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """`channel` and `responder` are `namespace/name`, `contact` the name of one of the responder's; empty: not meant.

    `data` is JSON that only the kind understands. `due_at` None: at once.
    """

    key: str
    kind: str
    at: Micros
    channel: str = ""
    responder: str = ""
    contact: str = ""
    group: int | None = None
    data: str = "{}"
    due_at: Micros | None = None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """As stored. `attempts` counts claims; while it is claimed `due_at` is the end of the lease."""

    id: int
    key: str
    kind: str
    channel: str
    responder: str
    contact: str
    group: int | None
    data: str
    created_at: Micros
    due_at: Micros
    attempts: int
    state: DeliveryState
    first_attempt_at: Micros | None
    finished_at: Micros | None
    reason: str
    error: str
    receipt: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt ended. `attempts` is that of the claim. PENDING: again at `retry_at`.

    `reason` is a word (`serverError`), `error` one line without secrets, `receipt` what the vendor calls it.
    """

    id: int
    attempts: int
    state: DeliveryState
    at: Micros
    reason: str = ""
    error: str = ""
    receipt: str = ""
    retry_at: Micros | None = None


def enqueue(connection: Connection, deliveries: Sequence[NewDelivery]) -> int:
    """Write those whose key is new; how many were."""
    if not deliveries:
        return 0
    written = bulk.insert_together(
        connection, delivery, _COLUMNS, [_row(one) for one in deliveries], "ON CONFLICT DO NOTHING"
    )
    wakeups.mark(connection, wakeups.DELIVERIES)
    return written


def enqueue_updates(connection: Connection, wanted: Iterable[tuple[int, str]], at: Micros) -> int:
    """One `update` per group and channel, unless one waits already that nobody has claimed; how many are new.

    An update shows the group as it is when it is sent, so one that still waits says everything.
    """
    pairs = sorted(set(wanted))
    numbers = sorted({group for group, _ in pairs})
    waiting: set[tuple[int, str]] = set()
    for start in range(0, len(numbers), _AT_ONCE):
        rows = connection.execute(
            select(delivery.c.group_id, delivery.c.channel)
            .where(
                delivery.c.group_id.in_(numbers[start : start + _AT_ONCE]),
                _PENDING,
                delivery.c.kind == UPDATE,
                delivery.c.claimed_by.is_(None),
            )
            .order_by(delivery.c.id)
            .with_for_update(skip_locked=True)
        )
        waiting.update((row.group_id, row.channel) for row in rows)
    new = [
        NewDelivery(key=f"{UPDATE}/{group}/{channel}/{at}", kind=UPDATE, at=at, channel=channel, group=group)
        for group, channel in pairs
        if (group, channel) not in waiting
    ]
    return enqueue(connection, new)


def claim(  # noqa: PLR0913 - who, what, how much, when, how long
    connection: Connection,
    owner: str,
    *,
    limit: int,
    now: Micros,
    lease: int,
    kinds: Collection[str] | None = None,
    without: Collection[str] = (),
) -> tuple[Delivery, ...]:
    """Take up to `limit` due deliveries for `lease` microseconds, oldest first; no two callers get the same one.

    `without`: channels that are to wait.
    """
    wanted = [_PENDING, delivery.c.due_at <= now, *_of(kinds, without)]
    due = (
        select(delivery.c.id)
        .where(*wanted)
        .order_by(delivery.c.due_at, delivery.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = connection.execute(
        update(delivery)
        .where(delivery.c.id.in_(due))
        .values(
            due_at=now + lease,
            claimed_by=owner,
            claimed_until=now + lease,
            attempts=delivery.c.attempts + 1,
            first_attempt_at=func.coalesce(delivery.c.first_attempt_at, now),
        )
        .returning(delivery)
    ).mappings()
    return tuple(sorted((_delivery(row) for row in rows), key=lambda one: one.id))


def record(connection: Connection, outcomes: Sequence[Outcome]) -> frozenset[int]:
    """Write how attempts ended; the ids of those that counted.

    What was delivered counts even after its lease, unless it is finished already; else a later claim decides.
    """
    alike: dict[Outcome, list[int]] = {}
    for one in outcomes:
        claim_of = 0 if one.state is DeliveryState.DELIVERED else one.attempts
        alike.setdefault(msgspec.structs.replace(one, id=0, attempts=claim_of), []).append(one.id)
    counted: set[int] = set()
    for one, ids in sorted(alike.items(), key=lambda item: min(item[1])):
        values: dict[str, object] = {
            "reason": clean(one.reason),
            "error": cut(clean(one.error), ERROR_LIMIT),
            "receipt": clean(one.receipt),
            "claimed_by": None,
            "claimed_until": None,
        }
        if one.state is DeliveryState.PENDING:
            values["due_at"] = one.at if one.retry_at is None else one.retry_at
        else:
            values |= {"state": int(one.state), "finished_at": one.at}
        still = [delivery.c.id.in_(sorted(ids)), _PENDING]
        if one.attempts:
            still.append(delivery.c.attempts == one.attempts)
        statement = update(delivery).where(*still).values(values).returning(delivery.c.id)
        counted.update(connection.scalars(statement))
    if any(one.state is DeliveryState.PENDING for one in outcomes):
        wakeups.mark(connection, wakeups.DELIVERIES)
    return frozenset(counted)


def release(connection: Connection, now: Micros, *, kinds: Collection[str]) -> int:
    """Give back every claim, whoever holds it; how many. For a process that knows to be the only one, at its start."""
    held = [_PENDING, delivery.c.claimed_by.is_not(None), delivery.c.kind.in_(kinds)]
    values = {"due_at": now, "claimed_by": None, "claimed_until": None}
    return connection.execute(update(delivery).where(*held).values(values)).rowcount


def was_told(connection: Connection, one: Delivery, at: Micros) -> bool:
    """Whether the responder was told of the group in person before this delivery, which was delivered `at`."""
    earlier = or_(delivery.c.finished_at < at, and_(delivery.c.finished_at == at, delivery.c.id < one.id))
    query = select(delivery.c.id).where(
        delivery.c.group_id == one.group,
        delivery.c.responder == one.responder,
        delivery.c.kind == PERSONAL,
        delivery.c.state == int(DeliveryState.DELIVERED),
        earlier,
    )
    return connection.scalar(query.limit(1)) is not None


def retry(connection: Connection, number: int, now: Micros) -> bool:
    """By hand: a delivery that failed or was dropped gets all its attempts anew. False if it is not one."""
    done = connection.execute(
        update(delivery)
        .where(
            delivery.c.id == number,
            delivery.c.state.in_((int(DeliveryState.FAILED), int(DeliveryState.DROPPED))),
        )
        .values(
            state=int(DeliveryState.PENDING),
            due_at=now,
            attempts=0,
            claimed_by=None,
            claimed_until=None,
            first_attempt_at=None,
            finished_at=None,
        )
    )
    wakeups.mark(connection, wakeups.DELIVERIES)
    return done.rowcount > 0


def drop_pending(
    connection: Connection, group: int, now: Micros, *, kinds: Collection[str], responder: str = ""
) -> int:
    """What waits of a group (for one responder, if named) and nobody has claimed is not wanted any more; how many."""
    wanted = [
        delivery.c.group_id == group,
        _PENDING,
        delivery.c.claimed_by.is_(None),
        delivery.c.kind.in_(kinds),
    ]
    if responder:
        wanted.append(delivery.c.responder == responder)
    values = {"state": int(DeliveryState.DROPPED), "finished_at": now}
    return connection.execute(update(delivery).where(*wanted).values(values)).rowcount


def get(connection: Connection, number: int) -> Delivery | None:
    row = connection.execute(select(delivery).where(delivery.c.id == number)).mappings().first()
    return None if row is None else _delivery(row)


def list_deliveries(  # noqa: PLR0913 - a filter and a page
    connection: Connection,
    *,
    group: int | None = None,
    states: Collection[DeliveryState] = (),
    channel: str = "",
    before: int | None = None,
    limit: int = 100,
) -> tuple[Delivery, ...]:
    """Latest first; `before` is the id of the last one already seen."""
    wanted: list[ColumnElement[bool]] = []
    if group is not None:
        wanted.append(delivery.c.group_id == group)
    if states:
        wanted.append(or_(*(delivery.c.state == int(state) for state in states)))
    if channel:
        wanted.append(delivery.c.channel == channel)
    if before is not None:
        wanted.append(delivery.c.id < before)
    rows = connection.execute(
        select(delivery).where(*wanted).order_by(delivery.c.id.desc()).limit(limit)
    ).mappings()
    return tuple(_delivery(row) for row in rows)


def counts(connection: Connection) -> dict[DeliveryState, int]:
    """How many there are of each state, as long as they are kept."""
    rows = connection.execute(select(delivery.c.state, func.count()).group_by(delivery.c.state))
    return {DeliveryState(state): count for state, count in rows}


def next_due(connection: Connection) -> Micros | None:
    """When to look again, if nobody writes anything earlier."""
    due = connection.scalar(select(func.min(delivery.c.due_at)).where(_PENDING))
    return None if due is None else Micros(due)


def first_due(
    connection: Connection,
    now: Micros,
    *,
    kinds: Collection[str] | None = None,
    without: Collection[str] = (),
) -> Micros | None:
    """Since when the oldest delivery that is due by now has been so; None if none is."""
    wanted = [_PENDING, delivery.c.due_at <= now, *_of(kinds, without)]
    due = connection.scalar(select(delivery.c.due_at).where(*wanted).order_by(delivery.c.due_at).limit(1))
    return None if due is None else Micros(due)


def pending(connection: Connection, *, kinds: Collection[str]) -> int:
    """How many wait to be sent, or are on their way."""
    query = select(func.count()).where(_PENDING, delivery.c.kind.in_(kinds))
    return connection.scalar(query) or 0


def _of(kinds: Collection[str] | None, without: Collection[str]) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if kinds is not None:
        found.append(delivery.c.kind.in_(kinds))
    if without:
        found.append(delivery.c.channel.not_in(without))
    return found


def _row(one: NewDelivery) -> bulk.Row:
    due_at = one.at if one.due_at is None else one.due_at
    names = (clean(one.key), one.kind, one.channel, one.responder, one.contact)
    return (*names, one.group, clean(one.data), one.at, due_at, 0, int(DeliveryState.PENDING), "", "", "")


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(
        id=row["id"],
        key=row["key"],
        kind=row["kind"],
        channel=row["channel"],
        responder=row["responder"],
        contact=row["contact"],
        group=row["group_id"],
        data=row["data"],
        created_at=Micros(row["created_at"]),
        due_at=Micros(row["due_at"]),
        attempts=row["attempts"],
        state=DeliveryState(row["state"]),
        first_attempt_at=row["first_attempt_at"],
        finished_at=row["finished_at"],
        reason=row["reason"],
        error=row["error"],
        receipt=row["receipt"],
    )
