"""The full account of a decision, for people."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from flows import NOW, program, route, rule, window

from tocsin.flow.decision import Outcome
from tocsin.flow.trace import MOST_ROUTES, Trace, reconcile


def test_bug_058_why_routes_did_not_match() -> None:
    """Every route up to the winner says how far it got: matcher by matcher, the template's result, the regex."""
    linked = program(
        rule("l", static={"team": "core"}),
        route("by-label", labels=("team=core", "tier=~1|2")),
        route("by-template", '{{ payload.commonLabels.alertname == "HttpServiceUnavailable" }}'),
        route("broken", "{{ unclosed"),
        route("fails", "{{ payload.a / 0 }}"),
        route("by-regex", regex="nowhere"),
        route("bad-regex", regex="["),
        route("bad-matcher", labels=("a=~[",)),
        route("nothing"),
        route("right", "{{ payload.a == 1 }}", labels=("team=core",), regex='"a": 1'),
        route("later", "true"),
    )
    trace = linked.explain({"a": 1, "commonLabels": {}}, NOW)
    by_name = {tried.route.removeprefix("ns/"): tried for tried in trace.routes}
    assert list(by_name)[-1] == "right"
    assert trace.routes_after == 1
    assert {name: tried.reason for name, tried in by_name.items()} == {
        "by-label": "label matchers do not hold",
        "by-template": "template is not true",
        "broken": "template failed",
        "fails": "template failed",
        "by-regex": "regex not found",
        "bad-regex": "regex does not compile",
        "bad-matcher": by_name["bad-matcher"].reason,
        "nothing": "no condition that could hold",
        "right": "matched",
    }
    assert by_name["bad-matcher"].reason.startswith("broken matcher a=~")
    assert [(m.matcher, m.actual, m.holds) for m in by_name["by-label"].matchers] == [
        ('team="core"', "core", True),
        ('tier=~"1|2"', "", False),
    ]
    assert by_name["by-template"].template.result == "False"
    assert by_name["by-template"].template.undefined == ("undefined: payload.commonLabels.alertname",)
    assert by_name["broken"].template.error.kind == "syntax"
    assert by_name["right"].matched
    assert trace.outcome.route == "ns/right"


def test_labels_by_source() -> None:
    """Kept, overridden, cut and dropped ones, in order of application."""
    linked = program(
        rule("l", static={"a": "1", "z": "9"}, dynamic={"a": "2", "gone": "{{ payload.missing }}"}),
        rule("x", extract=json.dumps({f"k{number:02}": number for number in range(15)} | {"bad": None})),
        inherited_labels=(("a", "0"),),
    )
    trace = linked.explain({}, NOW)
    told = [(label.key, label.source, label.fate) for label in trace.labels]
    assert told[:5] == [
        ("a", "integration", "overridden"),
        ("a", "static ns/l", "overridden"),
        ("z", "static ns/l", "cut"),
        ("a", "dynamic ns/l", "kept"),
        ("gone", "dynamic ns/l", "dropped"),
    ]
    assert ("k13", "extract ns/x", "kept") in told
    assert ("k14", "extract ns/x", "cut") in told
    assert [label.reason for label in trace.labels if label.fate == "dropped"] == ["empty", "bad-type"]


def test_every_template_with_origin_and_result() -> None:
    """In order of evaluation; a type's default only where it was needed."""
    linked = program(
        rule("l", dynamic={"k": "{{ payload.v }}"}),
        type="typed",
        templates={"groupingId": "{{ payload.uid / 0 }}", "appearance.web.title": "T{{ payload.missing }}"},
    )
    trace = linked.explain({"uid": 5, "v": "x"}, NOW)
    told = {template.slot: template for template in trace.templates}
    assert list(told) == [
        "label service_name",
        "label k",
        "groupingId",
        "groupingId (type default)",
        "acknowledge",
        "resolve",
        "sourceLink",
        "appearance.web.title",
    ]
    assert told["groupingId"].error is not None
    assert told["groupingId (type default)"].result == "5"
    assert told["label k"].origin == "test"
    assert told["resolve"].origin == "type typed resolve"
    assert told["appearance.web.title"].undefined == ("undefined: payload.missing",)


def test_windows_that_were_considered() -> None:
    """In force, not open, or for other labels."""
    linked = program(
        rule("l", static={"team": "core"}),
        window("open"),
        window("closed", start="2030-01-01T00:00"),
        window(
            "other",
            matchers=(
                *program(route("r", labels=("team=db",))).evaluator.routes.routes[0].matchers.matchers,
            ),
        ),
        window("broken", time_zone="Mars/Base"),
    )
    told = {entry.window.removeprefix("ns/"): entry for entry in linked.explain({}, NOW).windows}
    assert told["open"].in_force
    assert told["closed"].reason == "not open now"
    assert told["other"].reason == "label matchers do not hold"
    assert "Mars/Base" in told["broken"].reason


def test_a_trace_reproduces_the_outcome_and_is_bounded() -> None:
    """Of thousands of routes the first and the last that were tried are listed; texts are cut."""
    linked = program(
        *(route(f"r{number}", "{{ payload.big == 1 }}") for number in range(1000)),
        rule("l", extract=json.dumps({f"key-{number}": "v" for number in range(1000)})),
        templates={"groupingId": "{{ payload.big }}"},
    )
    payload = {"big": "x" * 40_000}
    trace = linked.explain(payload, NOW)
    assert trace.outcome == linked.evaluate(payload, NOW).outcome
    assert len(trace.routes) == MOST_ROUTES
    assert trace.routes_omitted == 1000 - MOST_ROUTES
    assert trace.routes[-1].route == "ns/r999"
    assert len(msgspec.json.encode(trace)) < 200_000


def test_explaining_chooses_the_route_that_the_index_chose() -> None:
    """It tries all in order, without the index."""
    linked = program(*(route(f"r{number}", f'{{{{ payload.t == "{number % 7}" }}}}') for number in range(50)))
    for team in map(str, range(9)):
        trace = linked.explain({"t": team}, NOW)
        winner = trace.routes[-1].route if trace.routes[-1].matched else "default"
        assert winner == trace.outcome.route == linked.evaluate({"t": team}, NOW).route


def test_a_trace_survives_json() -> None:
    """It is what the API answers."""
    trace = program(route("r", "{{ payload.a / 0 }}", labels=("a=b",)), window("w")).explain({"a": 1}, NOW)
    assert msgspec.json.decode(msgspec.json.encode(trace), type=Trace) == trace


def test_what_was_stored_wins() -> None:
    """Where a newer Tocsin would decide differently, the trace says so, and shows what happened."""
    trace = program(templates={"groupingId": "{{ payload.id }}"}).explain({"id": "x"}, NOW)
    assert reconcile(trace.outcome, trace).differences == ()
    decoded: Any = msgspec.json.decode(msgspec.json.encode(trace.outcome), type=Outcome)
    assert reconcile(decoded, trace).differences == ()
    stored = msgspec.structs.replace(trace.outcome, route="ns/old", resolve=True)
    told = reconcile(stored, trace)
    assert told.outcome == stored
    assert told.differences == (
        "route: decided 'ns/old', today 'default'",
        "resolve: decided True, today False",
    )
