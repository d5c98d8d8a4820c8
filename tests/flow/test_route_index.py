"""The route index chooses what trying all routes in order chooses, and tries few of them."""

from __future__ import annotations

from typing import Any

import pytest
from flows import NOW, program, route, rule
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import ChainableUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tocsin.flow.route_index import Atom, build_index
from tocsin.flow.routing import Trial
from tocsin.flow.templates import Variables

KEYS = ("a", "b", "items", "count")
SCALARS = (True, False, None, 0, 1, 2, 1.0, 0.5, -1, "", "x", "True", "1", "none", 10**30)
scalars = st.sampled_from(SCALARS)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
payloads = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
labels = st.dictionaries(st.sampled_from(("l", "m")), st.sampled_from(("x", "1", "True")), max_size=2)

steps = st.sampled_from([".a", ".b", ".items", ".count", '["a"]', "[0]", "[-1]"])
paths = st.builds(
    lambda first, rest: f"payload{first}{''.join(rest)}",
    steps.filter(lambda s: s[1] not in "0-"),
    st.lists(steps, max_size=2),
)
sides = paths | st.sampled_from(["labels.l", 'labels["m"]', "labels.items"])
constants = st.sampled_from(
    ["true", "false", "none", "0", "1", "2", "1.0", "0.5", "''", "'x'", "'True'", "'1'"]
)
comparisons = st.one_of(
    st.builds("{} == {}".format, sides, constants),
    st.builds("{1} == {0}".format, sides, constants),
    st.builds("{} in [{}, {}]".format, sides, constants, constants),
    st.builds("{} in ({}, {})".format, sides, constants, constants),
    st.builds("{1} in {0}".format, sides, constants),
    st.builds("{} != {}".format, sides, constants),
    st.builds("{} > 0".format, sides),
    st.builds("{} / 0 == 1".format, sides),
    st.builds("{} | length == 1".format, sides),
    st.builds("{} in 'xx'".format, sides),
)
expressions = st.one_of(
    comparisons,
    st.builds("{} and {}".format, comparisons, comparisons),
    st.builds("{} and {} and {}".format, comparisons, comparisons, comparisons),
    st.builds("{} or {}".format, comparisons, comparisons),
    st.builds("not {}".format, comparisons),
)
templates = st.one_of(
    st.builds("{{{{ {} }}}}".format, expressions),
    st.builds("{{% if {} %}}True{{% endif %}}".format, expressions),
    st.builds(" {{%- if {} -%}} 1 {{%- else -%}} 0 {{%- endif %}}".format, expressions),
    st.builds("{{% if {} %}}0{{% else %}}True{{% endif %}}".format, expressions),
)
matchers = st.lists(
    st.sampled_from(["l=x", "l=1", "m=x", "l=", "m!=x", "l=~x|1", "l=~x|", "m=~x.*", "m!~x", "l=~["]),
    max_size=2,
).map(tuple)
routes = st.lists(st.tuples(templates | st.just(""), matchers), min_size=1, max_size=8)


def tables(described: Any):
    linked = program(
        *(route(f"r{at}", template, labels=labels) for at, (template, labels) in enumerate(described))
    )
    return linked.evaluator.routes


def trial_of(payload: Any, labels: dict[str, str]) -> Trial:
    return Trial(Variables(payload=payload, labels=labels, now=NOW), [])


@settings(max_examples=300, deadline=None)
@given(routes, payloads, labels)
def test_the_index_agrees_with_trying_in_order(described: Any, payload: Any, labels: dict[str, str]) -> None:
    """Same winner, same errors in the same order, over every kind of value, also missing ones."""
    table = tables(described)
    indexed, plain = trial_of(payload, labels), trial_of(payload, labels)
    assert table.choose(indexed) is table.choose_in_order(plain)
    assert indexed.errors == plain.errors


_PLAIN = ImmutableSandboxedEnvironment(undefined=ChainableUndefined)


@settings(max_examples=300, deadline=None)
@given(comparisons.filter(lambda text: "items" not in text and "count" not in text), payloads, labels)
def test_the_index_agrees_with_plain_jinja(condition: str, payload: Any, labels: dict[str, str]) -> None:
    """What Jinja2 itself calls true is chosen. (Keys named like methods differ on purpose.)"""
    template = f"{{{{ {condition} }}}}"
    try:
        expected = _PLAIN.from_string(template).render(payload=payload, labels=labels) == "True"
    except Exception:  # noqa: BLE001 - a failed condition is false
        expected = False
    chosen = tables([(template, ())]).choose(trial_of(payload, labels))
    assert (chosen is not None) == expected


atoms = st.builds(
    Atom,
    st.builds(
        lambda root, rest: (root, *rest),
        st.just("payload"),
        st.lists(st.sampled_from([*KEYS, 0, -1]), min_size=1, max_size=3),
    )
    | st.tuples(st.just("labels"), st.sampled_from(["l", "m"])),
    st.lists(scalars, min_size=1, max_size=2).map(tuple),
)


def follow(value: Any, path: tuple[str | int, ...]) -> list[Any]:
    """The value at a path, as a list of one; [] if there is none."""
    for step in path:
        if (isinstance(value, dict) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value)
        ):
            value = value[step]
        else:
            return []
    return [value]


@given(st.lists(st.lists(atoms, max_size=3).map(tuple), max_size=8), payloads, labels)
def test_candidates_are_complete_and_in_order(listed: Any, payload: Any, labels: dict[str, str]) -> None:
    """Every route whose comparisons all hold is a candidate; ascending, none twice."""
    candidates = list(build_index(listed).candidates(payload, labels))
    assert candidates == sorted(set(candidates))
    for position, options in enumerate(listed):
        found = [(atom, follow({"payload": payload, "labels": labels}, atom.path)) for atom in options]
        if all(value and any(value[0] == wanted for wanted in atom.values) for atom, value in found):
            assert position in candidates


def tried(linked, payload, labels=None) -> int:
    return len(list(linked.evaluator.routes.index.candidates(payload, labels or {})))


@pytest.mark.parametrize(
    "template",
    [
        '{{ payload.team == "t%d" }}',
        '{{ "t%d" == payload.team }}',
        '{{ payload["team"] == "t%d" }}',
        '{{ payload.team in ["t%d", "other"] }}',
        '{% if payload.team == "t%d" %}True{% endif %}',
        '{{ payload.severity == "critical" and payload.team == "t%d" }}',
        '{{ labels.team == "t%d" }}',
        '{{ payload.alerts[0].labels.team == "t%d" }}',
        '{{ payload.k%d == "x" }}',
    ],
)
def test_few_of_many_routes_are_tried(template: str) -> None:
    """Whatever is compared, and although all ask for the same severity."""
    linked = program(*(route(f"r{number}", template.replace("%d", str(number))) for number in range(100)))
    payload = {"severity": "critical", "team": "t42", "alerts": [{"labels": {"team": "t42"}}], "k42": "x"}
    assert tried(linked, payload, {"team": "t42"}) == 1
    assert linked.evaluator.routes.choose(trial_of(payload, {"team": "t42"})).name == "ns/r42"
    assert tried(linked, {"team": None, "alerts": None}) == 0


def test_label_matchers_are_indexed() -> None:
    """By `=` and by an alternation of literals; the rarest of several."""
    linked = program(
        *(route(f"r{number}", labels=("severity=critical", f"team=t{number}")) for number in range(50)),
        *(
            route(f"s{number}", labels=("severity=critical", f"team=~s{number}|u{number}"))
            for number in range(50)
        ),
        rule("l", static={"severity": "critical"}, dynamic={"team": "{{ payload.team }}"}),
    )
    assert linked.evaluate({"team": "t7"}, NOW).route == "ns/r7"
    assert linked.evaluate({"team": "u7"}, NOW).route == "ns/s7"
    assert tried(linked, {}, {"severity": "critical", "team": "u7"}) == 1


def test_candidates_keep_the_order_of_precedence() -> None:
    """Indexed and unindexed routes are tried as if in one list."""
    linked = program(
        route("indexed-late", '{{ payload.a == "x" and payload.b == 1 }}'),
        route("plain", "{{ payload.n > 5 }}"),
        route("indexed", '{{ payload.a == "x" }}'),
    )
    assert linked.evaluate({"a": "x", "n": 6}, NOW).route == "ns/plain"
    assert linked.evaluate({"a": "x", "n": 6, "b": 1}, NOW).route == "ns/indexed-late"
    assert linked.evaluate({"a": "x", "n": 1}, NOW).route == "ns/indexed"
