"""Which route an alert takes."""

from __future__ import annotations

import pytest
from flows import NOW, program, route, rule

from tocsin.flow.model import Target


def chosen(*routes, payload=None, **fields):
    return program(*routes, **fields).evaluate(payload or {}, NOW)


def test_the_first_match_wins() -> None:
    """Later routes are not looked at, not even for their errors; the default route comes last.

    Rules: R-RTE-1
    """
    routes = (
        route("never", "{{ false }}"),
        route("first", "{{ payload.a == 1 }}"),
        route("second", "{{ payload.a == 1 }}"),
        route("broken", "{{ payload.a / 0 }}"),
    )
    decision = chosen(*routes, payload={"a": 1})
    assert decision.route == "ns/first"
    assert decision.target == Target(escalation_chain="ns/chain-first")
    assert decision.outcome.route == "ns/first"
    assert decision.outcome.errors == ()


def test_an_integration_always_has_its_default_route() -> None:
    """It needs no object, has no condition and cannot be taken away; its target may be empty.

    Rules: R-RTE-8, R-RTE-10
    """
    target = Target(escalation_chain="ns/all", channels=("ns/chat",))
    assert chosen(route("no", "no"), default_target=target).target == target
    bare = chosen()
    assert bare.route == "default"
    assert bare.target == Target()


@pytest.mark.parametrize("result", ["True", "true", " TRUE\n", "1", "ok", "OK"])
def test_true_results(result: str) -> None:
    """One rule for routes and signals: trimmed, any case, true, 1 or ok."""
    assert chosen(route("r", "{{ payload.x }}"), payload={"x": result}).route == "ns/r"


@pytest.mark.parametrize("result", ["", "False", "yes", "on", "2", "1.0", "None", "0", " ", "true dat", "{}"])
def test_results_that_are_not_true(result: str) -> None:
    """Everything else is false; BUG-039: white space only, too."""
    assert chosen(route("r", "{{ payload.x }}"), payload={"x": result}).route == "default"


def test_bug_039_a_template_that_does_something_but_prints_nothing() -> None:
    """It never matches, and the trace says that its result is empty."""
    quiet = route("quiet", '{%- if payload.state == "alerting" %}{% set severity="11" %}{% endif -%}')
    linked = program(quiet)
    assert linked.evaluate({"state": "alerting"}, NOW).route == "default"
    (tried,) = linked.explain({"state": "alerting"}, NOW).routes
    assert tried.reason == "template is empty"


def test_a_failing_template_counts_as_no_match() -> None:
    """The next route is tried, and the failure is recorded with the route's name.

    Rules: R-RTE-5
    """
    decision = chosen(
        route("broken", "{{ unclosed"),
        route("fails", "{{ payload.n + payload.s }}"),
        route("right", '{{ payload.n == 1 and labels.team == "core" }}'),
        rule("labels", static={"team": "core"}),
        payload={"n": 1, "s": "x"},
    )
    assert decision.route == "ns/right"
    assert [(error.slot, error.kind) for error in decision.outcome.errors] == [
        ("route ns/broken", "syntax"),
        ("route ns/fails", decision.outcome.errors[1].kind),
    ]


def test_routes_see_all_labels() -> None:
    """Also those that the limit of fifteen will drop from the group.

    Rules: R-RTE-7, R-LBL-17
    """
    many = {f"a{number:02}": "x" for number in range(15)} | {"zone": "eu"}
    rules = rule("many", static=many)
    by_matcher = chosen(rules, route("r", labels=("zone=eu",)))
    assert by_matcher.route == "ns/r"
    assert "zone" not in dict(by_matcher.kept_labels)
    assert by_matcher.labels["zone"] == "eu"
    behaviour = chosen(
        rules, route("r", '{{ labels.zone == "eu" }}'), templates={"groupingId": "{{ labels.zone }}"}
    )
    assert (behaviour.route, behaviour.grouping_id) == ("ns/r", "eu")


def test_every_alert_is_routed_on_its_own() -> None:
    """Equal grouping ids on two routes stay apart, since the route is part of a group's identity.

    Rules: R-RTE-12
    """
    linked = program(
        route("warning", '{{ payload.level == "warning" }}'), templates={"groupingId": "{{ payload.id }}"}
    )
    first = linked.evaluate({"id": "x", "level": "warning"}, NOW)
    second = linked.evaluate({"id": "x", "level": "critical"}, NOW)
    assert first.grouping_key == second.grouping_key
    assert (first.route, second.route) == ("ns/warning", "default")


@pytest.mark.parametrize(
    ("labels", "matches"),
    [
        (("team=core",), True),
        (("team=cor",), False),
        (("team=core", "tier=1"), True),
        (("team=core", "tier=2"), False),
        (("absent=",), True),
        (("team=",), False),
        (("absent!=x",), True),
        (("team!=core",), False),
        (("team=~c.*",), True),
        (("team=~or",), False),
        (("team=~core|db",), True),
        (("team!~db|web",), True),
        (("absent=~.*",), True),
        (("absent=~.+",), False),
        (("absent!~.+",), True),
    ],
)
def test_label_matchers(labels: tuple[str, ...], matches: bool) -> None:
    """As in Alertmanager: all must hold, anchored, a missing label is the empty text, other labels do not matter."""
    decision = chosen(
        rule("l", static={"team": "core", "tier": "1", "other": "x"}), route("r", labels=labels)
    )
    assert decision.route == ("ns/r" if matches else "default")


@pytest.mark.parametrize("operator", ["=~", "!~"])
def test_a_broken_matcher_never_holds(operator: str) -> None:
    """Also with `!~`, where a typing error would otherwise match everything; it is recorded on each alert."""
    decision = chosen(rule("l", static={"a": "b"}), route("r", labels=("a=b", f"a{operator}[")))
    assert decision.route == "default"
    (error,) = decision.outcome.errors
    assert (error.slot, error.kind) == ("route ns/r", "syntax")
    assert "missing ]" in error.message


def test_a_matcher_compares_text_with_text() -> None:
    """Numbers and booleans of an extraction are text before any route sees them."""
    decision = chosen(
        rule("l", extract='{"cluster_id": 123, "on": true, "ratio": 1.5}'),
        route("r", '{{ labels.cluster_id == "123" }}', labels=("cluster_id=123", "on=True", "ratio=1.5")),
    )
    assert decision.route == "ns/r"


def test_all_given_conditions_must_hold() -> None:
    """Template, label matchers and regex of one route are joined by AND; without any the route never matches."""
    whole = route("r", "{{ payload.a == 1 }}", labels=("l=x",), regex='"b": "c"')
    rules = rule("l", static={"l": "x"})
    assert chosen(rules, whole, payload={"a": 1, "b": "c"}).route == "ns/r"
    assert chosen(rules, whole, payload={"a": 2, "b": "c"}).route == "default"
    assert chosen(rules, whole, payload={"a": 1, "b": "d"}).route == "default"
    assert chosen(whole, payload={"a": 1, "b": "c"}).route == "default"
    assert chosen(route("empty")).route == "default"


@pytest.mark.parametrize(
    ("regex", "matches"),
    [
        ('"severity": "critical"', True),
        ('"severity":"critical"', False),
        ("criti", True),
        ("^criti", False),
        ("CRITI", False),
        ("(?i)CRITI", True),
        ("Grüße", True),
        ('"n": 5, "list": \\[1, null\\]', True),
        ("(?!x)", False),
        ("[", False),
    ],
)
def test_a_regex_searches_the_json_text(regex: str, matches: bool) -> None:
    """Keys as they came, `: ` and `, ` between them, letters as they are; RE2, so no look-ahead."""
    payload = {"severity": "critical", "n": 5, "list": [1, None], "text": "Grüße"}
    assert chosen(route("r", regex=regex), payload=payload).route == ("ns/r" if matches else "default")


def test_a_regex_that_does_not_compile_is_recorded() -> None:
    """It counts as no match."""
    (error,) = chosen(route("r", regex="(")).outcome.errors
    assert (error.slot, error.kind) == ("route ns/r", "syntax")


def test_thousands_of_failing_routes_fit_into_the_outcome() -> None:
    """The first twenty errors are kept, the rest counted."""
    decision = chosen(
        *(route(f"r{number}", "{{ payload.a / 0 }}") for number in range(300)), payload={"a": 1}
    )
    assert 1 <= len(decision.outcome.errors) <= 20
    assert "280 more template errors" in decision.outcome.notes


def test_a_payload_too_deep_to_be_searched() -> None:
    """The regex counts as failed and says so, also in the trace; other routes go on."""
    deep: dict = {}
    for _ in range(200_000):
        deep = {"a": deep}
    linked = program(route("regex", regex="a"), route("next", "true"))
    decision = linked.evaluate(deep, NOW)
    assert decision.route == "ns/next"
    assert [(error.slot, error.kind) for error in decision.outcome.errors] == [("route ns/regex", "limit")]
    assert "too deeply" in linked.explain(deep, NOW).routes[0].reason
