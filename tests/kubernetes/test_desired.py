"""What a status should say, whether it says so, and what is told as Events."""

from __future__ import annotations

from typing import Any

from tocsin.api.common import Finding, Identity, Severity
from tocsin.api.conditions import Reason
from tocsin.control.kubernetes.desired import condition, desired_status, is_programmed, same
from tocsin.control.kubernetes.events import happenings
from tocsin.flow.compiler import IntegrationFacts, Report, RouteFacts, WindowFacts
from tocsin.flow.model import Micros
from tocsin.flow.status import PENDING, PROGRAMMED, Circumstances, Programming

ROUTE = Identity("AlertRoute", "n", "a")
EARLY, LATE = Micros(1_800_000_000_000_000), Micros(1_800_000_500_000_000)


def status(
    *findings: Finding,
    programming: Programming = PROGRAMMED,
    present: dict[str, Any] | None = None,
    now: Micros = EARLY,
    generation: int = 1,
) -> Any:
    report = Report(identity=ROUTE, findings=findings, facts=RouteFacts())
    circumstances = Circumstances(now=now, generation=generation, programming=programming)
    return desired_status(report, circumstances, present or {})


BAD = Finding(field="spec.match.template", reason=Reason.INVALID_TEMPLATE, message="unexpected '}'")
DANGLING = Finding(field="spec.parentRefs[0]", reason=Reason.REF_NOT_FOUND, message="no Integration x")


def test_equal_input_gives_an_equal_status_at_any_time() -> None:
    """Transition times stay while nothing turns, so nothing is written."""
    first = status(BAD)
    again = status(BAD, present=first, now=LATE)
    assert same(first, again) and first == again


def test_a_transition_time_moves_only_where_something_turned() -> None:
    """Accepted stays, Programmed turns."""
    first = status(programming=PENDING)
    second = status(present=first, now=LATE)
    times = {c["type"]: c["lastTransitionTime"] for c in second["conditions"]}
    assert times["Accepted"] != times["Programmed"] == times["Ready"]


def test_defaults_of_the_schema_are_no_difference() -> None:
    """The API server stores them, so what is compared has them, too."""
    report = Report(identity=Identity("Integration", "n", "a"), facts=IntegrationFacts(path="/x/"))
    made = desired_status(report, Circumstances(now=EARLY, generation=1), {})
    assert made["attachedRoutes"] == 0 and made["defaultRouteHits"] == 0


def test_conditions_of_others_are_neither_written_nor_fought_over() -> None:
    """Somebody's controller may add its own."""
    first = status()
    foreign = {
        "type": "Audited",
        "status": "True",
        "reason": "X",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    present = {**first, "conditions": [foreign, *first["conditions"]]}
    again = status(present=present)
    assert same(present, again)
    assert "Audited" not in {c["type"] for c in again["conditions"]}


def test_the_order_of_conditions_is_no_difference() -> None:
    """The API server may merge them in any order."""
    first = status()
    assert same({**first, "conditions": first["conditions"][::-1]}, first)


def test_a_broken_status_is_replaced() -> None:
    """Whatever somebody wrote there."""
    for present in ({"conditions": "none"}, {"conditions": [{"type": 5}, "x"]}, {"parents": []}):
        assert not same(present, status(present=present))


def test_programmed_counts_for_its_own_generation_only() -> None:
    """An old proof says nothing about the new generation."""
    made = status(generation=4)
    assert is_programmed(made, 4) and not is_programmed(made, 5)
    assert not is_programmed(status(programming=PENDING, generation=4), 4)
    ready = condition(made, "Ready")  # type: ignore[arg-type]
    assert ready is not None and ready.status == "True"


def told(before: Any, after: Any) -> list[tuple[str, str]]:
    return [(h.type, h.reason) for h in happenings(before, after)]


def test_a_good_object_tells_that_it_is_live_once() -> None:
    """Not again with each later writing."""
    first = status()
    assert told({}, first) == [("Normal", "Programmed")]
    assert told(first, status(present=first, generation=2)) == []


def test_a_bad_object_warns_once() -> None:
    """When it becomes bad, not while it stays so."""
    first = status()
    second = status(BAD, present=first)
    assert told(first, second) == [("Warning", "InvalidConfiguration")]
    assert told(second, status(BAD, present=second)) == []
    assert told({}, status(DANGLING)) == [("Warning", "UnresolvedRef"), ("Normal", "Programmed")]


def test_a_warning_is_no_event() -> None:
    """Findings that change nothing are on the status."""
    note = Finding(field="spec", reason="TemplateNote", message="x", severity=Severity.WARNING)
    assert told(status(), status(note)) == []


def test_windows_tell_of_their_start_and_end() -> None:
    """A window that was never open does not tell that it is closed."""

    def window(*, active: bool) -> dict[str, Any]:
        report = Report(identity=Identity("MaintenanceWindow", "n", "w"), facts=WindowFacts())
        made = desired_status(report, Circumstances(now=EARLY, generation=1, programming=PROGRAMMED), {})
        return {**made, "active": active}

    assert told(window(active=False), window(active=True)) == [("Normal", "WindowStarted")]
    assert told(window(active=True), window(active=False)) == [("Normal", "WindowEnded")]
    assert told({}, window(active=False)) == [("Normal", "Programmed")]
