"""Which routes alerts took lately, counted from where the last count ended."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, Integer, cast, func, select

from tocsin.api.common import Identity
from tocsin.flow.decision import Outcome
from tocsin.flow.model import Micros
from tocsin.store import identities
from tocsin.store.tables import alert, alert_group, group_tally
from tocsin.store.text import decode_outcome


class Hits(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts of one Integration on one route within one slot of time. `digested`: those over the rate limit."""

    integration: Identity
    route: Identity
    slot: int
    count: int
    digested: int
    last: Micros


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What one alert's evaluation said."""

    integration: Identity
    received_at: Micros
    outcome: Outcome


def newest(connection: Connection) -> int:
    """The id of the newest alert, 0 if there is none."""
    return connection.scalar(select(func.max(alert.c.id))) or 0


def last_before(connection: Connection, moment: Micros) -> int:
    """An id such that nearly all later alerts came at `moment` or after; found without an index, in a few look-ups."""
    low, high = 0, newest(connection)
    while low < high:
        middle = (low + high + 1) // 2
        row = connection.execute(
            select(alert.c.id, alert.c.received_at).where(alert.c.id >= middle).order_by(alert.c.id).limit(1)
        ).first()
        if row is None or row.received_at >= moment:
            high = middle - 1
        else:
            low = max(row.id, middle)
    return low


def count(connection: Connection, *, after: int, up_to: int, slot: int) -> tuple[Hits, ...]:
    """Alerts with an id above `after` and at most `up_to`, by slots of so many microseconds."""
    number = cast(alert.c.received_at / slot, Integer).label("number")
    if connection.dialect.name == "postgresql":
        number = func.div(alert.c.received_at, slot).label("number")
    rows = connection.execute(
        select(
            alert_group.c.integration_id,
            alert_group.c.route_id,
            number,
            func.count().label("n"),
            func.sum(cast(alert.c.digested, Integer)).label("digested"),
            func.max(alert.c.received_at).label("last"),
        )
        .join(alert_group, alert_group.c.id == alert.c.group_id)
        .where(alert.c.id > after, alert.c.id <= up_to)
        .group_by(alert_group.c.integration_id, alert_group.c.route_id, number)
    ).all()
    names = identities.load(connection, {row.integration_id for row in rows} | {row.route_id for row in rows})
    return tuple(
        Hits(
            integration=names[row.integration_id],
            route=names[row.route_id],
            slot=int(row.number),
            count=row.n,
            digested=int(row.digested or 0),
            last=row.last,
        )
        for row in rows
        if row.integration_id in names and row.route_id in names
    )


def last_alerts(connection: Connection) -> dict[Identity, Micros]:
    """When the last alert of each Integration came, as far as its groups are kept."""
    rows = connection.execute(
        select(alert_group.c.integration_id, func.max(group_tally.c.last_alert_at).label("last"))
        .join(group_tally, group_tally.c.group_id == alert_group.c.id)
        .where(alert_group.c.occurrence_id.is_(None))
        .group_by(alert_group.c.integration_id)
    ).all()
    names = identities.load(connection, {row.integration_id for row in rows})
    return {names[row.integration_id]: Micros(row.last) for row in rows if row.integration_id in names}


def samples(connection: Connection, *, after: int, limit: int) -> tuple[Sample, ...]:
    """The newest alerts with an id above `after`."""
    rows = connection.execute(
        select(alert.c.received_at, alert.c.outcome, alert_group.c.integration_id)
        .join(alert_group, alert_group.c.id == alert.c.group_id)
        .where(alert.c.id > after)
        .order_by(alert.c.id.desc())
        .limit(limit)
    ).all()
    names = identities.load(connection, {row.integration_id for row in rows})
    return tuple(
        Sample(
            integration=names[row.integration_id],
            received_at=row.received_at,
            outcome=decode_outcome(bytes(row.outcome)),
        )
        for row in rows
        if row.integration_id in names
    )
