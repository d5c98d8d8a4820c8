"""Lengths, numbers and steps: what is allowed, to the unit."""

from __future__ import annotations

import pytest

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import TemplateProblem, Variables, parse


@pytest.mark.parametrize("length", [0, 1, 49_999, 50_000, 50_001, 60_000, 3_000_000])
@pytest.mark.parametrize(
    "text",
    ["{{ payload.a }}", "{{ payload.a }}{{ payload.b }}", "{% for c in [payload.a] %}{{ c }}{% endfor %}"],
)
def test_results_are_cut(render, text: str, length: int) -> None:
    """At most 50,000 characters, then two dots.

    Rules: R-TPL-10
    """
    result = render(text, {"a": "é" * length, "b": ""})
    assert result == "é" * length if length <= 50_000 else "é" * 50_000 + ".."


def test_titles_have_their_own_limit(render) -> None:
    """The caller says how long: 500 characters and two dots for a title."""
    assert render("{{ payload.a }}", {"a": "x" * 501}, limit=500) == "x" * 500 + ".."
    assert render("{{ payload.a }}", {"a": "x" * 500}, limit=500) == "x" * 500
    assert render("{{ payload }}", {"a": ["x"] * 1_000}, limit=500) == str({"a": ["x"] * 1_000})[:500] + ".."


@pytest.mark.parametrize(
    "value",
    [
        "it's" * 20_000,
        'say "hi"' * 20_000,
        'it\'s "both"' * 20_000,
        "plain é\n" * 20_000,
        {"a": ["b" * 60_000, 1]},
        {"k" * 60_000: 1},
        list(range(100_000)),
        [[], {}, [[]], (), (1,), "x" * 1_200, None, 1.5, True, {"a": {"b": []}}] * 1_000,
    ],
)
def test_lists_and_mappings_are_cut_like_their_text(render, value) -> None:
    """However much they hold, the result is the beginning of Python's own notation."""
    whole = str([value])
    expected = whole if len(whole) <= 50_000 else whole[:50_000] + ".."
    assert render("{{ [payload] }}", value) == expected


def test_large_templates_are_refused() -> None:
    """More than 50,000 characters of source; that is said when the template is read."""
    assert parse(TemplateText(text="x" * 50_000)).render(Variables(payload={}, now=0)) == "x" * 50_000
    with pytest.raises(TemplateProblem) as caught:
        parse(TemplateText(text="x" * 50_001))
    assert caught.value.kind == "limit"


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("2 ** 4095", True),
        ("2 ** 4096", False),
        ("(2 ** 2048) * (2 ** 2047)", True),
        ("(2 ** 2048) * (2 ** 2048)", False),
        ("(2 ** 4095) * 2 - 1 + 1", False),
        ("(2 ** 4095) + (2 ** 4095)", False),
        ("(-2) ** 4095", True),
        ("1 ** 999999999", True),
        ("0 ** 999999999", True),
        ("2 ** -4096", True),
    ],
)
def test_integers_have_at_most_4096_bits(render, problem, expression: str, allowed: bool) -> None:
    """Neither more nor less."""
    text = f"{{{{ ({expression}) > 0 }}}}"
    if allowed:
        assert render(text, {}) in {"True", "False"}
    else:
        assert problem(text, {}).kind == "limit"


def test_big_numbers_never_come_through_as_exceptions(problem) -> None:
    """Division by zero, overflow, complex results."""
    assert problem("{{ 1 / 0 }}", {}).message == "division by zero"
    assert problem("{{ 1e308 * 10 % 0 }}", {}).kind == "other"
    assert problem("{{ 10.0 ** 400 }}", {}).kind == "limit"
    assert problem("{{ (-1) ** 0.5 }}", {}).kind == "type"
    assert problem("{{ (2 ** 4000) / 3 }}", {}).kind == "limit"
    assert problem("{{ '9' | int * payload.n }}", {"n": 10**2000}).kind == "limit"


def steps(text: str, payload=None, budget: int = 250_000) -> int:
    """The smallest budget that suffices."""
    template = parse(TemplateText(text=text))
    low, high = 0, budget
    while low < high:
        middle = (low + high) // 2
        try:
            template.render_sandboxed(Variables(payload=payload, now=0, budget=middle))
            high = middle
        except TemplateProblem:
            low = middle + 1
    return low


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("{% if payload.a %}{% endif %}", 0),
        ("{% set x = payload.a | upper %}", 2),
        ("{% set x = payload.a is string %}", 1),
        ("{% set x = payload.get('a') %}", 1),
        ("{% for a in payload.l %}{% endfor %}", 10),
        ("{{ payload.s }}", 10),
        ("{% set x = payload.s ~ payload.s %}", 20),
        ("{% set x = 'a' * 5000 %}", 50),
        ("{% set x = 'é' * 5000 %}", 200),
        ("{% macro m() %}{% endmacro %}{% set x = m() %}", 1),
    ],
)
def test_what_a_step_is(text: str, expected: int) -> None:
    """One for a loop turn, call, filter, test, macro and for 100 characters; text outside ASCII counts fourfold."""
    payload = {"a": "x", "l": list(range(10)), "s": "y" * 1_000}
    assert steps(text, payload) == expected


def test_budget_is_checked_before_the_work(problem) -> None:
    """One step short is a problem of kind budget that names the budget."""
    text = "{% for a in payload %}{{ a }}{% endfor %}"
    needed = steps(text, list(range(100)))
    found = problem(text, list(range(100)), budget=needed - 1)
    assert (found.kind, found.line) == ("budget", 1)
    assert str(needed - 1) in found.message


def test_ordinary_templates_are_far_from_the_budget() -> None:
    """A message over a hundred alerts takes a hundredth of it."""
    text = "{% for a in payload.alerts %}- {{ a.labels.name | upper }}: {{ a.value }}{% if a.x %}!{% endif %}\n{% endfor %}"
    payload = {"alerts": [{"labels": {"name": f"n{number}"}, "value": number} for number in range(100)]}
    assert steps(text, payload) < 2_500
