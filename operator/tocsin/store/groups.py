"""Reading alert groups: one, or pages of them by filter."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, literal_column, or_, select

from tocsin.api import ids
from tocsin.api.common import Identity
from tocsin.flow.groups import GroupState, State
from tocsin.flow.model import Micros
from tocsin.store import identities, states
from tocsin.store.backend import disguise_of
from tocsin.store.tables import alert_group, group_label, group_tally, label

COUNT_CAP = 10_000


class AlertGroup(msgspec.Struct, frozen=True, kw_only=True):
    """One group as stored. `number` is its key; `route` is `namespace/name` or `default`.

    `title`, `labels` and `route` are those of its first alert. `maintenance_of`: the occurrence whose groups it collects.
    """

    number: int
    public_id: str
    integration: Identity
    route: str
    title: str
    state: State
    life: GroupState
    labels: tuple[tuple[str, str], ...]
    alerts_count: int
    digested_count: int
    received_at: Micros
    started_at: Micros
    last_alert_at: Micros
    parent: int | None
    maintenance_of: int | None
    suppressed: bool
    demo: bool
    escalate_at: Micros | None
    renotified_at: Micros | None


class GroupFilter(msgspec.Struct, frozen=True, kw_only=True):
    """All that is set must hold. `labels` are exact and case-sensitive, all of them; `text` is a group's number
    (`123` or `#123`), its public id, or part of its title in any case; `started_to` is exclusive.
    """

    states: tuple[State, ...] = ()
    integration: Identity | None = None
    route: str | None = None
    labels: tuple[tuple[str, str], ...] = ()
    started_from: Micros | None = None
    started_to: Micros | None = None
    text: str = ""
    roots_only: bool = False


class Count(msgspec.Struct, frozen=True, kw_only=True):
    """Exact up to 10,000; beyond that 10,000 and `capped`."""

    count: int
    capped: bool


class GroupPage(msgspec.Struct, frozen=True, kw_only=True):
    """`next`: the `before` of the next page, None at the end."""

    items: tuple[AlertGroup, ...]
    next: int | None


def get(connection: Connection, number: int) -> AlertGroup | None:
    row = connection.execute(_query().where(alert_group.c.id == number)).first()
    return None if row is None else _read(connection, [row])[0]


def get_some(connection: Connection, numbers: Collection[int]) -> dict[int, AlertGroup]:
    """Those of these groups that there are, by number."""
    rows = connection.execute(_query().where(alert_group.c.id.in_(numbers))).all()
    return {group.number: group for group in _read(connection, rows)}


def states_of(connection: Connection, numbers: Collection[int]) -> dict[int, State]:
    """The states alone of those of these groups that there are."""
    rows = connection.execute(
        select(alert_group.c.id, alert_group.c.state).where(alert_group.c.id.in_(numbers))
    )
    return {row.id: states.STATES[row.state] for row in rows}


def get_by_public_id(connection: Connection, public_id: str) -> AlertGroup | None:
    number = disguise_of(connection).number_of(ids.GROUP, public_id)
    return None if number is None else get(connection, number)


def list_groups(
    connection: Connection, wanted: GroupFilter, *, before: int | None = None, limit: int = 25
) -> GroupPage:
    """Newest first. `before` is the number of the last group of the page before."""
    conditions = _conditions(connection, wanted)
    if conditions is None:
        return GroupPage(items=(), next=None)
    query = _query().where(*conditions)
    if before is not None:
        query = query.where(alert_group.c.id < before)
    rows = connection.execute(query.order_by(alert_group.c.id.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    return GroupPage(items=_read(connection, shown), next=shown[-1].id if len(rows) > limit else None)


def count(connection: Connection, wanted: GroupFilter) -> Count:
    conditions = _conditions(connection, wanted)
    if conditions is None:
        return Count(count=0, capped=False)
    some = select(alert_group.c.id).where(*conditions).limit(COUNT_CAP + 1).subquery()
    found = connection.scalar(select(func.count()).select_from(some)) or 0
    return Count(count=min(found, COUNT_CAP), capped=found > COUNT_CAP)


def children(connection: Connection, number: int) -> tuple[AlertGroup, ...]:
    """Groups attached to this one, oldest first."""
    rows = connection.execute(
        _query().where(alert_group.c.parent_id == number).order_by(alert_group.c.id)
    ).all()
    return _read(connection, rows)


def _query() -> Select[Any]:
    return select(
        alert_group, group_tally.c.alerts_count, group_tally.c.last_alert_at, group_tally.c.digested_count
    ).join(group_tally, group_tally.c.group_id == alert_group.c.id)


def _conditions(connection: Connection, wanted: GroupFilter) -> list[ColumnElement[bool]] | None:
    """None if nothing can match."""
    found: list[ColumnElement[bool]] = []
    if wanted.states:
        # one literal comparison per state, so that the partial index of that state serves it
        numbers = sorted({states.NUMBERS[state] for state in wanted.states})
        found.append(or_(*(alert_group.c.state == _literal(number) for number in numbers)))
    if wanted.started_from is not None:
        found.append(alert_group.c.started_at >= wanted.started_from)
    if wanted.started_to is not None:
        found.append(alert_group.c.started_at < wanted.started_to)
    if wanted.roots_only:
        found.append(alert_group.c.parent_id.is_(None))
    if wanted.text:
        found.append(_text(connection, wanted.text.strip()))
    named = _named(connection, wanted)
    return None if named is None else found + named


def _named(connection: Connection, wanted: GroupFilter) -> list[ColumnElement[bool]] | None:
    """Conditions on what has a number of its own; what has none was never used, so nothing can match."""
    found: list[ColumnElement[bool]] = []
    for column, of in (
        (alert_group.c.integration_id, wanted.integration),
        (alert_group.c.route_id, None if wanted.route is None else identities.route_identity(wanted.route)),
    ):
        if of is not None:
            number = identities.find(connection, of)
            if number is None:
                return None
            found.append(column == number)
    for key, value in wanted.labels:
        number = connection.scalar(select(label.c.id).where(label.c.key == key, label.c.value == value))
        if number is None:
            return None
        found.append(
            exists().where(group_label.c.label_id == number, group_label.c.group_id == alert_group.c.id)
        )
    return found


def _literal(number: int) -> ColumnElement[int]:
    return literal_column(str(number))


def _text(connection: Connection, text: str) -> ColumnElement[bool]:
    found: list[ColumnElement[bool]] = [alert_group.c.title.icontains(text, autoescape=True)]
    digits = text.removeprefix("#")
    if digits.isascii() and digits.isdigit() and len(digits) <= 18:
        found.append(alert_group.c.id == int(digits))
    number = disguise_of(connection).number_of(ids.GROUP, text.upper())
    if number is not None:
        found.append(alert_group.c.id == number)
    return or_(*found)


def _read(connection: Connection, rows: Sequence[Row[Any]]) -> tuple[AlertGroup, ...]:
    """Rows with their labels and the names of what they belong to: two more queries for the whole page."""
    if not rows:
        return ()
    names = identities.load(connection, {row.integration_id for row in rows} | {row.route_id for row in rows})
    labels: dict[int, list[tuple[str, str]]] = {}
    pairs = connection.execute(
        select(group_label.c.group_id, label.c.key, label.c.value)
        .join(label, label.c.id == group_label.c.label_id)
        .where(group_label.c.group_id.in_([row.id for row in rows]))
    )
    for group, key, value in pairs:
        labels.setdefault(group, []).append((key, value))
    disguise = disguise_of(connection)
    return tuple(
        AlertGroup(
            number=row.id,
            public_id=disguise.id_of(ids.GROUP, row.id),
            integration=names[row.integration_id],
            route=identities.route_name(names[row.route_id]),
            title=row.title,
            state=states.STATES[row.state],
            life=states.state_of([getattr(row, name) for name in states.COLUMNS]),
            labels=tuple(sorted(labels.get(row.id, ()))),
            alerts_count=row.alerts_count,
            digested_count=row.digested_count,
            received_at=row.received_at,
            started_at=row.started_at,
            last_alert_at=row.last_alert_at,
            parent=row.parent_id,
            maintenance_of=row.occurrence_id,
            suppressed=row.suppressed,
            demo=row.demo,
            escalate_at=row.escalate_at,
            renotified_at=row.renotified_at,
        )
        for row in rows
    )
