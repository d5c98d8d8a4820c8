"""Templates that do not parse say where; templates that Jinja2 takes but nobody means are remarked upon."""

from __future__ import annotations

import pytest

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import TemplateProblem, lint, parse


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ('{{ payload.get("severity) }}', 1, 16, "a text starts here and never ends"),
        ("a\n  {{ payload.x | foo }}", 2, 18, "no filter 'foo'"),
        ("{{ payload.x is foo }}", 1, 17, "no test 'foo'"),
        ("{{ payload.x | upperr }}", 1, 16, "did you mean upper?"),
        ("{{ payload.x y }}", 1, 14, "got 'y'"),
        ("{{ }}", 1, 4, "Expected an expression"),
        ("{% if payload.x %}\nabc", 1, 4, "the if that starts here is never closed"),
        ("{% if a %}\n{% for b in c %}\n{% endif %}", 3, 4, "Encountered unknown tag 'endif'"),
        ("x\n {% endif %}", 2, 5, "unknown tag"),
        ("{{ (1 }}", 1, 7, "unexpected '}', expected ')'"),
        ("{{ payload.x }", 1, 14, "unexpected '}'"),
        ("{{ 1 ? 2 }}", 1, 6, "unexpected character '?'"),
        ("\r\n\r\n{{ 1 ? 2 }}", 3, 6, "unexpected character '?'"),
        ("{# never closed", 1, 4, "comment"),
        ("{{ %s }}" % ("9" * 5000), 1, 4, "too many digits"),
        ("{{ %s" % ("(" * 30), 1, 24, "nested"),
        ("{% autoescape true %}{% endautoescape %}", 1, 4, "autoescape is not available"),
    ],
)
def test_problems_have_a_position(text: str, line: int, column: int, words: str) -> None:
    """Line and column, both from 1, and words that say what is wrong."""
    with pytest.raises(TemplateProblem) as caught:
        parse(TemplateText(text=text))
    assert (caught.value.kind, caught.value.line, caught.value.column) == ("syntax", line, column)
    assert words in caught.value.message


@pytest.mark.parametrize(
    "text",
    [
        "{{ " + "(" * 20_000 + "1" + ")" * 20_000 + " }}",
        "{{ " + "not " * 10_000 + "1 }}",
        "{{ " + "-" * 20_000 + "1 }}",
        "{{ " + "[" * 10_000 + " }}",
        "{{ a" + ".b" * 20_000 + " }}",
        "{{ a" + "|upper" * 7_000 + " }}",
        "{{ 1" + " + 1" * 10_000 + " }}",
        "{{ " + "a if b else " * 4_000 + "c }}",
        "{% if a %}" * 3_000 + "{% endif %}" * 1_000,
        "{% if a %}" * 2_000 + "{% endif %}" * 2_000,
        "{% for a in b %}" * 12 + "{% endfor %}" * 12,
        "{% macro a() %}" * 1_000 + "{% endmacro %}" * 1_000,
        "{{ a" + "(b" * 5_000 + ")" * 5_000 + " }}",
        "{{ a" + "[b" * 5_000 + "]" * 5_000 + " }}",
        "{{ 2" + " ** 2" * 9_000 + " }}",
        "{{ a" + " < a" * 3_000 + " }}",
        "{{ {" * 10_000,
    ],
)
def test_deep_nesting_is_a_problem_not_a_crash(render, text: str) -> None:
    """Whatever is nested, Python's own limits are never reached."""
    try:
        render(text, {})
    except TemplateProblem as problem:
        assert problem.kind in {"syntax", "limit", "budget", "undefined", "type"}  # noqa: PT017


def test_long_flat_templates_are_fine(render) -> None:
    """Chains of `or`, `and` and `~`, many outputs, many branches."""
    assert render("{{ " + " or ".join(["payload.x"] * 800) + " or 'y' }}", {}) == "y"
    assert render("{{ " + " and ".join(["payload.x == 1"] * 500) + " }}", {"x": 1}) == "True"
    assert render("{{ " + " ~ ".join(["'a'"] * 5_000) + " }}", {}) == "a" * 5_000
    assert render("{{ payload.x }}" * 1_000, {"x": 1}) == "1" * 1_000
    branches = (
        "{% if payload.x == 0 %}0"
        + "".join(f"{{% elif payload.x == {n} %}}{n}" for n in range(1, 200))
        + "{% endif %}"
    )
    assert render(branches, {"x": 144}) == "144"


@pytest.mark.parametrize(
    ("delimiters", "text"),
    [
        (("[[", "]]"), "[% if payload.a %][[ payload.a ]]{{ x }}[% endif %][# no #]"),
        (("<<", ">>"), "<% if payload.a %><< payload.a >>{{ x }}<% endif %><# no #>"),
        (("${{", "}}$"), "$% if payload.a %$${{ payload.a }}${{ x }}$% endif %$$# no #$"),
        (("((", "))"), "(% if payload.a %)(( payload.a )){{ x }}(% endif %)(# no #)"),
    ],
)
def test_other_delimiters(render, delimiters: tuple[str, str], text: str) -> None:
    """Those of statements and comments follow from the outer signs; braces are then plain text."""
    assert render(text, {"a": ["b"]}, delimiters=delimiters) == "['b']{{ x }}"


def test_brackets_inside_bracket_delimiters(render) -> None:
    """Subscripts end before the delimiter does."""
    assert render("[[ payload.a[0] ]][[payload.a[0]]]", {"a": ["b"]}, delimiters=("[[", "]]")) == "bb"


@pytest.mark.parametrize(
    "delimiters",
    [("{%", "%}"), ("ab", "cd"), ("[#", "#]"), ("  ", "]]"), ("''", "''"), ("%%", "%%"), ("##", "}}")],
)
def test_delimiters_that_cannot_work(delimiters: tuple[str, str]) -> None:
    """They would be taken for statements, comments or names."""
    with pytest.raises(TemplateProblem) as caught:
        parse(TemplateText(text="x", delimiters=delimiters))
    assert caught.value.kind == "syntax"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{ payload.region }}}", [("stray-brace", 1, 21)]),
        ("a\n{{ payload.region }}} b", [("stray-brace", 2, 21)]),
        ('{"a": {{ payload.x | tojson }}}', []),
        ("{{ payload.x }} }}", [("half-escaped", 1, 17)]),
        ("{payload.x} {{ payload.y }}", [("half-escaped", 1, 1)]),
        ('{{ "{{" }} payload.x {{ "}}" }}{{ payload.y }}', [("half-escaped", 1, 4), ("half-escaped", 1, 25)]),
        ('payload.severity == "x"', [("no-delimiter", 1, 1)]),
        ("hello", [("constant", 1, 1)]),
        ("{{ 'true' }}", [("constant", 1, 1)]),
        ("", []),
        ('{%- if payload.a %}{% set b="11" %}{% endif -%}', [("prints-nothing", 1, 1)]),
        ("{{ payloda.x }}", [("unknown-name", 1, 4)]),
        ("{{ payload.x }}\n {{ alert_payload.x }}", [("unknown-name", 2, 5)]),
        ("{% for a in payload.l %}{{ a }}{{ loop.index }}{% endfor %}{{ time() }}", []),
        ('{{ payload.x | regex_search("(?=a)") }}', [("regex", 1, 16)]),
        ("{% raw %}{{ x }} }}{% endraw %}{{ payload.y }}", []),
        ("{{ broken", []),
        ("{{ payload.x }}{{ labels.y }}{{ source_link }}", []),
    ],
)
def test_lint(text: str, found: list[tuple[str, int, int]]) -> None:
    """What Jinja2 accepts without a word, with its position."""
    assert [(remark.kind, remark.line, remark.column) for remark in lint(TemplateText(text=text))] == found


def test_lint_knows_other_delimiters_and_names() -> None:
    """The caller says which variables the template has."""
    text = TemplateText(text="[[ payload.a ]]] [[ alert_group.id ]]", delimiters=("[[", "]]"))
    assert [remark.kind for remark in lint(text)] == ["stray-brace", "unknown-name"]
    assert [remark.kind for remark in lint(text, names={"payload", "alert_group"})] == ["stray-brace"]


@pytest.mark.parametrize(
    "text", ["{% include 'a' %}", "{% import 'a' as b %}", "{% from 'a' import b %}", "{% extends 'a' %}"]
)
def test_there_is_nothing_to_include(problem, render, text: str) -> None:
    """A problem when it is reached, not before."""
    assert problem(text, {}).kind == "other"
    assert render("{% include 'a' ignore missing %}x", {}) == "x"
    assert render("{% if false %}{% include 'a' %}{% endif %}x", {}) == "x"


def test_range_is_refused_when_called(problem, render) -> None:
    """BUG-043: a branch that is not reached is fine."""
    assert problem("{% for i in range(999999999) %}x{% endfor %}", {}).kind == "security"
    assert render("{% if payload.x %}{{ range(3) }}{% endif %}ok", {}) == "ok"


def test_problems_while_rendering_have_their_line(problem) -> None:
    """Also inside loops and macros."""
    assert problem("a\n{% for x in payload %}\n{{ x > 'a' }}\n{% endfor %}", [1]).line == 3
    assert problem("{% macro m() %}\n\n{{ 1 / 0 }}{% endmacro %}\n\n{{ m() }}", [1]).line == 3
