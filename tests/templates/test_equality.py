"""Specialised templates give exactly what the sandbox gives, and both give what Jinja2 gives where it gives anything."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import ChainableUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from plain_shapes import plain_expressions, plain_payloads
from shapes import payloads, templates

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import TemplateProblem, Variables, comparison, lint, parse


def outcome(render: Any, variables: Variables) -> tuple[Any, ...]:
    try:
        return ("text", render(variables), variables.notes)
    except TemplateProblem as problem:
        return ("problem", problem.kind, problem.message, problem.line, variables.notes)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(text=templates, payload=payloads, budget=st.sampled_from([250_000, 250_000, 60_000, 3_000, 20]))
def test_specialised_equals_sandboxed(text: str, payload: Any, budget: int) -> None:
    """Output, problem, position and notes are the same, whatever the budget; the payload is as before."""
    template = parse(TemplateText(text=text))
    before = copy.deepcopy(payload)
    options = {
        "payload": payload,
        "labels": {"a": "x", "status": "7"},
        "extra": {"source_link": "http://x"},
        "now": 0,
        "budget": budget,
    }
    fast = outcome(template.render, Variables(**options))
    slow = outcome(template.render_sandboxed, Variables(**options))
    assert fast == slow
    assert repr(payload) == repr(before)


ORACLE = ImmutableSandboxedEnvironment(undefined=ChainableUndefined)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(expression=plain_expressions, payload=plain_payloads)
def test_where_jinja2_gives_a_text_so_do_we_and_it_is_the_same(
    expression: str, payload: dict[str, Any]
) -> None:
    """Escaped text is plain text here and lazy results are lists; all else is Jinja2's own result."""
    text = (
        f"{{{{ {expression} }}}}|{{% for v in [{expression}] %}}{{{{ v }}}}{{{{ loop.index }}}}{{% endfor %}}"
    )
    try:
        expected = ORACLE.from_string(text).render(payload=payload)
    except Exception:  # noqa: BLE001 - where Jinja2 fails there is nothing to compare
        return
    if (
        " object at 0x" in expected
        or "<built-in" in expected
        or "Markup(" in expected
        or "Undefined" in expected
    ):
        return
    assert parse(TemplateText(text=text)).render(Variables(payload=payload, now=0)) == expected


PIECES = [
    "{{", "}}", "{%", "%}", "{#", "#}", "{%-", "-%}", " if ", " else ", " elif ", " endif ", " for ", " in ", " endfor ", " set ", " endset ",
    " macro m(a, b=1) ", " endmacro ", " call m() ", " endcall ", " filter upper ", " endfilter ", " block b ", " endblock ", " recursive ",
    " with a = 1 ", " endwith ", " raw ", " endraw ", " include ", " not ", " is ", " and ", " or ", "payload", "labels", ".a", ".items", "()",
    "[0]", "[:1]", "[", "]", "(", ")", "{", "}", "'a'", '"', "'", "\\", "\x00", "é", "\n", " ", "1", "1.5", "1e999", "0x", "|", "~", "+", "-",
    "*", "**", "/", "//", "%", "==", "!=", "<", ">", "=", ",", ":", ".", "loop.index", "loop", "self.b()", "caller()", "varargs", "kwargs",
    "map('upper')", "select", "default", "tojson", "time()", "range(3)", "dict(a=1)", "namespace(x=1)", "joiner()", "cycler(1, 2)", "none", "true", "@",
]  # fmt: skip
"""Fragments of templates, to be put together without sense."""

nonsense = st.lists(st.sampled_from(PIECES), max_size=14).map("".join) | st.builds(
    "{{{{ {} }}}}".format, st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
)


@settings(max_examples=600, deadline=None)
@given(text=nonsense, payload=payloads)
def test_nonsense_is_a_problem_or_a_text(text: str, payload: Any) -> None:
    """Whatever is written, nothing but a TemplateProblem comes out, and both ways of rendering agree."""
    remarks = lint(TemplateText(text=text))
    try:
        template = parse(TemplateText(text=text))
    except TemplateProblem as problem:
        kind, line = problem.kind, problem.line
        template = None
    if template is None:
        assert kind in {"syntax", "limit"}
        assert line is None or line >= 1
        assert remarks == ()
        return
    comparison(template)
    options = {"payload": payload, "labels": {"a": "x"}, "now": 0, "budget": 20_000}
    assert outcome(template.render, Variables(**options)) == outcome(
        template.render_sandboxed, Variables(**options)
    )
