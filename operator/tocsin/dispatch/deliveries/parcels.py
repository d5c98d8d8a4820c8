"""A delivery on its way through this process: what was ordered, what is sent, what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from tocsin.dispatch.deliveries.channels import Way
from tocsin.flow.groups import State
from tocsin.flow.model import Micros
from tocsin.notify.channel import DeliveryFailed
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.store.deliveries import Delivery
from tocsin.store.posted import Posted

UNKNOWN = "unknown"
"""The type of a channel that is not declared any more."""


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`Delivery.data` of messages; all of it may be missing. `reason` says why one is told.

    `step`: of the chain that asks for it, "" for the route itself. `even_if_acknowledged`: a person was paged by hand.
    `confirm`: whoever acknowledged has to say that they still work on it. `bundle` and `since`: key of the bundle whose
    groups are meant, and when it began, if that is not the delivery itself. `instead_of`: the channel that failed, so
    that nothing falls back twice.
    """

    reason: str = ""
    step: str = ""
    important: bool = False
    even_if_acknowledged: bool = False
    confirm: bool = False
    bundle: str = ""
    since: Micros = Micros(0)
    instead_of: str = ""


NO_ORDER = Order()


def order_of(data: str) -> Order:
    """What is not an order (announcements carry something else) orders nothing."""
    try:
        return msgspec.json.decode(data, type=Order)
    except msgspec.DecodeError:
        return NO_ORDER


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a message says of its group, to be remembered with it. `digest` changes with anything that it says.

    `there`: the group's message in this channel as it was before.
    """

    group: int
    state: State
    alerts_count: int
    digest: str
    there: Posted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Ready to be sent. `reference`: of the message to edit instead of sending a new one. `total`: groups in it."""

    delivery: Delivery
    order: Order
    way: Way
    message: Message
    recipient: Recipient = field(default_factory=Recipient)
    reference: str = ""
    shown: Shown | None = None

    @property
    def total(self) -> int:
        return self.message.total if self.message.kind == "bundle" else 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of a claim: one of `sent`, `failure`, `dropped` (there was no reason left to send it, in words), or
    none of them: it was not tried, and shall be at `again` (microseconds from now).

    `parcel` is None where it did not come to one. `seconds`: how long the attempt took.
    """

    delivery: Delivery
    type: str = UNKNOWN
    parcel: Parcel | None = None
    sent: Sent | None = None
    failure: DeliveryFailed | None = None
    dropped: str = ""
    again: int = 0
    seconds: float = 0.0
    seen: Shown | None = None
