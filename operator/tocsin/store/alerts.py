"""Reading alerts, their outcomes and payloads."""

from __future__ import annotations

from collections.abc import Collection
from types import MappingProxyType
from typing import Any, cast

import msgspec
from sqlalchemy import Connection, Row, Select, func, literal, select

from tocsin.api import ids
from tocsin.flow.decision import Outcome
from tocsin.flow.model import Digest, Micros
from tocsin.store.arrivals import Origin
from tocsin.store.backend import disguise_of
from tocsin.store.tables import alert, alert_group, group_tally, manifest
from tocsin.store.text import decode_outcome, unpack

_ORIGINS = MappingProxyType({0: "source", 1: "heartbeat", 2: "demo"})


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. `ordinal` counts within its group from 1. `now` and `manifest` are what its trace is recomputed with;
    `manifest` is None if that flow is not kept. `has_payload` is False once retention or the rate limit took it.
    """

    id: int
    public_id: str
    group: int
    group_public_id: str
    ordinal: int
    received_at: Micros
    now: Micros
    manifest: Digest | None
    origin: Origin
    digested: bool
    has_payload: bool
    outcome: Outcome


class AlertPage(msgspec.Struct, frozen=True, kw_only=True):
    """`next`: the `before` of the next page, None at the end."""

    items: tuple[Alert, ...]
    next: int | None


def get(connection: Connection, number: int) -> Alert | None:
    row = connection.execute(_query().where(alert.c.id == number)).first()
    return None if row is None else _alert(connection, row)


def get_by_public_id(connection: Connection, public_id: str) -> Alert | None:
    number = disguise_of(connection).number_of(ids.ALERT, public_id)
    return None if number is None else get(connection, number)


def list_alerts(
    connection: Connection, *, group: int | None = None, before: int | None = None, limit: int = 100
) -> AlertPage:
    """Newest first, of one group or of all. `before` is the id of the last alert of the page before."""
    query = _query()
    if group is not None:
        query = query.where(alert.c.id.in_(chain(connection, group, before=before, limit=limit + 1)))
    elif before is not None:
        query = query.where(alert.c.id < before)
    rows = connection.execute(query.order_by(alert.c.id.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    return AlertPage(
        items=tuple(_alert(connection, row) for row in shown),
        next=shown[-1].id if len(rows) > limit else None,
    )


def chain(connection: Connection, group: int, *, before: int | None = None, limit: int) -> list[int]:
    """Ids of a group's alerts, newest first, at most `limit`; from the one that precedes `before`, if given."""
    if before is None:
        head = select(group_tally.c.last_alert_id).where(group_tally.c.group_id == group)
    else:
        head = select(alert.c.previous_id).where(alert.c.id == before, alert.c.group_id == group)
    first_id = connection.scalar(head)
    if first_id is None:
        return []
    steps = (
        select(alert.c.id, alert.c.previous_id, literal(1).label("step"))
        .where(alert.c.id == first_id)
        .cte("steps", recursive=True)
    )
    following = alert.alias()
    steps = steps.union_all(
        select(following.c.id, following.c.previous_id, steps.c.step + 1).where(
            following.c.id == steps.c.previous_id, steps.c.step < limit
        )
    )
    return list(connection.scalars(select(steps.c.id).order_by(steps.c.step)))


def count_since(connection: Connection, group: int, since: Micros, *, enough: int) -> int:
    """How many of a group's alerts came at `since` or later; stops counting at `enough`."""
    walked = (
        select(alert.c.previous_id, alert.c.received_at, literal(1).label("step"))
        .join(group_tally, group_tally.c.last_alert_id == alert.c.id)
        .where(group_tally.c.group_id == group, alert.c.received_at >= since)
        .cte("walked", recursive=True)
    )
    following = alert.alias()
    walked = walked.union_all(
        select(following.c.previous_id, following.c.received_at, walked.c.step + 1).where(
            following.c.id == walked.c.previous_id,
            following.c.received_at >= since,
            walked.c.step < enough,
        )
    )
    return connection.scalar(select(func.count()).select_from(walked)) or 0


def latest(connection: Connection, group: int) -> tuple[int, Micros] | None:
    """Number and time of the group's latest alert, if it has one."""
    row = connection.execute(
        select(alert.c.id, alert.c.received_at)
        .join(group_tally, group_tally.c.last_alert_id == alert.c.id)
        .where(group_tally.c.group_id == group)
    ).first()
    return None if row is None else (row.id, Micros(row.received_at))


def first(connection: Connection, group: int) -> Alert | None:
    """The alert that opened the group, if it is not a maintenance group."""
    number = connection.scalar(select(alert_group.c.first_alert_id).where(alert_group.c.id == group))
    return None if number is None else get(connection, number)


def last(connection: Connection, group: int) -> Alert | None:
    """The group's latest alert, if it has one."""
    number = connection.scalar(select(group_tally.c.last_alert_id).where(group_tally.c.group_id == group))
    return None if number is None else get(connection, number)


def ends(connection: Connection, groups: Collection[int]) -> dict[int, tuple[int | None, int | None]]:
    """Ids of the first and the latest alert of each of these groups."""
    rows = connection.execute(
        select(alert_group.c.id, alert_group.c.first_alert_id, group_tally.c.last_alert_id)
        .join(group_tally, group_tally.c.group_id == alert_group.c.id)
        .where(alert_group.c.id.in_(groups))
    )
    return {row.id: (row.first_alert_id, row.last_alert_id) for row in rows}


def get_some(connection: Connection, numbers: Collection[int]) -> dict[int, tuple[Alert, bytes | None]]:
    """Those of these alerts that there are, each with its payload as canonical JSON if that is kept."""
    owner = alert.alias()
    query = _query().add_columns(owner.c.body.label("payload"))
    rows = connection.execute(
        query.join(owner, owner.c.id == alert.c.payload_id, isouter=True).where(alert.c.id.in_(numbers))
    )
    return {
        row.id: (_alert(connection, row), None if row.payload is None else unpack(bytes(row.payload)))
        for row in rows
    }


def payload_of(connection: Connection, number: int) -> bytes | None:
    """The alert's payload as canonical JSON, None if it is not kept."""
    owner = alert.alias()
    body = connection.scalar(
        select(owner.c.body).join(alert, alert.c.payload_id == owner.c.id).where(alert.c.id == number)
    )
    return None if body is None else unpack(bytes(body))


def _query() -> Select[Any]:
    columns = [column for column in alert.c if column.name != "body"]
    return select(*columns, manifest.c.digest.label("manifest_digest")).join(
        manifest, manifest.c.id == alert.c.manifest_id, isouter=True
    )


def _alert(connection: Connection, row: Row[Any]) -> Alert:
    disguise = disguise_of(connection)
    return Alert(
        id=row.id,
        public_id=disguise.id_of(ids.ALERT, row.id),
        group=row.group_id,
        group_public_id=disguise.id_of(ids.GROUP, row.group_id),
        ordinal=row.ordinal,
        received_at=row.received_at,
        now=row.evaluated_at,
        manifest=None if row.manifest_digest is None else Digest(bytes(row.manifest_digest).hex()),
        origin=cast("Origin", _ORIGINS[row.origin]),
        digested=row.digested,
        has_payload=row.payload_id is not None,
        outcome=decode_outcome(bytes(row.outcome)),
    )
