"""What keeps an object out, what is only said, and what is nobody's business at admission."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.api.objects import KINDS, parse_object
from tocsin.control.kubernetes.admission.judge import Judge
from tocsin.control.kubernetes.admission.review import GroupVersionKind, Question, Ruling
from tocsin.flow.compiler import Compiled, compile_flow
from tocsin.flow.inventory import Inventory
from tocsin.flow.model import Micros
from tocsin.sources import load_types

NOW = Micros(1_782_907_200_000_000)
BROKEN = "fine\n{{ payload.x == }}"
ROUTE = {"parentRefs": [{"name": "web"}], "match": {"regex": "disk"}}


def declared(kind: str, spec: Any, **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n", **metadata},
        "spec": spec,
    }


def rule(
    new: dict[str, Any] | None,
    old: dict[str, Any] | None = None,
    *,
    among: Compiled | None = None,
    operation: str = "",
    **question: Any,
) -> Ruling:
    judge = Judge(load_types(), among=lambda: among, now=lambda: NOW)
    kind = (new or old or {}).get("kind", "")
    asked = Question(
        uid="u",
        kind=GroupVersionKind("tocsin.dev", "v1alpha1", kind),
        operation=operation or ("UPDATE" if old else "CREATE"),
        object=new,
        old_object=old,
        **question,
    )
    return judge.rule(asked)


def route(template: str, **metadata: Any) -> dict[str, Any]:
    return declared("AlertRoute", {**ROUTE, "match": {"template": template}}, **metadata)


def test_a_bad_template_is_refused_with_its_place() -> None:
    """Field, line and column inside the text, by the parser that runs templates."""
    ruling = rule(route(BROKEN))
    (problem,) = ruling.problems
    assert problem.startswith("spec.match.template, line 2, column 17: ")
    assert ruling.outcome == "denied"


@pytest.mark.parametrize(
    ("kind", "spec", "field"),
    [
        ("AlertRoute", {**ROUTE, "match": {"regex": "(?=x)"}}, "spec.match.regex"),
        (
            "AlertRoute",
            {**ROUTE, "match": {"labels": [{"key": "k", "operator": "=~", "value": "("}]}},
            "spec.match.labels[0].value",
        ),
        (
            "Integration",
            {"type": "webhook", "templates": {"groupingId": BROKEN}},
            "spec.templates.groupingId",
        ),
        ("Integration", {"type": "weebhook"}, "spec.type"),
        ("Integration", {"type": "webhook", "redact": ["a..b"]}, "spec.redact[0]"),
        ("Integration", {"type": "webhook", "colour": "red"}, "spec.colour"),
        ("AlertTemplate", {"templates": {"appearance": {"web": {"title": BROKEN}}}}, "spec.templates.app"),
        (
            "LabelRule",
            {"integrationRefs": [{"name": "web"}], "dynamic": [{"key": "k", "template": BROKEN}]},
            "spec.dynamic[0].template",
        ),
        (
            "MaintenanceWindow",
            {
                "mode": "Maintenance",
                "integrationRefs": [{"name": "web"}],
                "schedule": {"start": "2026-02-30T10:00", "duration": "1h", "timeZone": "Europe/Berlin"},
            },
            "spec.schedule",
        ),
    ],
)
def test_what_is_plainly_invalid_is_refused_for_every_kind(kind: str, spec: Any, field: str) -> None:
    """One problem, which begins with the field."""
    (problem,) = rule(declared(kind, spec)).problems
    assert problem.startswith(field)


@pytest.mark.parametrize("among", [None, compile_flow(Inventory(), types=load_types(), now=NOW)])
def test_references_that_lead_nowhere_are_no_reason(among: Compiled | None) -> None:
    """Git applies in any order. Where it is known what is declared, it is said."""
    web = {
        "type": "webhook",
        "templateRefs": [{"name": "gone"}],
        "auth": {"tokenSecretRef": {"name": "s", "key": "k"}},
    }
    for made, field in (
        (declared("AlertRoute", ROUTE), "spec.parentRefs[0]"),
        (declared("Integration", web), "spec.templateRefs[0]"),
        (
            declared("LabelRule", {"integrationSelector": {}, "static": [{"key": "k", "value": "v"}]}),
            "spec.integrationSelector",
        ),
    ):
        ruling = rule(made, among=among)
        assert ruling.problems == ()
        assert [w.partition(":")[0] for w in ruling.warnings] == ([] if among is None else [field])


def test_a_reference_that_is_nearly_right_is_named() -> None:
    """The typing error shows while its author looks."""
    inventory = Inventory.of([parse_object(declared("Integration", {"type": "webhook"}, name="webb"))])
    among = compile_flow(inventory, types=load_types(), now=NOW)
    (warning,) = rule(declared("AlertRoute", ROUTE), among=among).warnings
    assert "did you mean 'webb'?" in warning


def test_an_object_that_already_ran_may_be_changed() -> None:
    """Its old mistake is a warning, even if it has moved; a new one is refused, and so is another one in its place."""
    old = route(BROKEN)
    ruling = rule(route(BROKEN, labels={"team": "a"}), old)
    assert (ruling.problems, ruling.outcome) == ((), "warned")
    assert ruling.warnings[0].startswith("spec.match.template, line 2")
    assert rule(route("a\nb\n{{ payload.x == }}"), old).problems == ()
    assert rule(route("{{ payload.x"), old).problems != ()
    bad = {"key": "bad", "template": BROKEN}
    rules = {"integrationRefs": [{"name": "web"}], "dynamic": [bad]}
    before = declared("LabelRule", rules)
    moved = declared("LabelRule", {**rules, "dynamic": [{"key": "good", "template": "x"}, bad]})
    assert rule(moved, before).problems == ()
    mended = route("{{ payload.x == 1 }}")
    assert rule(mended, old).outcome == "allowed"


def test_a_stored_object_that_breaks_its_schema_may_be_changed() -> None:
    """As under the API server's own ratcheting: a later version may be stricter than what is stored."""
    old = declared("Integration", {"type": "webhook", "gone": 1})
    assert rule({**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}, old).problems == ()
    worse = declared("Integration", {"type": "webhook", "gone": 1, "also": 2})
    (problem,) = rule(worse, old).problems
    assert problem.startswith("spec.also")


def test_rules_about_changes_see_the_old_object() -> None:
    """An immutable field is one only with the object that it replaces."""
    old = declared("Integration", {"type": "webhook"})
    new = declared("Integration", {"type": "alertmanager"})
    assert rule(new).problems == ()
    assert [p.partition(":")[0] for p in rule(new, old).problems] == ["spec.type"]


def test_probable_mistakes_are_warnings() -> None:
    """A condition without braces is legal, and never true."""
    ruling = rule(route("payload.x == 1"))
    assert ruling.problems == ()
    assert "a condition needs braces" in ruling.warnings[0]


def test_what_is_let_through_unread() -> None:
    """Deletions, statuses, objects on their way out, kinds of others, and operations that change nothing stored."""
    bad = route(BROKEN)
    assert rule(None, bad, operation="DELETE").outcome == "allowed"
    assert rule(bad, operation="CONNECT").outcome == "allowed"
    assert rule(bad, bad, sub_resource="status").outcome == "allowed"
    leaving = route("{{ other", deletionTimestamp="2026-07-01T12:00:00Z", finalizers=[])
    assert rule(leaving, bad).outcome == "allowed"
    assert rule({**bad, "kind": "ConfigMap"}).outcome == "allowed"


def test_a_name_to_come_is_no_mistake() -> None:
    """With generateName the API server makes it up, maybe after it has asked."""
    made = declared("Integration", {"type": "webhook"}, generateName="web-")
    del made["metadata"]["name"]
    assert rule(made).outcome == "allowed"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(KINDS)), json_values, json_values, json_values)
@settings(max_examples=150, deadline=None)
def test_nothing_that_anybody_sends_is_an_error(kind: str, spec: Any, metadata: Any, old: Any) -> None:
    """The API server checks schemas first; whoever else reaches the port does not."""
    new = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    rule(new)
    rule(new, {**new, "metadata": old, "spec": old})
