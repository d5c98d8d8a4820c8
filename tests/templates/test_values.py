"""What templates see, and what becomes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import Variables, parse


@pytest.mark.parametrize(
    "value",
    ["{{ payload.secret }} {% raw %} {#", "{{7*7}}", "$1 \\1 \\g<0>", "%(a)s {0}", "[[ 1 ]]", "{% endif %}"],
)
def test_values_are_never_expanded(render, value: str) -> None:
    """BUG-045: one pass only, wherever the value goes."""
    payload = {"title": value, "secret": "s3cret"}
    for text in (
        "{{ payload.title }}",
        "{% set t = payload.title %}{{ t }}",
        "{{ payload.title ~ '' }}",
        "{{ payload.title | string }}",
        "{{ '%s' | format(payload.title) }}",
        "{{ '{}'.format(payload.title) }}",
        "{{ 'x' | replace('x', payload.title) }}",
        "{% macro m(t) %}{{ t }}{% endmacro %}{{ m(payload.title) }}",
    ):
        assert render(text, payload) == value


def test_real_senders_with_template_text_in_their_values(render) -> None:
    """BUG-045: a user name `{{7*7}}` in an attack report stays one."""
    folder = Path(__file__).parents[1] / "payloads" / "wazuh"
    for file in sorted(folder.glob("*.json")):
        payload = json.loads(file.read_text())
        text = render("{{ payload | tojson }}", payload)
        assert json.loads(text) == payload
        assert "49" not in render("{{ payload.data.dstuser }}", payload)


def test_nothing_is_escaped_unless_asked(render) -> None:
    """Channels escape for themselves; `e` escapes once."""
    payload = {"a": "<b>&\"'"}
    assert render("{{ payload.a }}", payload) == "<b>&\"'"
    assert render("{{ payload.a | e }}", payload) == "&lt;b&gt;&amp;&#34;&#39;"
    assert render("{{ payload.a | e | e }}", payload) == "&lt;b&gt;&amp;&#34;&#39;"
    assert render("{{ payload.a | e | forceescape }}", payload).startswith("&amp;lt;")


@pytest.mark.parametrize("number", [0, -1, 2**53 + 1, 2**63, 10**30, -(10**300)])
def test_integers_of_any_size_are_exact(render, number: int) -> None:
    """Printed, compared, reckoned with and written as JSON."""
    payload = {"n": number}
    assert render("{{ payload.n }} {{ payload.n | tojson }} {{ payload }}", payload) == (
        f"{number} {number} {{'n': {number}}}"
    )
    assert render("{{ payload.n + 1 }}", payload) == str(number + 1)
    assert render(f"{{{{ payload.n == {number} }}}}", payload) == "True"


@pytest.mark.parametrize(
    "value", [True, False, None, 1.0, 1e300, [], {}, [1, "a", None], {"a": {"b": [True]}}, "é\n'\""]
)
def test_values_print_as_in_python(render, value: Any) -> None:
    """As in Jinja2."""
    assert render("{{ payload.v }}", {"v": value}) == str(value)


def test_now_is_an_argument(render) -> None:
    """`time()` is the moment of the alert, aware, in UTC; there is no other clock."""
    moment = datetime(2026, 5, 28, 20, 26, 40, tzinfo=UTC)
    micros = int(moment.timestamp()) * 1_000_000
    assert render("{{ time() }}", {}, now=micros) == "2026-05-28 20:26:40+00:00"
    assert render("{{ time().strftime('%H:%M') }} {{ time().year }}", {}, now=micros) == "20:26 2026"


def test_text_that_no_database_stores_is_replaced(render) -> None:
    """NUL and lone surrogates, wherever they come from."""
    assert render("{{ payload.a }}{{ 'b\\x00' }}{{ '\\ud800' }}", {"a": "\x00x\ud83d"}) == "�x�b��"
    assert render("{{ payload.a }}", {"a": "ok 😀"}) == "ok 😀"


def test_variables_may_grow_between_renderings() -> None:
    """Labels and further names are set as they become known; all templates of the alert share the rest."""
    variables = Variables(payload={"a": 1}, now=0)
    template = parse(TemplateText(text="{{ payload.a }}{{ labels.team }}{{ source_link }}"))
    for render in (template.render, template.render_sandboxed):
        variables.labels, variables.extra = {}, {}
        assert render(variables) == "1"
        variables.labels = {"team": "x"}
        variables.extra = {"source_link": "http://y"}
        assert render(variables) == "1xhttp://y"


def test_macros_loops_and_namespaces_work(render) -> None:
    """What is metered is not missing."""
    text = """
    {%- macro row(key, value='-') -%}<{{ key }}={{ value }}>{%- endmacro -%}
    {%- set ns = namespace(total=0) -%}
    {%- for key, value in payload.numbers | dictsort if value > 1 -%}
    {%- set ns.total = ns.total + value -%}
    {{ row(key, value) }}{{ "," if not loop.last }}
    {%- else -%}none{%- endfor -%}
    {{ ns.total }}{{ row("z") }}
    {%- set box %}[{{ ns.total }}]{% endset %}{{ box }}
    {%- call(x) twice() %}({{ x }}){% endcall -%}
    """
    assert render(
        "{% macro twice() %}{{ caller(1) }}{{ caller(2) }}{% endmacro %}" + text,
        {"numbers": {"a": 1, "c": 3, "b": 2}},
    ) == ("<b=2>,<c=3>5<z=->[5](1)(2)")
    tree = [{"n": "a", "c": [{"n": "b"}]}, {"n": "d"}]
    assert (
        render("{% for t in payload recursive %}{{ t.n }}{{ loop.depth }}{{ loop(t.c) }}{% endfor %}", tree)
        == "a1b2d1"
    )


def test_labels_from_a_mapping(render) -> None:
    """The seed's way of building labels: spread, override, print as JSON."""
    text = """{%- set labels = {} -%}
    {%- set labels = dict(labels, **payload.commonLabels) -%}
    {%- set labels = dict(labels, **{"status": payload.status}) -%}
    {{ labels | tojson }}"""
    assert render(text, {"commonLabels": {"a": "b"}, "status": "firing"}) == '{"a": "b", "status": "firing"}'
