"""MaintenanceWindow: planned quiet time, one-off or recurring, for integrations and optionally some labels."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from tocsin.api.common import Duration, Matcher, Metadata, ObjectRef, Selector, Spec, Status
from tocsin.api.integration import ChannelPublication

LocalTime = Annotated[
    str,
    msgspec.Meta(
        min_length=16,
        max_length=25,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[-+][0-9]{2}:[0-9]{2})?\Z",
    ),
]
LocalDateOrTime = Annotated[
    str,
    msgspec.Meta(
        min_length=10,
        max_length=19,
        pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}(:[0-9]{2})?)?\Z",
    ),
]


class MaintenanceMode(StrEnum):
    DEBUG = "Debug"
    MAINTENANCE = "Maintenance"


class OnEnd(StrEnum):
    RESUME = "Resume"
    RESOLVE = "Resolve"
    KEEP = "Keep"


class Schedule(Spec, frozen=True, kw_only=True):
    """`start` is wall time in `timeZone`; an offset or `Z` is allowed only without `recurrence` (CEL).

    `recurrence` is an RFC 5545 RRULE value without DTSTART, for example `FREQ=WEEKLY;BYDAY=SU`.
    `exceptions` drop the occurrences that start on a date, or at a date and time, in `timeZone`.
    """

    start: LocalTime
    duration: Duration
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = "UTC"
    recurrence: Annotated[str, msgspec.Meta(max_length=512)] = ""
    exceptions: Annotated[tuple[LocalDateOrTime, ...], msgspec.Meta(max_length=256)] = ()


class Announce(Spec, frozen=True, kw_only=True):
    """Announcements to channels: at start, at end, and before the start. Sent by the dispatcher."""

    at_start: bool = False
    at_end: bool = False
    before: Annotated[tuple[Duration, ...], msgspec.Meta(max_length=4)] = ()
    chatops: Annotated[tuple[ChannelPublication, ...], msgspec.Meta(min_length=1, max_length=16)]


class MaintenanceWindowSpec(Spec, frozen=True, kw_only=True):
    mode: MaintenanceMode
    schedule: Schedule
    integration_refs: Annotated[tuple[ObjectRef, ...], msgspec.Meta(max_length=64)] = ()
    integration_selector: Selector | None = None
    match_labels: Annotated[tuple[Matcher, ...], msgspec.Meta(max_length=32)] = ()
    on_end: OnEnd = OnEnd.RESUME
    announce: Announce | None = None
    suspend: bool = False


class MaintenanceWindowStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    attached_integrations: int = 0
    active: bool = False
    next_start: str = ""
    ends: str = ""


class MaintenanceWindow(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: MaintenanceWindowSpec
