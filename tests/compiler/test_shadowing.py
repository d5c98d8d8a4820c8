"""Shadowed and duplicate routes: every claim holds for every alert, and the plain cases are found."""

from __future__ import annotations

import pytest
from compiler_cases import compile_text, manifest, reasons, report_of
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.api.common import Identity, Matcher
from tocsin.flow.compiler.conditions import conditions_of, shadows
from tocsin.flow.compiler.texts import examine
from tocsin.flow.matchers import InvalidRegex, LabelMatchers, compile_regex
from tocsin.flow.model import RouteFragment, TemplateText
from tocsin.flow.templates import TemplateProblem, Variables, is_true, parse

TEXTS = (
    "",
    "true",
    "{{ 1 }}",
    "{{ 'ok' }}",
    "{{ false }}",
    "no",
    '{{ payload.a == "x" }}',
    '{{ payload["a"] == "x" }}',
    '{{ payload.a == "x" and payload.b == 1 }}',
    '{{ payload.b == 1 and payload.a == "x" }}',
    '{{ payload.a in ["x", "y"] }}',
    '{{ payload.a in ["y", "x", 1, true] }}',
    "{{ payload.b in [1, 2] }}",
    '{{ labels.k in ["v", ""] }}',
    '{{ labels.k == "" }}',
    '{{ labels.k == "v" }}',
    '{% if payload.a == "x" %}1{% endif %}',
    "{{ payload.b }}",
    "{{ payload.b == true }}",
    "{{ broken",
)
PAYLOADS = (
    {},
    {"a": "x"},
    {"a": "y", "b": 1},
    {"a": "x", "b": 1},
    {"a": ["x"], "b": True},
    {"a": None, "b": "1"},
    {"a": "x", "b": True},
    {"b": 1.0},
)
LABELS = ({}, {"k": "v"}, {"k": "w"}, {"k": ""}, {"k": "v", "l": "v"}, {"k": "vv\n"})

matchers = st.lists(
    st.builds(
        Matcher,
        key=st.sampled_from(["k", "l"]),
        operator=st.sampled_from(["=", "!=", "=~", "!~"]),
        value=st.sampled_from(["", "v", "w", "v|w", "v.*", ".*", "("]),
    ),
    max_size=3,
).map(tuple)
fragments = st.builds(
    lambda template, labels, regex: RouteFragment(
        namespace="a",
        name="r",
        template=TemplateText(text=template) if template else None,
        matchers=labels,
        regex=regex,
    ),
    st.sampled_from(TEXTS),
    matchers,
    st.sampled_from(["", "", "", '"x"', "["]),
)


def matches(fragment: RouteFragment, payload: dict, labels: dict[str, str]) -> bool:
    """What the specification says of a route, spelt out."""
    if not LabelMatchers(fragment.matchers).hold(labels):
        return False
    try:
        if (
            fragment.regex
            and compile_regex(fragment.regex).search(repr(payload).replace("'", '"').encode()) is None
        ):
            return False
        if fragment.template is None:
            return True
        variables = Variables(payload=payload, labels=labels, now=0)
        return is_true(parse(fragment.template).render(variables))
    except (InvalidRegex, TemplateProblem):
        return False


def broken(fragment: RouteFragment) -> bool:
    try:
        if fragment.regex:
            compile_regex(fragment.regex)
        if fragment.template:
            parse(fragment.template)
    except (InvalidRegex, TemplateProblem):
        return True
    return bool(LabelMatchers(fragment.matchers).problem)


def conditions(fragment: RouteFragment):
    examined = examine(fragment.template.text, ("{{", "}}")) if fragment.template else None
    return conditions_of(fragment, examined, broken=broken(fragment))


@settings(max_examples=250, deadline=None)
@given(routes=st.lists(fragments, min_size=2, max_size=6))
def test_a_shadowed_route_never_wins(routes: list[RouteFragment]) -> None:
    """Whatever the alert: where a route matches that is called shadowed, the route that is named matches, too."""
    identities = [Identity("AlertRoute", "a", f"r{number}") for number in range(len(routes))]
    asked = [conditions(fragment) for fragment in routes]
    for route, shadow in shadows(identities, asked).items():
        late, early = routes[identities.index(route)], routes[identities.index(shadow.by)]
        assert identities.index(shadow.by) < identities.index(route)
        for payload in PAYLOADS:
            for labels in LABELS:
                if matches(late, payload, labels):
                    assert matches(early, payload, labels), (early, late, payload, labels)
                if shadow.duplicate:
                    assert matches(late, payload, labels) == matches(early, payload, labels)


@settings(max_examples=200, deadline=None)
@given(fragment=fragments)
def test_an_impossible_route_never_matches(fragment: RouteFragment) -> None:
    """A route that takes no part in shadowing because it cannot match matches no alert."""
    if not conditions(fragment).possible:
        assert not any(matches(fragment, payload, labels) for payload in PAYLOADS for labels in LABELS)


@pytest.mark.parametrize(
    ("early", "late", "reason"),
    [
        ("{template: 'true'}", "{regex: disk}", "Shadowed"),
        ("{template: '{{ 1 }}'}", "{labels: [{key: k, value: v}]}", "Shadowed"),
        ("{labels: [{key: k, value: v}]}", "{labels: [{key: k, value: v}]}", "DuplicateRoute"),
        ("{labels: [{key: k, operator: '!=', value: w}]}", "{labels: [{key: k, value: v}]}", "Shadowed"),
        (
            "{labels: [{key: k, operator: '!~', value: 'w.*'}]}",
            "{labels: [{key: k, value: v}], regex: x}",
            "Shadowed",
        ),
        ("{regex: disk}", "{regex: disk, template: '{{ payload.a }}'}", "Shadowed"),
        (
            "{template: '{{ payload.a }}'}",
            "{template: '{{ payload.a }}', labels: [{key: k, value: v}]}",
            "Shadowed",
        ),
        ("{labels: [{key: k, value: v}]}", "{labels: [{key: k, operator: '!=', value: w}]}", None),
        ("{labels: [{key: k, operator: '=~', value: 'v.*'}]}", "{labels: [{key: k, value: w}]}", None),
        ("{template: '{{ false }}'}", "{regex: disk}", None),
        ("{template: '{{ payload.a in [1, 2] }}'}", "{template: '{{ payload.a == 2 }}'}", "Shadowed"),
        (
            "{template: '{{ payload.a == 2 }}'}",
            "{template: '{{ payload.a == 2 and payload.b > 3 }}'}",
            "Shadowed",
        ),
        ("{template: '{{ payload.a == 2 and payload.b > 3 }}'}", "{template: '{{ payload.a == 2 }}'}", None),
        ("{labels: [{key: k, value: v}]}", "{template: '{{ labels.k == \"v\" }}'}", "Shadowed"),
        ("{template: '{{ labels.k == \"v\" }}'}", "{labels: [{key: k, value: v}]}", "Shadowed"),
        ("{labels: [{key: k, value: ''}]}", "{template: '{{ labels.k == \"\" }}'}", None),
    ],
)
def test_plain_cases(early: str, late: str, reason: str | None) -> None:
    """The cases that people write are found, and the ones that look alike but are not are left alone."""
    compiled = compile_text(
        manifest("Integration", "web", "{type: webhook}")
        + manifest("AlertRoute", "a", f"{{parentRefs: [{{name: web}}], match: {early}}}")
        + manifest("AlertRoute", "b", f"{{parentRefs: [{{name: web}}], match: {late}}}")
    )
    found = [found for _, found in reasons(report_of(compiled, "AlertRoute", "b").findings)]
    assert found == ([] if reason is None else [reason])


def test_many_routes_with_one_common_condition() -> None:
    """Ten thousand routes on one label are compared in bounded work, and a duplicate among them is still found."""
    asked = [
        conditions(RouteFragment(namespace="a", name="r", matchers=(Matcher(key="k", value=str(n % 9_999)),)))
        for n in range(10_000)
    ]
    identities = [Identity("AlertRoute", "a", f"r{number:05}") for number in range(10_000)]
    found = shadows(identities, asked)
    assert {route.name: shadow.by.name for route, shadow in found.items()} == {"r09999": "r00000"}


def test_many_routes_that_exclude_values() -> None:
    """Ten thousand `!=` on one label stay bounded, too: nothing wrong is claimed where the search gives up."""
    asked = [
        conditions(
            RouteFragment(namespace="a", name="r", matchers=(Matcher(key="k", operator="!=", value=str(n)),))
        )
        for n in range(10_000)
    ]
    identities = [Identity("AlertRoute", "a", f"r{number:05}") for number in range(10_000)]
    assert shadows(identities, asked) == {}
