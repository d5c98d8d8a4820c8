"""Keys that are not there, keys named like methods, and values of the wrong type."""

from __future__ import annotations

from typing import Any

import pytest

PAYLOAD = {"items": ["a"], "keys": "k", "values": [1], "get": "g", "update": "u", "id": "x1"}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ payload.items }}", "['a']"),
        ('{{ payload["items"] }}', "['a']"),
        ('{{ payload.get("items") }}', "['a']"),
        ("{{ payload.keys }}|{{ payload.keys() }}", "k|['items', 'keys', 'values', 'get', 'update', 'id']"),
        ("{{ payload.get }}|{{ payload.get('get') }}", "g|g"),
        ("{{ payload.update }}", "u"),
        ("{% for i in payload.items %}{{ i }}{% endfor %}", "a"),
        ("{% for k, v in payload.items() %}{{ k }}{% endfor %}", "itemskeysvaluesgetupdateid"),
        ("{{ payload.values[0] }}", "1"),
    ],
)
def test_a_key_wins_in_attribute_position_and_the_method_in_a_call(render, text: str, result: str) -> None:
    """BUG-032: `payload.items` is the key, `payload.items()` the method."""
    assert render(text, PAYLOAD) == result


@pytest.mark.parametrize("name", ["items", "keys", "values", "get", "copy", "pop", "update"])
@pytest.mark.parametrize(
    "form", ["{{ payload.%s }}", '{{ payload["%s"] }}', '{{ payload|attr("%s") }}', "{{ payload.id.%s }}"]
)
def test_no_method_ever_becomes_text(render, form: str, name: str) -> None:
    """BUG-032: without such a key the value is missing; a bound method and its address are never printed."""
    assert render(form % name, {"id": "x"}) == ""


def test_nested_keys_named_like_methods(render) -> None:
    """BUG-032: Kapacitor's `values` and Jira's `items`."""
    payload = {"data": {"series": [{"values": [["t", 5]]}]}, "changelog": {"items": [{"field": "status"}]}}
    assert render("{{ payload.data.series[0].values[0][1] }}", payload) == "5"
    assert render("{{ payload.changelog.items[0].field }}", payload) == "status"


@pytest.mark.parametrize(
    ("text", "noted"),
    [
        ("{{ payload.x }}", "payload.x"),
        ("{{ payload.x.y.z }}", "payload.x.y.z"),
        ("{{ payload.a[3].b }}", "payload.a[3].b"),
        ("{{ payload['x y'] }}", "payload['x y']"),
        ("{{ nowhere }}", "nowhere"),
        ("{{ payload.x == 'a' }}", "payload.x"),
        ("{{ payload.x ~ 'a' }}", "payload.x"),
        ("{{ payload.x | upper }}", "payload.x"),
        ("{{ 'a' in payload.x }}", "payload.x"),
        ("{% for a in payload.x %}{{ a }}{% endfor %}", "payload.x"),
        ("{{ payload.a[payload.id].b }}", "payload.a[...].b"),
        ("{% for a in payload.a %}{{ a.nope }}{% endfor %}", "a.nope"),
        ("{{ labels.team }}", "labels.team"),
    ],
)
def test_use_of_something_missing_is_noted(render, text: str, noted: str) -> None:
    """The note names the expression as written."""
    render(text, {"a": [{}]})
    assert render.variables.notes == [f"undefined: {noted}"]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("{{ payload.x is defined }}", "False"),
        ("{{ payload.x.y is defined }}", "False"),
        ("{{ payload.x | default('d') }}", "d"),
        ("{{ payload.x.y or 'd' }}", "d"),
        ("{{ 'a' if payload.x else 'b' }}", "b"),
        ("{% if payload.x %}a{% endif %}", ""),
        ("{{ 'a' if payload.x }}", ""),
        ("{{ not payload.x }}", "True"),
    ],
)
def test_asking_whether_it_is_there_leaves_no_note(render, text: str, result: str) -> None:
    """Fall-backs are no surprise."""
    assert render(text, {}) == result
    assert render.variables.notes == []


def test_notes_are_few_short_and_never_twice(render) -> None:
    """At most 50 of at most 150 characters for one alert."""
    render("{{ payload.x }}" * 3, {})
    assert render.variables.notes == ["undefined: payload.x"]
    render("".join("{{ payload.x@ }}".replace("@", str(number)) for number in range(200)), {})
    assert len(render.variables.notes) == 50
    render("{{ payload.%s }}" % ("x" * 400), {})
    assert len(render.variables.notes[0]) == 150


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ("{{ payload.n > 5 }}", {"n": "7"}),
        ("{{ payload.n > 5 }}", {"n": None}),
        ("{{ payload.n > 5 }}", {}),
        ("{{ payload.n >= 'a' }}", {"n": 1}),
        ("{{ payload.n < 5 }}", {"n": [1]}),
        ("{{ payload.n + 1 }}", {"n": "7"}),
        ("{{ payload.n - 1 }}", {"n": None}),
        ("{{ 5 in payload.n }}", {"n": "7"}),
        ("{{ payload.n | sum }}", {"n": [1, "a"]}),
        ("{{ payload.n | sort }}", {"n": [1, "a"]}),
        ("{% for a in payload.n %}{% endfor %}", {"n": 5}),
        ("{{ payload.n() }}", {"n": 5}),
    ],
)
def test_values_of_the_wrong_type_are_a_problem(problem, text: str, payload: Any) -> None:
    """BUG-038: text, null and missing values cannot be compared with numbers; nothing but a TemplateProblem comes out."""
    assert problem(text, payload).kind in {"type", "undefined"}


def test_ordering_with_something_missing_is_a_type_problem(problem) -> None:
    """BUG-038: as for text and null; the message names the path and no value."""
    assert problem("{{ payload.n > 5 }}", {}).kind == "type"
    assert problem("{{ payload.n > 5 }}", {}).message == "payload.n is missing and cannot be ordered"
    assert (
        problem("{{ payload.n > 5 }}", {"n": "secret"}).message
        == "text and an integer cannot be compared with >"
    )


@pytest.mark.parametrize(
    ("text", "payload"),
    [
        ('{{ payload.alerts[0].status == "resolved" }}', {"alerts": []}),
        ('{{ payload.alerts[0].status == "resolved" }}', {}),
        ('{{ payload.alerts[0].status == "resolved" }}', {"alerts": None}),
        ('{{ payload.alerts[0].status == "resolved" }}', None),
        ('{{ payload.alerts[0].status == "resolved" }}', [1, 2]),
        ('{{ payload.alerts[0].status == "resolved" }}', "text"),
        ("{{ payload.x == none }}", {}),
        ("{{ payload.x == 0 }}", {}),
        ("{{ payload.x == '' }}", {}),
    ],
)
def test_equality_with_something_missing_is_false(render, text: str, payload: Any) -> None:
    """BUG-038: whatever stands in the way."""
    assert render(text, payload) == "False"


def test_missing_equals_only_missing(render) -> None:
    """And null equals only null."""
    assert render(
        "{{ payload.x == payload.y }} {{ payload.x == payload.n }} {{ payload.n == none }}", {"n": None}
    ) == ("True False True")


@pytest.mark.parametrize(
    "text",
    [
        "{{ payload.x + 1 }}",
        "{{ payload.x() }}",
        "{{ payload.x.get('a') }}",
        "{{ payload.x | int }}",
        "{{ -payload.x }}",
        "{{ payload.x | tojson }}",
    ],
)
def test_reckoning_with_something_missing_is_a_problem(problem, text: str) -> None:
    """Of kind undefined; it says what is missing."""
    found = problem(text, {})
    assert found.kind == "undefined"
    assert "payload.x" in found.message
    assert found.line == 1
