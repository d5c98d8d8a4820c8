"""OnCallSchedule: who is on call when, by rotation layers with overrides, or from an iCal calendar."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from tocsin.api.common import Duration, KeyRef, Metadata, Sharing, Spec, Status
from tocsin.api.escalationchain import Refs, TimeOfDay, TimeZone, Weekday
from tocsin.api.maintenancewindow import LocalTime
from tocsin.api.notificationchannel import Url


class Frequency(StrEnum):
    HOURLY = "Hourly"
    DAILY = "Daily"
    WEEKLY = "Weekly"
    MONTHLY = "Monthly"


class Rotation(Spec, frozen=True, kw_only=True):
    """Every `interval` hours, days, weeks or months the next participants take over, at the wall time of `start`."""

    frequency: Frequency = Frequency.WEEKLY
    interval: Annotated[int, msgspec.Meta(ge=1, le=366)] = 1


class Participants(Spec, frozen=True, kw_only=True):
    """Who is on call together."""

    responder_refs: Refs


class Restriction(Spec, frozen=True, kw_only=True):
    """The layer has somebody only then. `from` later than `to` reaches into the next day; equal: the whole day."""

    days: Annotated[tuple[Weekday, ...], msgspec.Meta(max_length=7)] = ()
    from_: TimeOfDay = msgspec.field(name="from", default="00:00")
    to: TimeOfDay = "00:00"


class Layer(Spec, frozen=True, kw_only=True):
    """A later layer covers earlier ones wherever it has somebody. `start` is the first handover, in `time_zone`."""

    name: Annotated[
        str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
    ]
    start: LocalTime
    until: LocalTime | None = None
    rotation: Rotation = Rotation()
    participants: Annotated[tuple[Participants, ...], msgspec.Meta(min_length=1, max_length=64)]
    restrictions: Annotated[tuple[Restriction, ...], msgspec.Meta(max_length=16)] = ()


class Override(Spec, frozen=True, kw_only=True):
    """Wins over every layer and over the calendar from `start` to `end`."""

    start: LocalTime
    end: LocalTime
    responder_refs: Refs


class ICal(Spec, frozen=True, kw_only=True):
    """Exactly one source (CEL). The summary of an event names Responders by username, name or e-mail."""

    url: Url | None = None
    url_secret_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None
    refresh: Duration = "10m"


class OnCallScheduleSpec(Spec, frozen=True, kw_only=True):
    """`layers` or `ical`, at least one of both (CEL). With both, layers cover the calendar where they have somebody."""

    time_zone: TimeZone = "UTC"
    team: Annotated[str, msgspec.Meta(max_length=100)] = ""
    layers: Annotated[tuple[Layer, ...], msgspec.Meta(max_length=16)] = ()
    overrides: Annotated[tuple[Override, ...], msgspec.Meta(max_length=256)] = ()
    ical: ICal | None = None
    sharing: Sharing = Sharing()
    suspend: bool = False


class OnCallScheduleStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """`on_call` and `next` are names of Responders; `next_handover` is RFC 3339."""

    on_call: tuple[str, ...] = ()
    next: tuple[str, ...] = ()
    next_handover: str = ""


class OnCallSchedule(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: OnCallScheduleSpec
