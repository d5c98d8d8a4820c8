"""Counts over all alert groups, for metrics."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Label, Select, case, func, select

from tocsin.api.common import Identity
from tocsin.flow.groups import State
from tocsin.flow.model import Micros
from tocsin.store import identities, states
from tocsin.store.claims import count_dead
from tocsin.store.tables import alert_group, dead_letter, group_label, label

SERVICE = "service_name"
"""The label whose value tells services apart (alert-flow R-MET-6)."""

BUCKETS = (60_000_000, 300_000_000, 600_000_000, 3_600_000_000)
"""Upper bounds of response times, in microseconds; one more bucket has none."""

dead_timers = count_dead


class GroupCount(msgspec.Struct, frozen=True, kw_only=True):
    """`service` is "" for groups without that label."""

    integration: Identity
    service: str
    state: State
    count: int


class ResponseTimes(msgspec.Struct, frozen=True, kw_only=True):
    """`buckets` are cumulative: one count per bound of BUCKETS and one of all. `total` in microseconds."""

    integration: Identity
    service: str
    buckets: tuple[int, ...]
    total: int


def group_counts(connection: Connection) -> tuple[GroupCount, ...]:
    """Maintenance groups are not counted, what they collect is (alert-flow R-MET-7)."""
    service = _service()
    query = (
        _labelled(select(alert_group.c.integration_id, alert_group.c.state, service, func.count().label("n")))
        .where(alert_group.c.occurrence_id.is_(None))
        .group_by(alert_group.c.integration_id, alert_group.c.state, service)
    )
    rows = connection.execute(query).all()
    names = identities.load(connection, {row.integration_id for row in rows})
    return tuple(
        GroupCount(
            integration=names[row.integration_id],
            service=row.service,
            state=states.STATES[row.state],
            count=row.n,
        )
        for row in sorted(rows, key=lambda r: (names[r.integration_id], r.service, r.state))
    )


def response_times(connection: Connection, *, since: Micros) -> tuple[ResponseTimes, ...]:
    """Of the groups that began since then and were reacted to."""
    service, time = _service(), alert_group.c.response_time
    counts = [func.sum(case((time <= bound, 1), else_=0)).label(f"b{at}") for at, bound in enumerate(BUCKETS)]
    query = (
        _labelled(
            select(
                alert_group.c.integration_id,
                service,
                func.count().label("n"),
                func.sum(time).label("total"),
                *counts,
            )
        )
        .where(alert_group.c.occurrence_id.is_(None), time.is_not(None), alert_group.c.started_at >= since)
        .group_by(alert_group.c.integration_id, service)
    )
    rows = connection.execute(query).all()
    names = identities.load(connection, {row.integration_id for row in rows})
    return tuple(
        ResponseTimes(
            integration=names[row.integration_id],
            service=row.service,
            buckets=(*(int(getattr(row, f"b{at}")) for at in range(len(BUCKETS))), row.n),
            total=int(row.total),
        )
        for row in sorted(rows, key=lambda r: (names[r.integration_id], r.service))
    )


def dead_letters(connection: Connection) -> int:
    return connection.scalar(select(func.count()).select_from(dead_letter)) or 0


def _service() -> Label[str]:
    return func.coalesce(label.c.value, "").label("service")


def _labelled(query: Select[Any]) -> Select[Any]:
    """With the service label of each group, where it has one."""
    services = (
        select(group_label.c.group_id, group_label.c.label_id)
        .join(label, label.c.id == group_label.c.label_id)
        .where(label.c.key == SERVICE)
        .subquery()
    )
    return (
        query.select_from(alert_group)
        .join(services, services.c.group_id == alert_group.c.id, isouter=True)
        .join(label, label.c.id == services.c.label_id, isouter=True)
    )
