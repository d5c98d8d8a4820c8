"""Deliveries become parcels, or turn out to be needless or impossible. Pure but for what it is given."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from types import MappingProxyType

import msgspec
from structlog.typing import FilteringBoundLogger

from tocsin.dispatch.announcements import Announcement
from tocsin.dispatch.deliveries import content
from tocsin.dispatch.deliveries.channels import Channels, Way, secret_name
from tocsin.dispatch.deliveries.content import Occasion, Subject, Writer, shows_first_alert
from tocsin.dispatch.deliveries.loading import Loaded, contact_of
from tocsin.dispatch.deliveries.parcels import Order, Parcel, Result, Shown, order_of
from tocsin.flow.groups import State
from tocsin.flow.program import Program
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.message import Kind, Message, Recipient
from tocsin.store import deliveries
from tocsin.store.deliveries import Delivery
from tocsin.store.groups import AlertGroup
from tocsin.store.posted import Posted

KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        deliveries.GROUP: "group",
        deliveries.UPDATE: "update",
        deliveries.PERSONAL: "personal",
        deliveries.ANNOUNCEMENT: "announcement",
        deliveries.BUNDLE: "bundle",
        deliveries.REMINDER: "reminder",
    }
)
"""Kinds of deliveries that are messages."""

EVENT_CHANNELS = frozenset({"pagerduty", "opsgenie", "alertmanager"})
"""An edit of theirs is an event that people are told of, so `sendResolved: false` forbids it."""


class _Settled(Exception):
    """There is nothing to send after all. Holds the result."""

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result


class Preparing:
    """One batch of one flow. `open` the channels first."""

    def __init__(self, program: Program, channels: Channels, loaded: Loaded, console_url: str) -> None:
        self._program = program
        self._channels = channels
        self._loaded = loaded
        self._writer = Writer(program, console_url)

    def prepare(self, delivery: Delivery, log: FilteringBoundLogger) -> Parcel | Result:
        """Never raises: what cannot be prepared is a failure of this delivery alone."""
        try:
            return self._prepare(delivery)
        except _Settled as settled:
            return settled.result
        except Exception as error:
            log.exception("a message could not be prepared", key=delivery.key)
            failure = DeliveryFailed(
                FailureReason.OTHER, f"the message could not be prepared: {type(error).__name__}"
            )
            return Result(delivery=delivery, failure=failure)

    def _prepare(self, delivery: Delivery) -> Parcel:
        order = order_of(delivery.data)
        way = self._way(delivery)
        make: Callable[[Delivery, Order, Way], Parcel] = {
            deliveries.GROUP: self._group,
            deliveries.UPDATE: self._update,
            deliveries.PERSONAL: self._personal,
            deliveries.REMINDER: self._reminder,
            deliveries.BUNDLE: self._bundle,
            deliveries.ANNOUNCEMENT: self._announcement,
        }[delivery.kind]
        return make(delivery, order, way)

    def _way(self, delivery: Delivery) -> Way:
        way = self._channels.get(self._program, delivery.channel)
        if way is None:
            message = f"there is no NotificationChannel {delivery.channel} (any more)"
            failure = DeliveryFailed(FailureReason.CLIENT_ERROR, message, permanent=True)
            raise _Settled(Result(delivery=delivery, failure=failure))
        if way.failure is not None:
            raise _Settled(Result(delivery=delivery, type=way.fragment.type, failure=way.failure))
        return way

    # --- by kind ---

    def _group(self, delivery: Delivery, order: Order, way: Way) -> Parcel:
        """The group's message; where the route has posted it already, that message is brought up to date."""
        subject = self._subject(delivery, way)
        there = self._posted(delivery)
        if there is not None and not order.step:
            return self._edit(delivery, order, way, there)
        if subject.group.state is State.RESOLVED and not way.edits:
            raise _needless(delivery, way, "the group was resolved before anybody was told here")
        thread = there.reference if there is not None else ""
        return self._parcel(delivery, order, way, Occasion(kind="group", key=delivery.key, thread=thread))

    def _update(self, delivery: Delivery, order: Order, way: Way) -> Parcel:
        self._subject(delivery, way)
        there = self._posted(delivery)
        if there is None:
            raise _needless(delivery, way, "there is no message to edit")
        return self._edit(delivery, order, way, there)

    def _edit(self, delivery: Delivery, order: Order, way: Way, there: Posted) -> Parcel:
        state = self._subject(delivery, way).group.state
        resolved = state is State.RESOLVED
        occasion = Occasion(kind="update", key=delivery.key, thread=there.reference)
        parcel = self._parcel(delivery, order, way, occasion, reference=there.reference)
        if parcel.shown is not None and parcel.shown.digest == there.shown:
            raise _needless(delivery, way, "the message says so already", parcel.shown)
        if (
            resolved
            and not way.fragment.send_resolved
            and (not way.edits or way.fragment.type in EVENT_CHANNELS)
        ):
            raise _needless(delivery, way, "sendResolved is false", parcel.shown)
        if not way.edits and (not resolved or there.state is State.RESOLVED):
            raise _needless(delivery, way, f"{way.fragment.type} cannot edit messages", parcel.shown)
        return parcel

    def _personal(self, delivery: Delivery, order: Order, way: Way) -> Parcel:
        group = self._subject(delivery, way).group
        reason = _nobody_needs_to_know(group, order)
        if reason:
            raise _needless(delivery, way, reason)
        there = self._posted(delivery)
        occasion = Occasion(
            kind="personal",
            key=delivery.key,
            reason=order.reason,
            thread=there.reference if there is not None else "",
        )
        return self._parcel(delivery, order, way, occasion, recipient=self._recipient(delivery))

    def _reminder(self, delivery: Delivery, order: Order, way: Way) -> Parcel:
        """To a person where one is named, else into the channel, under the group's message."""
        if self._subject(delivery, way).group.state is not State.ACKNOWLEDGED:
            raise _needless(delivery, way, "the group is not acknowledged any more")
        there = self._posted(delivery)
        occasion = Occasion(
            kind="reminder",
            key=delivery.key,
            reason=order.reason,
            thread=there.reference if there is not None else "",
            confirm=order.confirm,
        )
        recipient = self._recipient(delivery) if delivery.responder else Recipient()
        return self._parcel(delivery, order, way, occasion, recipient=recipient)

    def _bundle(self, delivery: Delivery, order: Order, way: Way) -> Parcel:
        firing = self._loaded.bundles[delivery.id]
        if not firing.total:
            raise _needless(delivery, way, "none of its groups fires any more")
        occasion = Occasion(kind="bundle", key=delivery.key, reason=order.reason)
        message = self._writer.bundle(occasion, firing)
        recipient = self._recipient(delivery) if delivery.responder else Recipient()
        return Parcel(delivery=delivery, order=order, way=way, message=message, recipient=recipient)

    def _announcement(self, delivery: Delivery, order: Order, way: Way) -> Parcel:
        told = msgspec.json.decode(delivery.data, type=Announcement)
        message = content.announcement(delivery.key, told)
        return Parcel(delivery=delivery, order=order, way=way, message=message)

    # --- parts ---

    def _parcel(  # noqa: PLR0913 - a parcel has that many parts
        self,
        delivery: Delivery,
        order: Order,
        way: Way,
        occasion: Occasion,
        *,
        recipient: Recipient | None = None,
        reference: str = "",
    ) -> Parcel:
        subject = self._subject(delivery, way)
        message = self._writer.about_group(occasion, subject, way.fragment)
        return Parcel(
            delivery=delivery,
            order=order,
            way=way,
            message=message,
            recipient=recipient or Recipient(),
            reference=reference,
            shown=Shown(
                group=subject.group.number,
                state=subject.group.state,
                alerts_count=subject.group.alerts_count,
                digest=digest_of(message),
                there=self._posted(delivery),
            ),
        )

    def _subject(self, delivery: Delivery, way: Way) -> Subject:
        subject = self._loaded.subjects.get((delivery.group or 0, shows_first_alert(way.fragment)))
        if subject is None:
            raise _needless(delivery, way, "the group was deleted")
        if subject.group.life.wiped:
            raise _needless(delivery, way, "the group was wiped")
        return subject

    def _posted(self, delivery: Delivery) -> Posted | None:
        return self._loaded.posted.get((delivery.group or 0, delivery.channel))

    def _recipient(self, delivery: Delivery) -> Recipient:
        """Where the channel is a fallback on which the person has no address, its own place is told who was meant."""
        responder = self._program.targets.responders.get(delivery.responder)
        contact = contact_of(self._program, delivery)
        name = responder.display_name if responder is not None else delivery.responder
        if contact is None:
            return Recipient(name=name)
        secret = contact.address_secret
        address = self._loaded.values.get(secret_name(secret), "") if secret is not None else contact.address
        return Recipient(address=address, name=name)


def digest_of(message: Message) -> str:
    """Equal for messages that say the same, whatever they are called."""
    said = msgspec.structs.replace(message, kind="group", key="", reason="", thread="")
    return hashlib.sha256(msgspec.json.encode(said)).hexdigest()[:32]


def _needless(delivery: Delivery, way: Way, reason: str, seen: Shown | None = None) -> _Settled:
    return _Settled(Result(delivery=delivery, type=way.fragment.type, dropped=reason, seen=seen))


def _nobody_needs_to_know(group: AlertGroup, order: Order) -> str:
    """Why a person is not told any more; "" if they are (alert-flow R-NTF-5, and checked anew just before sending)."""
    if group.parent is not None:
        return f"the group is attached to #{group.parent}"
    if group.state is State.RESOLVED:
        return "the group is resolved"
    if order.even_if_acknowledged or group.state is State.FIRING:
        return ""
    return f"the group is {group.state}"
