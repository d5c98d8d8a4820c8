"""Templates written to harm the receiver: each ends within its budget, in little memory, and reveals nothing."""

from __future__ import annotations

import re
import tracemalloc
from contextlib import suppress

import pytest
from hostile import BOUNDED, CHANGING, CLIMBING, PAYLOAD, RUNAWAY

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import TemplateProblem, Variables, parse
from tocsin.flow.templates.meter import Meter

NOTHING = re.compile(r"(\[|\]|\(|\)|,|'|Undefined|None|\s)*")
BUDGET = 20_000


def spend(text: str, budget: int = BUDGET) -> tuple[str | None, TemplateProblem | None, int, int]:
    """Result or problem, steps taken, bytes at the peak."""
    meters: list[Meter] = []

    class Watched(Variables):
        __slots__ = ()

        def meter(self, limit: int = 50_000, *, reserve: int = 0) -> Meter:
            meters.append(super().meter(limit, reserve=reserve))
            return meters[-1]

    template = parse(TemplateText(text=text))
    variables = Watched(payload=PAYLOAD, now=0, budget=budget)
    result, problem = None, None
    tracemalloc.start()
    try:
        result = template.render_sandboxed(variables)
    except TemplateProblem as error:
        problem = error
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, problem, meters[-1].spent, peak


@pytest.mark.parametrize("text", RUNAWAY.values(), ids=RUNAWAY)
def test_runaway_template_ends_within_its_budget(text: str) -> None:
    """It ends with a problem, not one step above the budget, in memory in proportion to it: 12 MB for 20,000 steps."""
    result, problem, steps, peak = spend(text)
    assert result is None
    assert problem.kind in {"budget", "limit", "security", "other"}
    assert steps <= BUDGET
    assert peak < 12 * 2**20
    assert len(problem.message) <= 200


@pytest.mark.parametrize("text", BOUNDED.values(), ids=BOUNDED)
def test_huge_result_is_cut_before_it_is_made(text: str) -> None:
    """At most 50,002 characters come out, and not much more is ever made."""
    result, problem, steps, peak = spend(text, 250_000)
    assert problem is None
    assert len(result) <= 50_002
    assert steps <= 250_000
    assert peak < 4 * 2**20


@pytest.mark.parametrize("text", ["nested loops", "folded key", "sort long", "urlencode", "cycler"])
def test_default_budget_bounds_memory_too(text: str) -> None:
    """250,000 steps make at most 64 MB."""
    _, problem, steps, peak = spend(RUNAWAY[text], 250_000)
    assert problem.kind == "budget"
    assert steps <= 250_000
    assert peak < 64 * 2**20


@pytest.mark.parametrize(
    "text", ["replace", "macro doubling", "silent output", "folded key", "regex replace"]
)
def test_work_is_counted_not_timed(text: str) -> None:
    """The same template over the same payload takes the same steps every time."""
    assert spend(RUNAWAY[text], 5_000)[2] == spend(RUNAWAY[text], 5_000)[2]


@pytest.mark.parametrize("text", CLIMBING)
def test_nothing_of_python_is_in_reach(text: str) -> None:
    """Attributes and functions of Python give a problem or nothing; never an object, an address or a module."""
    template = parse(TemplateText(text=text))
    for render in (template.render, template.render_sandboxed):
        try:
            result = render(Variables(payload={"x": {"y": "z"}}, now=0))
        except TemplateProblem as problem:
            kind = problem.kind
        else:
            kind = "nothing" if NOTHING.fullmatch(result) else result
        assert kind in {"security", "undefined", "type", "other", "nothing"}


@pytest.mark.parametrize("text", CHANGING)
def test_no_template_changes_the_payload(text: str) -> None:
    """Neither by methods nor by assignments; making new values from it is fine."""
    payload = {"x": {"y": "z"}, "l": [3, 1, 2]}
    template = parse(TemplateText(text=text))
    for render in (template.render, template.render_sandboxed):
        with suppress(TemplateProblem):
            render(Variables(payload=payload, now=0))
        assert payload == {"x": {"y": "z"}, "l": [3, 1, 2]}


def test_one_template_leaves_nothing_to_the_next() -> None:
    """Names, macros and namespaces end with the rendering, though all templates of an alert share their variables."""
    variables = Variables(payload={"a": 1}, now=0)
    for text in (
        "{% set a = 1 %}{% macro m() %}x{% endmacro %}{{ a }}",
        "{% set payload = 2 %}{{ payload }}",
    ):
        template = parse(TemplateText(text=text))
        assert template.render(variables) == template.render_sandboxed(variables)
    after = parse(TemplateText(text="[{{ a }}{{ m }}]{{ payload.a }}"))
    assert after.render(variables) == after.render_sandboxed(variables) == "[]1"
