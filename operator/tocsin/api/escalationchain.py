"""EscalationChain: whom an alert group is told to, in which order, until somebody acts."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from tocsin.api.common import Duration, Metadata, ObjectRef, Sharing, Spec, Status

Refs = Annotated[tuple[ObjectRef, ...], msgspec.Meta(min_length=1, max_length=64)]
Team = Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
TimeOfDay = Annotated[
    str, msgspec.Meta(min_length=5, max_length=5, pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z")
]
TimeZone = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Importance(StrEnum):
    """Which of a responder's two lists of rules applies (alert-flow R-ESC-13)."""

    DEFAULT = "Default"
    IMPORTANT = "Important"


class Weekday(StrEnum):
    MONDAY = "Mon"
    TUESDAY = "Tue"
    WEDNESDAY = "Wed"
    THURSDAY = "Thu"
    FRIDAY = "Fri"
    SATURDAY = "Sat"
    SUNDAY = "Sun"


class WaitStep(Spec, frozen=True, kw_only=True):
    duration: Duration


class RespondersStep(Spec, frozen=True, kw_only=True):
    responder_refs: Refs
    importance: Importance = Importance.DEFAULT


class OnCallStep(Spec, frozen=True, kw_only=True):
    schedule_ref: ObjectRef
    importance: Importance = Importance.DEFAULT


class TeamStep(Spec, frozen=True, kw_only=True):
    name: Team
    importance: Importance = Importance.DEFAULT


class ChannelStep(Spec, frozen=True, kw_only=True):
    channel_ref: ObjectRef


class WebhookStep(Spec, frozen=True, kw_only=True):
    webhook_ref: ObjectRef


class ResolveStep(Spec, frozen=True, kw_only=True):
    """`resolve: {}`."""


class TimeWindowStep(Spec, frozen=True, kw_only=True):
    """Wall time in `time_zone`; `from` later than `to` is a night (alert-flow R-ESC-19). Without days: every day."""

    from_: TimeOfDay = msgspec.field(name="from")
    to: TimeOfDay
    time_zone: TimeZone = "UTC"
    days: Annotated[tuple[Weekday, ...], msgspec.Meta(max_length=7)] = ()


class AlertCountStep(Spec, frozen=True, kw_only=True):
    """Go on only if more than `more_than` alerts came within the time before the last one (alert-flow R-ESC-30)."""

    more_than: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    within: Duration


class RepeatStep(Spec, frozen=True, kw_only=True):
    """Back to the first step, at most this often in one escalation (alert-flow R-ESC-31)."""

    times: Annotated[int, msgspec.Meta(ge=1, le=100)] = 5


class Step(Spec, frozen=True, kw_only=True):
    """Exactly one member is set (CEL)."""

    wait: WaitStep | None = None
    notify_responders: RespondersStep | None = None
    notify_next_responder: RespondersStep | None = None
    notify_on_call: OnCallStep | None = None
    notify_team: TeamStep | None = None
    notify_channel: ChannelStep | None = None
    trigger_webhook: WebhookStep | None = None
    resolve: ResolveStep | None = None
    continue_in_time_window: TimeWindowStep | None = None
    continue_if_more_alerts: AlertCountStep | None = None
    repeat: RepeatStep | None = None


class AcknowledgeReminder(Spec, frozen=True, kw_only=True):
    """Asks who acknowledged whether they still work on it (alert-flow 10.4).

    With `unacknowledge_after` the group is un-acknowledged if nobody confirms in that time.
    """

    every: Duration
    unacknowledge_after: Duration | None = None


class EscalationChainSpec(Spec, frozen=True, kw_only=True):
    """`steps` in order. A chain without steps is allowed and tells nobody."""

    steps: Annotated[tuple[Step, ...], msgspec.Meta(max_length=64)] = ()
    team: Annotated[str, msgspec.Meta(max_length=100)] = ""
    acknowledge_reminder: AcknowledgeReminder | None = None
    sharing: Sharing = Sharing()
    suspend: bool = False


class EscalationChainStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """`used_by`: routes and Integrations that lead here."""

    steps: int = 0
    used_by: int = 0


class EscalationChain(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: EscalationChainSpec
