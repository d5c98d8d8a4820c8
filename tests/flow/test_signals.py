"""Acknowledge and resolve conditions, and evaluation as a whole."""

from __future__ import annotations

import copy

import pytest
from flows import NOW, program, route, rule
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.flow.decision import Grouping

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("result", "holds"), [("True", True), (" ok ", True), ("1", True), ("yes", False), ("", False)]
)
def test_conditions_use_the_same_truth_as_routes(result: str, holds: bool) -> None:
    """Trimmed, any case: true, 1 or ok."""
    decision = program(templates={"acknowledge": "{{ payload.x }}", "resolve": "{{ payload.x }}"}).evaluate(
        {"x": result}, NOW
    )
    assert (decision.acknowledge, decision.resolve) == (holds, holds)
    assert (decision.outcome.acknowledge, decision.outcome.resolve) == (holds, holds)


def test_bug_038_a_failed_condition_is_false() -> None:
    """Missing keys, null and wrong types lose no alert and signal nothing; each failure is recorded."""
    templates = {
        "resolve": '{{ payload.alerts[0].status == "resolved" }}',
        "acknowledge": "{{ payload.n > 5 }}",
        "appearance.web.title": "{{ payload.labels.alertname }}",
    }
    linked = program(route("r", "{{ payload.n > 5 }}"), templates=templates)
    for payload in ({"alerts": [], "n": "7"}, {"n": None}, {}):
        decision = linked.evaluate(payload, NOW)
        assert (decision.acknowledge, decision.resolve, decision.route) == (False, False, "default")
        assert decision.title == "Bare alert"
    decision = linked.evaluate({"alerts": [], "n": "7"}, NOW)
    assert [error.slot for error in decision.outcome.errors] == ["acknowledge", "route ns/r"]
    assert decision.grouping is Grouping.ALONE


def test_a_failed_condition_does_not_fall_back_to_the_type() -> None:
    """The user replaced the type's condition; what that one says no longer counts."""
    decision = program(type="typed", templates={"resolve": "{{ payload.x / 0 }}"}).evaluate(
        {"uid": "u", "state": "ok", "x": 1}, NOW
    )
    assert decision.resolve is False


def test_an_integration_may_ignore_the_resolve_signal() -> None:
    """Then the decision never resolves; acknowledging is not concerned."""
    linked = program(type="typed", source_resolve=False)
    assert linked.evaluate({"uid": "u", "state": "ok"}, NOW).resolve is False
    assert linked.evaluate({"uid": "u", "state": "ack"}, NOW).acknowledge is True


def test_notes_of_the_body_are_kept() -> None:
    """What the receiver noticed while parsing stands on the alert."""
    decision = program().evaluate({}, NOW, notes=("nul-replaced", "nul-replaced"))
    assert decision.outcome.notes == ("nul-replaced",)


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "uid", "state", "link", "service"]), JSON, max_size=6),
    st.booleans(),
)
def test_any_payload_is_decided_and_left_alone(payload: dict, demo: bool) -> None:
    """Evaluation is pure, never raises, never changes the payload, and an equal alert is decided equally."""
    linked = program(
        route("by-template", "{{ payload.a > payload.b }}"),
        route("by-label", labels=("k=~x.*",)),
        route("by-regex", regex="b.*1"),
        rule("l", dynamic={"k": "{{ payload.a }}"}, extract="{{ payload.b | tojson }}"),
        type="typed",
        templates={"appearance.web.title": "{{ payload.a.b.c }}{{ payload.uid | upper }}"},
        redact=("payload.b.x", "**.secret"),
    )
    before = copy.deepcopy(payload)
    first = linked.evaluate(payload, NOW, demo=demo)
    assert repr(payload) == repr(before)
    assert linked.evaluate(payload, NOW, demo=demo) == first
    assert linked.explain(payload, NOW, demo=demo).outcome == first.outcome
    assert len(first.kept_labels) <= 15
