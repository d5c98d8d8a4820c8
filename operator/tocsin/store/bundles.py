"""Messages that wait together: too many for one place at once become the lines of one message.

A bundle is a delivery of its own. What goes into it is finished at once, dropped as `bundled`, and names it as its
receipt; what the bundle says is read when it is sent.
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, and_, func, select, update

from tocsin.api import ids
from tocsin.flow.model import Micros
from tocsin.store import deliveries
from tocsin.store.backend import disguise_of
from tocsin.store.deliveries import DeliveryState, NewDelivery
from tocsin.store.tables import FIRING, alert_group, delivery

BUNDLED = "bundled"
"""The reason of a delivery that became part of a bundle."""


class BundledGroup(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    public_id: str
    title: str


class Firing(msgspec.Struct, frozen=True, kw_only=True):
    """Groups of a bundle that fire still: how many, and the first of them."""

    total: int
    groups: tuple[BundledGroup, ...]


def join(connection: Connection, bundle: NewDelivery, members: Collection[int], now: Micros) -> bool:
    """Make these claimed deliveries part of the bundle, which is written if it is new.

    False, and nothing changed, if it is too late: somebody has begun to send it.
    """
    deliveries.enqueue(connection, [bundle])
    # Locks the row, so that nobody claims the bundle before its new members are to be seen.
    waiting = update(delivery).where(
        delivery.c.key == bundle.key,
        delivery.c.state == int(DeliveryState.PENDING),
        delivery.c.attempts == 0,
    )
    if not connection.execute(waiting.values(attempts=0)).rowcount:
        return False
    connection.execute(
        update(delivery)
        .where(delivery.c.id.in_(members))
        .values(
            state=int(DeliveryState.DROPPED),
            reason=BUNDLED,
            receipt=bundle.key,
            finished_at=now,
            claimed_by=None,
            claimed_until=None,
        )
    )
    return True


def firing(connection: Connection, key: str, since: Micros, *, limit: int) -> Firing:
    """What the bundle of this key has to say now. `since`: when it was written."""
    members = (
        select(delivery.c.group_id)
        .where(
            delivery.c.state != int(DeliveryState.PENDING),
            delivery.c.finished_at >= since,
            delivery.c.receipt == key,
            delivery.c.reason == BUNDLED,
        )
        .distinct()
        .subquery()
    )
    of_bundle = and_(
        alert_group.c.id == members.c.group_id,
        alert_group.c.state == FIRING,
        alert_group.c.parent_id.is_(None),
    )
    total = connection.scalar(select(func.count()).select_from(alert_group.join(members, of_bundle))) or 0
    rows = connection.execute(
        select(alert_group.c.id, alert_group.c.title)
        .select_from(alert_group.join(members, of_bundle))
        .order_by(alert_group.c.id)
        .limit(limit)
    )
    disguise = disguise_of(connection)
    return Firing(
        total=total,
        groups=tuple(
            BundledGroup(number=row.id, public_id=disguise.id_of(ids.GROUP, row.id), title=row.title)
            for row in rows
        ),
    )
