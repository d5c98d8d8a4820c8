"""From a report and the facts of running to the status of an object: conditions, findings and numbers. Pure.

Conditions are Gateway API's: `Accepted`, `ResolvedRefs`, `Programmed` and `Ready` are always there, the others only
while they are true. `Ready` is True if the first three are and nothing of the object is invalid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from tocsin.api.alertroute import AlertRouteStatus, RouteParentStatus
from tocsin.api.alerttemplate import AlertTemplateStatus
from tocsin.api.common import Condition, ConditionStatus, Finding, Severity, Status
from tocsin.api.conditions import (
    MAX_CONDITION_MESSAGE,
    MAX_FINDING_MESSAGE,
    MAX_FINDINGS,
    ConditionType,
    Reason,
)
from tocsin.api.durations import SECOND, format_duration
from tocsin.api.escalationchain import EscalationChainStatus
from tocsin.api.integration import HeartbeatStatus, IntegrationStatus
from tocsin.api.labelrule import LabelRuleStatus
from tocsin.api.maintenancewindow import MaintenanceWindowStatus
from tocsin.api.notificationchannel import NotificationChannelStatus
from tocsin.api.oncallschedule import OnCallScheduleStatus
from tocsin.api.outgoingwebhook import OutgoingWebhookStatus
from tocsin.api.responder import ResponderStatus
from tocsin.flow.compiler.report import (
    ChainFacts,
    ChannelFacts,
    IntegrationFacts,
    Report,
    ResponderFacts,
    RouteFacts,
    RuleFacts,
    TemplateFacts,
    WindowFacts,
)
from tocsin.flow.compiler.standing import TELLING
from tocsin.flow.model import AnyFragment, IntegrationFragment, Micros, WindowFragment
from tocsin.flow.schedule import Schedule
from tocsin.flow.zones import utc_of

_MAX_FIELD = 512
_MAX_NAMES = 64
_MAX_ERROR = 1024
_SUSPENDED = "spec.suspend is set: treated as if the object were not there"


class Programming(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the running replicas have this generation. Who follows them makes it."""

    programmed: bool
    reason: str
    message: str


PROGRAMMED = Programming(
    programmed=True, reason=Reason.PROGRAMMED, message="all running receivers have loaded this generation"
)
DISPATCHED = msgspec.structs.replace(
    PROGRAMMED, message="all running dispatchers have loaded this generation"
)
PENDING = Programming(
    programmed=False,
    reason=Reason.PENDING,
    message="not all running receivers have loaded this generation yet",
)
UNDISPATCHED = msgspec.structs.replace(
    PENDING, message="not all running dispatchers have loaded this generation yet"
)
NO_RECEIVERS = Programming(
    programmed=False,
    reason=Reason.NO_RECEIVERS,
    message="no receiver is running; start one, or look at the logs of those that fail",
)
NO_DISPATCHERS = msgspec.structs.replace(
    NO_RECEIVERS, message="no dispatcher is running; start one, or look at the logs of those that fail"
)


class Delivering(msgspec.Struct, frozen=True, kw_only=True):
    """How a NotificationChannel or an OutgoingWebhook does. `last` is the last time that something was sent.

    `failing_since` None: the last attempt worked. `status_code` is that of a webhook's last answer, 0 without one.
    """

    last: Micros | None = None
    error: str = ""
    failing_since: Micros | None = None
    status_code: int = 0


class Duty(msgspec.Struct, frozen=True, kw_only=True):
    """Who is on call by a schedule at the moment of this status: names of Responders. `handover` None: no change ahead."""

    on_call: tuple[str, ...] = ()
    following: tuple[str, ...] = ()
    handover: Micros | None = None


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What only the data plane knows of an object. `alarms` are conditions that are true now, with their messages."""

    last_alert: Micros | None = None
    default_route_hits: int = 0
    matched_last_24h: int = 0
    heartbeat_state: str = ""
    heartbeat_seen: Micros | None = None
    delivering: Delivering | None = None
    alarms: Mapping[ConditionType, str] = {}


class Circumstances(msgspec.Struct, frozen=True, kw_only=True):
    """Everything besides the report. `fragment` is the object's own, where the flow holds one.

    `duty` is that of an OnCallSchedule, where it is known.
    """

    now: Micros
    generation: int = 0
    programming: Programming = PENDING
    running: Running = Running()
    fragment: AnyFragment | None = None
    duty: Duty = Duty()


_ALARM_REASONS = {
    ConditionType.TEMPLATE_ERRORS: Reason.RENDERING_FAILED,
    ConditionType.RATE_LIMITED: Reason.LIMIT_EXCEEDED,
    ConditionType.DELIVERY_FAILING: Reason.DELIVERY_FAILED,
    ConditionType.CALENDAR_FAILING: Reason.FETCH_FAILED,
}


def status_of(report: Report, circumstances: Circumstances, previous: tuple[Condition, ...] = ()) -> Status:
    """The status of one object, of its kind's type. `previous` are the conditions that the object has now."""
    return msgspec.structs.replace(
        _numbers(report, circumstances),
        observed_generation=circumstances.generation,
        conditions=conditions_of(report, circumstances, previous),
        findings=tuple(_fitting(finding) for finding in report.findings[:MAX_FINDINGS]),
    )


def _numbers(report: Report, circumstances: Circumstances) -> Status:
    """What the status of a kind says besides conditions and findings."""
    running = circumstances.running
    match report.facts:
        case IntegrationFacts() as facts:
            return IntegrationStatus(
                path=facts.path,
                endpoint_secret=facts.endpoint_secret,
                attached_routes=facts.attached_routes,
                last_alert=_minute(running.last_alert),
                default_route_hits=running.default_route_hits,
                heartbeat=_heartbeat(circumstances),
            )
        case RouteFacts(places=places):
            parents = tuple(
                RouteParentStatus(
                    integration=place.integration, position=place.position, accepted=place.accepted
                )
                for place in places
            )
            return AlertRouteStatus(parents=parents, matched_last24h=running.matched_last_24h)
        case RuleFacts(attached_integrations=attached):
            return LabelRuleStatus(attached_integrations=attached)
        case WindowFacts(attached_integrations=attached):
            return _window(attached, circumstances)
        case TemplateFacts(used_by=used_by):
            return AlertTemplateStatus(used_by=used_by)
        case ChainFacts(steps=steps, used_by=used_by):
            return EscalationChainStatus(steps=steps, used_by=used_by)
        case ChannelFacts() as channel:
            return _channel(channel, running.delivering or Delivering())
        case ResponderFacts(contacts=contacts):
            return ResponderStatus(contacts=contacts)
        case _:
            return _plain(report.identity.kind, circumstances)


def _plain(kind: str, circumstances: Circumstances) -> Status:
    """Of the kinds of which the compiler knows nothing to say in numbers, and of what is refused."""
    match kind:
        case "OutgoingWebhook":
            return _webhook(circumstances.running.delivering or Delivering())
        case "OnCallSchedule":
            duty = circumstances.duty
            handover = "" if duty.handover is None else rfc3339(duty.handover)
            return OnCallScheduleStatus(
                on_call=duty.on_call[:_MAX_NAMES],
                next=duty.following[:_MAX_NAMES],
                next_handover=handover,
            )
        case _:
            return _STATUS_OF_KIND[kind]()


_STATUS_OF_KIND: Mapping[str, type[Status]] = {
    "Integration": IntegrationStatus,
    "AlertRoute": AlertRouteStatus,
    "AlertTemplate": AlertTemplateStatus,
    "LabelRule": LabelRuleStatus,
    "MaintenanceWindow": MaintenanceWindowStatus,
    "EscalationChain": EscalationChainStatus,
    "NotificationChannel": NotificationChannelStatus,
    "Responder": ResponderStatus,
}


def conditions_of(
    report: Report, circumstances: Circumstances, previous: tuple[Condition, ...] = ()
) -> tuple[Condition, ...]:
    """All conditions, each with the transition time that it had if its status is still the same."""
    before = {condition.type: condition for condition in previous}
    return tuple(
        _with_transition(condition, before.get(condition.type), circumstances)
        for condition in _conditions(report, circumstances)
    )


def rfc3339(moment: Micros) -> str:
    """`2026-07-01T12:00:00Z`, rounded down to the second."""
    return utc_of(moment).strftime("%Y-%m-%dT%H:%M:%SZ")


def _conditions(report: Report, circumstances: Circumstances) -> Iterator[Condition]:
    accepted, resolved = _accepted(report), _resolved_refs(report)
    programmed = _programmed(report, circumstances.programming)
    partial = _partially_invalid(report)
    yield from (accepted, resolved, programmed)
    yield _ready(report, (accepted, partial, resolved, programmed))
    if partial is not None:
        yield partial
    if _is_shadowed(report):
        yield _condition(
            ConditionType.SHADOWED, ConditionStatus.TRUE, Reason.SHADOWED, _joined(report.shadow_findings)
        )
    for kind, reason in _ALARM_REASONS.items():
        if kind in circumstances.running.alarms:
            yield _condition(kind, ConditionStatus.TRUE, reason, circumstances.running.alarms[kind])


def _accepted(report: Report) -> Condition:
    if report.accepted:
        message = _SUSPENDED if report.suspended else "valid"
        return _condition(ConditionType.ACCEPTED, ConditionStatus.TRUE, report.reason, message)
    errors = tuple(finding for finding in report.findings if finding.severity is Severity.ERROR)
    return _condition(
        ConditionType.ACCEPTED, ConditionStatus.FALSE, report.reason, f"no effect: {_joined(errors)}"
    )


def _resolved_refs(report: Report) -> Condition:
    kind = ConditionType.RESOLVED_REFS
    if not report.accepted:
        message = "references are looked at once the object is accepted"
        return _condition(kind, ConditionStatus.UNKNOWN, Reason.NOT_ACCEPTED, message)
    dangling = report.reference_findings
    if dangling:
        return _condition(kind, ConditionStatus.FALSE, dangling[0].reason, _joined(dangling))
    return _condition(kind, ConditionStatus.TRUE, Reason.RESOLVED_REFS, "all references lead somewhere")


def _programmed(report: Report, programming: Programming) -> Condition:
    kind = ConditionType.PROGRAMMED
    if not report.accepted:
        message = "there is nothing to load, because the object is not accepted"
        return _condition(kind, ConditionStatus.FALSE, Reason.NOT_ACCEPTED, message)
    status = ConditionStatus.TRUE if programming.programmed else ConditionStatus.FALSE
    return _condition(kind, status, programming.reason, programming.message)


def _partially_invalid(report: Report) -> Condition | None:
    invalid = report.partial_findings
    if not invalid:
        return None
    message = f"{_joined(invalid)}. The rest of the object works"
    return _condition(ConditionType.PARTIALLY_INVALID, ConditionStatus.TRUE, invalid[0].reason, message)


def _ready(report: Report, others: tuple[Condition | None, ...]) -> Condition:
    for other in others:
        if other is None:
            continue
        good = (
            ConditionStatus.FALSE if other.type == ConditionType.PARTIALLY_INVALID else ConditionStatus.TRUE
        )
        if other.status != good:
            return _condition(ConditionType.READY, ConditionStatus.FALSE, other.reason, other.message)
    users = "dispatchers" if report.identity.kind in TELLING else "receivers"
    message = (
        _SUSPENDED if report.suspended else f"accepted, references resolved, loaded by all running {users}"
    )
    return _condition(ConditionType.READY, ConditionStatus.TRUE, Reason.READY, message)


def _is_shadowed(report: Report) -> bool:
    """Whether no alert reaches the route on any Integration that it is attached to."""
    if not isinstance(report.facts, RouteFacts):
        return False
    attached = sum(1 for place in report.facts.places if place.accepted)
    return 0 < attached == len(report.shadow_findings)


def _condition(kind: ConditionType, status: ConditionStatus, reason: str, message: str) -> Condition:
    return Condition(
        type=kind.value, status=status, reason=str(reason), message=_cut(message, MAX_CONDITION_MESSAGE)
    )


def _with_transition(
    condition: Condition, before: Condition | None, circumstances: Circumstances
) -> Condition:
    same = before is not None and before.status == condition.status and before.last_transition_time
    return msgspec.structs.replace(
        condition,
        observed_generation=circumstances.generation,
        last_transition_time=same or rfc3339(circumstances.now),
    )


def _joined(findings: tuple[Finding, ...]) -> str:
    """The first findings as one text, and how many more there are."""
    shown = "; ".join(f"{f.field}: {f.message}" if f.field else f.message for f in findings[:5])
    return shown if len(findings) <= 5 else f"{shown}; and {len(findings) - 5} more"


def _fitting(finding: Finding) -> Finding:
    if len(finding.message) <= MAX_FINDING_MESSAGE and len(finding.field) <= _MAX_FIELD:
        return finding
    return msgspec.structs.replace(
        finding, field=_cut(finding.field, _MAX_FIELD), message=_cut(finding.message, MAX_FINDING_MESSAGE)
    )


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _minute(moment: Micros | None) -> str:
    """To the minute, so that a status is written at most once a minute for it."""
    return "" if moment is None else rfc3339(Micros(moment - moment % (60 * SECOND)))


def _heartbeat(circumstances: Circumstances) -> HeartbeatStatus | None:
    fragment = circumstances.fragment
    if not isinstance(fragment, IntegrationFragment) or fragment.heartbeat is None:
        return None
    running = circumstances.running
    return HeartbeatStatus(
        state=running.heartbeat_state or "Waiting",
        last_seen=_minute(running.heartbeat_seen),
        interval=format_duration(fragment.heartbeat.interval),
    )


def _channel(facts: ChannelFacts, delivering: Delivering) -> NotificationChannelStatus:
    return NotificationChannelStatus(
        type=facts.type,
        last_sent=_minute(delivering.last),
        last_error=_cut(delivering.error, _MAX_ERROR),
        failing_since=_minute(delivering.failing_since),
        used_by=facts.used_by,
    )


def _webhook(delivering: Delivering) -> OutgoingWebhookStatus:
    return OutgoingWebhookStatus(
        last_run=_minute(delivering.last),
        last_status_code=delivering.status_code,
        last_error=_cut(delivering.error, _MAX_ERROR),
        failing_since=_minute(delivering.failing_since),
    )


def _window(attached: int, circumstances: Circumstances) -> MaintenanceWindowStatus:
    fragment, now = circumstances.fragment, circumstances.now
    running = upcoming = None
    if isinstance(fragment, WindowFragment):
        schedule = Schedule(fragment)
        running, upcoming = schedule.occurrence_at(now), schedule.next_occurrence(now)
    return MaintenanceWindowStatus(
        attached_integrations=attached,
        active=running is not None,
        next_start="" if upcoming is None else rfc3339(upcoming.start),
        ends="" if running is None else rfc3339(running.end),
    )
