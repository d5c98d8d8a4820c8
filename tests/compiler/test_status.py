"""Statuses: what each condition says, and when its transition time moves."""

from __future__ import annotations

import msgspec
import pytest
from compiler_cases import NOW, compile_text, manifest, report_of

from tocsin.api.check import check_status
from tocsin.api.common import Condition, Finding, Identity
from tocsin.api.conditions import ConditionType, Reason
from tocsin.api.integration import IntegrationStatus
from tocsin.flow.compiler import Report
from tocsin.flow.compiler.report import ChannelFacts, Facts
from tocsin.flow.model import Micros
from tocsin.flow.status import (
    NO_RECEIVERS,
    PENDING,
    PROGRAMMED,
    Circumstances,
    Delivering,
    Duty,
    Programming,
    Running,
    conditions_of,
    rfc3339,
    status_of,
)

HOUR = 3_600_000_000
WEB = manifest("Integration", "web", "{type: webhook}")
HALF = manifest("AlertRoute", "r", "{parentRefs: [{name: nope}], match: {template: '{{ broken'}}")
SHADOWED = manifest("AlertRoute", "a", "{parentRefs: [{name: web}], match: {template: 'true'}}") + manifest(
    "AlertRoute", "b", "{parentRefs: [{name: web}], match: {regex: x}}"
)


def shown(conditions: tuple[Condition, ...]) -> dict[str, tuple[str, str]]:
    return {c.type: (c.status.value, c.reason) for c in conditions}


@pytest.mark.parametrize(
    ("programming", "ready"),
    [
        (PROGRAMMED, ("True", "Ready")),
        (PENDING, ("False", "Pending")),
        (NO_RECEIVERS, ("False", "NoReceivers")),
        (
            Programming(programmed=False, reason=Reason.PENDING, message="waits for receiver-2"),
            ("False", "Pending"),
        ),
    ],
)
def test_ready_follows_what_the_receivers_say(programming: Programming, ready: tuple[str, str]) -> None:
    """A valid object is ready once the receivers have it, and says what is missing until then."""
    report = report_of(compile_text(WEB), "Integration", "web")
    conditions = shown(conditions_of(report, Circumstances(now=NOW, programming=programming)))
    assert conditions["Ready"] == ready
    assert conditions["Accepted"] == ("True", "Accepted")
    assert list(conditions) == ["Accepted", "ResolvedRefs", "Programmed", "Ready"]


def test_half_bad_object_is_accepted_and_not_ready() -> None:
    """The invalid part comes first as the reason of Ready, before the dangling reference."""
    report = report_of(compile_text(WEB + HALF), "AlertRoute", "r")
    conditions = conditions_of(report, Circumstances(now=NOW, programming=PROGRAMMED))
    assert shown(conditions) == {
        "Accepted": ("True", "Accepted"),
        "ResolvedRefs": ("False", "RefNotFound"),
        "Programmed": ("True", "Programmed"),
        "Ready": ("False", "InvalidTemplate"),
        "PartiallyInvalid": ("True", "InvalidTemplate"),
    }
    assert "spec.match.template" in next(c.message for c in conditions if c.type == "Ready")


def test_shadowed_only_where_no_alert_reaches_the_route() -> None:
    """A route that is reached on one of its Integrations has a finding, but not the condition."""
    report = report_of(compile_text(WEB + SHADOWED), "AlertRoute", "b")
    circumstances = Circumstances(now=NOW, programming=PROGRAMMED)
    assert shown(conditions_of(report, circumstances))["Shadowed"] == ("True", "Shadowed")
    both = SHADOWED.replace("[{name: web}], match: {regex", "[{name: web}, {name: api}], match: {regex")
    text = WEB + manifest("Integration", "api", "{type: webhook}") + both
    report = report_of(compile_text(text), "AlertRoute", "b")
    assert "Shadowed" not in shown(conditions_of(report, circumstances))
    assert [finding.reason for finding in report.findings] == ["Shadowed"]


def test_transition_time_moves_only_with_the_status() -> None:
    """A new message or generation keeps the time; a new status takes the present one."""
    report = report_of(compile_text(WEB), "Integration", "web")
    first = conditions_of(report, Circumstances(now=NOW, programming=PENDING, generation=1))
    later = Micros(NOW + HOUR)
    second = conditions_of(report, Circumstances(now=later, programming=NO_RECEIVERS, generation=2), first)
    times = {c.type: c.last_transition_time for c in second}
    assert set(times.values()) == {rfc3339(NOW)}
    assert {c.observed_generation for c in second} == {2}
    third = conditions_of(report, Circumstances(now=later, programming=PROGRAMMED, generation=2), second)
    times = {c.type: c.last_transition_time for c in third}
    assert times["Programmed"] == times["Ready"] == rfc3339(later)
    assert times["Accepted"] == rfc3339(NOW)


def test_same_circumstances_give_the_same_status() -> None:
    """Nothing is written where nothing changed: status on status is a fixed point."""
    report = report_of(compile_text(WEB + SHADOWED), "AlertRoute", "b")
    first = status_of(report, Circumstances(now=NOW, programming=PROGRAMMED, generation=3))
    again = status_of(
        report, Circumstances(now=Micros(NOW + HOUR), programming=PROGRAMMED, generation=3), first.conditions
    )
    assert again == first


def test_facts_of_running_reach_the_status() -> None:
    """Alarms become conditions; times are cut to the minute, so that they change at most once a minute."""
    compiled = compile_text(manifest("Integration", "web", "{type: webhook, heartbeat: {interval: 90s}}"))
    identity = Identity("Integration", "default", "web")
    running = Running(
        last_alert=Micros(NOW + 59_000_000),
        default_route_hits=7,
        heartbeat_state="Alive",
        heartbeat_seen=Micros(NOW + 61_000_000),
        alarms={ConditionType.TEMPLATE_ERRORS: "3 failures of spec.templates.resolve in the last hour"},
    )
    status = status_of(
        compiled.reports[identity],
        Circumstances(now=NOW, running=running, fragment=compiled.flow.fragment(identity)),
    )
    assert isinstance(status, IntegrationStatus)
    assert (status.last_alert, status.default_route_hits) == ("2026-07-01T12:00:00Z", 7)
    assert status.heartbeat is not None
    assert (status.heartbeat.state, status.heartbeat.last_seen, status.heartbeat.interval) == (
        "Alive",
        "2026-07-01T12:01:00Z",
        "1m30s",
    )
    assert shown(status.conditions)["TemplateErrors"] == ("True", "RenderingFailed")


def test_limits_of_the_schema_hold_whatever_was_found() -> None:
    """Thousands of long findings become a status that the API server takes."""
    findings = tuple(
        Finding(field=f"spec.{'f' * 600}[{number}]", reason="Invalid", message="m" * 50_000)
        for number in range(500)
    )
    report = Report(
        identity=Identity("Integration", "default", "web"),
        accepted=False,
        reason=Reason.INVALID,
        findings=findings,
    )
    status = status_of(report, Circumstances(now=NOW, generation=1))
    assert len(status.findings) == 100
    assert check_status("Integration", msgspec.to_builtins(status)) == ()


@pytest.mark.parametrize("kind", ["NotificationChannel", "OutgoingWebhook", "OnCallSchedule"])
def test_limits_of_the_schema_hold_whatever_happened(kind: str) -> None:
    """A very long error, and a hundred people on call at once, become a status that the API server takes."""
    crowd = tuple(f"{'n' * 63}/{number:0253}" for number in range(100))
    delivering = Delivering(last=NOW, error="e" * 50_000, failing_since=NOW, status_code=503)
    facts = ChannelFacts(type="slack") if kind == "NotificationChannel" else Facts()
    status = status_of(
        Report(identity=Identity(kind, "default", "x"), facts=facts),
        Circumstances(
            now=NOW,
            running=Running(delivering=delivering),
            duty=Duty(on_call=crowd, following=crowd, handover=NOW),
        ),
    )
    assert check_status(kind, msgspec.to_builtins(status)) == ()


def test_a_refused_object_says_that_nothing_is_loaded() -> None:
    """Programmed is False and ResolvedRefs Unknown on an object that is not accepted."""
    report = report_of(compile_text(manifest("Integration", "web", "{type: nope}")), "Integration", "web")
    assert shown(conditions_of(report, Circumstances(now=NOW, programming=PROGRAMMED))) == {
        "Accepted": ("False", "UnknownType"),
        "ResolvedRefs": ("Unknown", "NotAccepted"),
        "Programmed": ("False", "NotAccepted"),
        "Ready": ("False", "UnknownType"),
    }
