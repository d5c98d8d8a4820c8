"""The second way of a message that could not be delivered: the channel's fallback, once."""

from __future__ import annotations

import msgspec

from tocsin.dispatch.deliveries.parcels import order_of
from tocsin.flow.model import Micros
from tocsin.flow.targets import Targets
from tocsin.store import deliveries
from tocsin.store.deliveries import Delivery, NewDelivery

WITHOUT = frozenset({deliveries.UPDATE})
"""Kinds that have no second way: an edit belongs to its message."""


def second_way(delivery: Delivery, targets: Targets) -> str:
    """The channel that gets what this one could not deliver; "" if there is none.

    What is a fallback already has none, whatever its channel declares, so that nothing goes round in circles.
    """
    channel = targets.channels.get(delivery.channel)
    if channel is None or delivery.kind in WITHOUT or order_of(delivery.data).instead_of:
        return ""
    other = channel.fallback
    return other if other in targets.channels and other != delivery.channel else ""


def in_place_of(delivery: Delivery, channel: str, now: Micros) -> NewDelivery:
    """The same message for another channel. Its key follows from the first one's, so it is sent once as well."""
    data = delivery.data
    if delivery.kind != deliveries.ANNOUNCEMENT:
        order = order_of(data)
        reason = f"{order.reason}; " if order.reason else ""
        order = msgspec.structs.replace(
            order,
            reason=f"{reason}{delivery.channel} could not be reached",
            instead_of=delivery.channel,
        )
        if delivery.kind == deliveries.BUNDLE:
            order = msgspec.structs.replace(order, bundle=delivery.key, since=delivery.created_at)
        data = msgspec.json.encode(order).decode()
    return NewDelivery(
        key=f"{delivery.key}/instead/{channel}",
        kind=delivery.kind,
        at=now,
        channel=channel,
        responder=delivery.responder,
        contact=delivery.contact,
        group=delivery.group,
        data=data,
    )
