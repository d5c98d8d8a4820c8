"""Templates written to harm the receiver: each ends within its budget, in little memory, and reveals nothing."""

from __future__ import annotations

import re
import tracemalloc
from contextlib import suppress
from typing import Any

import pytest

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import TemplateProblem, Variables, parse
from tocsin.flow.templates.meter import Meter

BIG = "a" * 5_000_000


def nested(depth: int) -> Any:
    value: Any = "x"
    for _ in range(depth):
        value = [value]
    return value


PAYLOAD: dict[str, Any] = {
    "s": BIG,
    "t": "a" * 4_999_999 + "b",
    "u": "é" * 1_000_000,
    "w": "a b " * 250_000,
    "tags": "<!--<" * 200_000,
    "dashes": "-" * 100_000,
    "mail": "a@" * 50_000 + "." * 50_000,
    "json": "[" + "[]," * 500_000 + "[]]",
    "deepjson": "[" * 100_000,
    "l": list(range(500_000)),
    "same": [7] * 300_000,
    "texts": ["a" * 1_000] * 5_000,
    "collide": [n * ((1 << 61) - 1) for n in range(20_000)],
    "d": {f"k{n}": n for n in range(200_000)},
    "deep": nested(500),
    "n": 10**4_000,
    "x": {"y": "z"},
    "items": ["i"],
    "p": "(a*)*b",
}

RUNAWAY = {
    # loops
    "range": "{% for i in range(999999999) %}x{% endfor %}",
    "nested loops": "{% for a in payload.l %}{% for b in payload.l %}{% for c in payload.l %}{% endfor %}{% endfor %}{% endfor %}",
    "loop over characters": "{% for a in payload.s %}{% for b in payload.s %}{% endfor %}{% endfor %}",
    "filtered loop": "{% for a in payload.l if false %}x{% endfor %}" * 3,
    "heavy body": "{% for a in payload.l %}" + "{% if a and a or not a %}{% endif %}" * 500 + "{% endfor %}",
    "silent output": "{% for a in payload.l %}" + "{{ '' }}" * 500 + "{% endfor %}",
    "recursive loop": "{% for a in payload.deep recursive %}{{ loop(a) }}{% endfor %}",
    "loop calls itself": "{% for a in [[1]] recursive %}{{ loop([[1]]) }}{% endfor %}",
    # recursion
    "macro": "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "two macros": "{% macro a() %}{{ b() }}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
    "blocks": "{% block a %}{{ self.b() }}{% endblock %}{% block b %}{{ self.a() }}{% endblock %}",
    "macro doubling": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(29) }}",
    "spread": "{% macro m() %}{{ varargs|length }}{% endmacro %}{% for a in payload.l %}{{ m(*payload.l) }}{% endfor %}",
    "spread names": "{% macro m() %}{{ kwargs|length }}{% endmacro %}{% for a in payload.l %}{{ m(**payload.d) }}{% endfor %}",
    # growth of texts
    "multiply": "{{ 'a' * 10**9 }}",
    "multiply backwards": "{{ 10**9 * 'ab' }}",
    "multiply list": "{{ [1] * 10**9 }}",
    "doubling": "{% set ns = namespace(s='a') %}{% for i in payload.l %}{% set ns.s = ns.s + ns.s %}{% endfor %}",
    "doubling by tilde": "{% set ns = namespace(s='a') %}{% for i in payload.l %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
    "doubling by capture": "{% set s = 'ab' %}"
    + "{% set s %}{{ s }}{{ s }}{{ s }}{{ s }}{% endset %}" * 20
    + "{{ s }}",
    "doubling by macro": "{% macro m(s) %}{{ s }}{{ s }}{% endmacro %}{{ m(m(m(m(m(m(m(m(m(m(payload.s[:100000])))))))))) }}",
    "center": "{{ 'a'.center(10**9) }}",
    "center filter": "{{ 'a'|center(10**9) }}",
    "ljust": "{{ 'a'.ljust(10**12, 'é') }}",
    "zfill": "{{ 'a'.zfill(2**62) }}",
    "expandtabs": "{{ ('\\t' * 1000).expandtabs(10**8) }}",
    "replace": "{{ payload.s.replace('a', payload.s) }}",
    "replace nothing": "{{ payload.s|replace('', 'aaaaaaaaaa') }}",
    "join": "{{ payload.s.join(payload.texts) }}",
    "join filter": "{{ payload.l|join(payload.s) }}",
    "indent": "{{ ('\\n' * 100000)|indent(100000, true, true) }}",
    "indent by text": "{{ 'a\\nb'|indent(payload.s * 10) }}",
    "wordwrap": "{{ payload.s|wordwrap(1, wrapstring=payload.s) }}",
    "format width": "{{ '%1000000000d' % 1 }}",
    "format star": "{{ '%*d' % (10**9, 1) }}",
    "format precision": "{{ '%.1000000000f' % 1 }}",
    "format filter": "{{ '%0999999999999999999999d'|format(1) }}",
    "str.format width": "{{ '{:1000000000}'.format('a') }}",
    "str.format nested": "{{ '{:{w}}'.format('a', w=10**9) }}",
    "str.format digits": "{{ '{:.999999999999999999f}'.format(1.0) }}",
    "str.format many": "{{ ('{0}' * 8000).format(payload.s) }}",
    "format_map": "{{ '{a:>{b}}'.format_map({'a': 1, 'b': 999999999}) }}",
    "escape": "{% for i in payload.l %}{{ (payload.tags|e)|length }}{% endfor %}",
    "title": "{% for i in payload.l %}{% set x = payload.s|title %}{% endfor %}",
    "urlize": "{% for i in payload.l %}{{ payload.mail|urlize|length }}{% endfor %}",
    "urlencode": "{% for i in payload.l %}{{ payload.u|urlencode|length }}{% endfor %}",
    "striptags": "{% for i in payload.l %}{{ payload.tags|striptags|length }}{% endfor %}",
    "xmlattr": "{% for i in payload.l %}{{ payload.d|xmlattr|length }}{% endfor %}",
    "pprint": "{{ payload.l|pprint }}",
    "truncate": "{% for i in payload.l %}{{ payload.s|truncate(4000000)|length }}{% endfor %}",
    "slices": "{% for i in payload.l %}{% set x = payload.s[1:] %}{% endfor %}",
    "list slices": "{% set ns = namespace(l=[]) %}{% for i in payload.l %}{% set ns.l = ns.l + [payload.l[1:]] %}{% endfor %}",
    "splitting": "{% for i in payload.l %}{% set x = payload.w.split() %}{% endfor %}",
    "splitlines": "{% for i in payload.l %}{% set x = payload.w.splitlines() %}{% endfor %}",
    # growth of lists and numbers
    "batch fill": "{{ [1]|batch(10**9, 0) }}",
    "slice": "{{ [1]|slice(10**9) }}",
    "list of text": "{{ payload.s|list|length }}",
    "list doubling": "{% set ns = namespace(l=[1]) %}{% for i in payload.l %}{% set ns.l = ns.l + ns.l %}{% endfor %}",
    "list literals": "{% set ns = namespace(l=[]) %}{% for i in payload.l %}{% set ns.l = [ns.l, ["
    + "1," * 5000
    + "]] %}{% endfor %}",
    "dict copies": "{% set ns = namespace(d={}) %}{% for i in payload.l %}{% set ns.d = dict(a=ns.d, **payload.d) %}{% endfor %}",
    "power tower": "{{ 2**(2**(2**(2**(2**2)))) }}",
    "squaring": "{% set ns = namespace(n=3) %}{% for i in payload.l %}{% set ns.n = ns.n * ns.n %}{% endfor %}",
    "power of payload": "{{ payload.n * payload.n }}",
    "round": "{{ 1.5|round(10**9, 'floor') }}",
    "sum of lists": "{{ payload.texts|map('list')|sum(start=[]) }}",
    # hidden work
    "sort": "{% for i in payload.l %}{% set x = payload.l|sort %}{% endfor %}",
    "sort long": "{{ payload.texts|sort|length }}{{ (payload.texts * 10)|sort|length }}" * 20,
    "unique": "{% for i in payload.l %}{% set x = payload.same|unique %}{% endfor %}",
    "colliding keys": "{{ payload.collide|unique|list|length }}" * 20,
    "groupby": "{% for i in payload.l %}{% set x = payload.texts|groupby(0) %}{% endfor %}",
    "comparison": "{% for i in payload.l %}{{ payload.s == payload.t }}{% endfor %}" * 2,
    "list comparison": "{% for i in payload.l %}{{ payload.l == payload.l[:] }}{% endfor %}",
    "folded values": "{% set ns = namespace(l=[1]) %}{% for i in payload.l[:100] %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l == ns.l|list }}",
    "folded text": "{% set ns = namespace(l=[1]) %}{% for i in payload.l[:100] %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ ns.l|string|length }}",
    "folded json": "{% set ns = namespace(l=[1]) %}{% for i in payload.l[:100] %}{% set ns.l = {'a': ns.l, 'b': ns.l} %}{% endfor %}{{ ns.l|tojson|length }}",
    "folded key": "{% set ns = namespace(l=(1,)) %}{% for i in payload.l[:100] %}{% set ns.l = (ns.l, ns.l) %}{% endfor %}{{ {}.get(ns.l) }}",
    "folded sort": "{% set ns = namespace(l=[1]) %}{% for i in payload.l[:100] %}{% set ns.l = [ns.l, ns.l] %}{% endfor %}{{ [ns.l, ns.l]|sort|length }}",
    "search": "{% for i in payload.l %}{{ 'aaaaaaaab' in payload.s }}{% endfor %}",
    "search backwards": "{{ payload.s.rfind('b' + payload.s[:2000000]) }}",
    "count": "{% for i in payload.l %}{{ payload.s.count('ab') }}{% endfor %}",
    "strip": "{% for i in payload.l %}{{ payload.s.strip('a')|length }}{% endfor %}",
    "membership": "{% for i in payload.l %}{{ -1 in payload.l }}{% endfor %}",
    "index": "{% for i in payload.l %}{{ payload.l.count(-1) }}{% endfor %}",
    "regex": "{% for i in payload.l %}{{ payload.s|regex_search('(a|b)*a(a|b){20}c') }}{% endfor %}",
    "regex replace": "{{ payload.s|regex_replace('(?:[ab]*a[ab]{15}c)|a', 'b')|length }}",
    "regex empty matches": "{{ payload.s|regex_replace('', payload.s)|length }}",
    "json reading": "{% for i in payload.l %}{{ payload.json|parse_json|length }}{% endfor %}",
    "json writing": "{% for i in payload.l %}{{ payload.l|tojson|length }}{% endfor %}",
    "base64": "{% for i in payload.l %}{{ payload.s|b64decode }}{% endfor %}",
    "dictsort": "{% for i in payload.l %}{% set x = payload.d|dictsort %}{% endfor %}",
    "map": "{{ payload.l|map('string')|map('center', 1000)|list|length }}",
    "map chain": "{{ payload.l" + "|map('string')" * 50 + "|list|length }}",
    "select": "{{ payload.l|select('divisibleby', 3)|list|length }}",
    "time formats": "{% for i in payload.l %}{{ time().strftime('%c' * 400)|length }}{% endfor %}",
    "time width": "{{ time().strftime('%01000000000d') }}",
    "joiner": "{% set j = joiner(payload.s) %}{% for i in payload.l %}{% set x = j() ~ j() %}{% endfor %}",
    "cycler": "{% set c = cycler(*payload.l) %}{% for i in payload.l %}{% set x = cycler(*payload.l) %}{% endfor %}",
    "namespaces": "{% set ns = namespace() %}{% for i in payload.l %}{% set ns.a = namespace(payload.d) %}{% endfor %}",
    "loop.changed": "{% for i in payload.l %}{{ loop.changed(payload.l) }}{% endfor %}",
    "whole payload": "{% for i in payload.l %}{% set x = payload|string %}{% endfor %}",
    "captured payload": "{% set x %}{{ payload }}{% endset %}{{ x|length }}",
    "deep payload": "{{ payload.deep }}",
    "deep json": "{{ payload.deep|tojson }}",
    "deep comparison": "{{ payload.deep == payload.deep[:] }}",
}
"""Name and template. All of them run into a limit."""


BOUNDED = {
    "caller": "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}"
    + "{% call m() %}" * 12
    + "x"
    + "{% endcall %}" * 12,
    "loop length": "{% for a in payload.l %}{{ loop.revindex }}{% endfor %}",
    "wordwrap dashes": "{{ payload.dashes|wordwrap(2) }}",
    "power": "{{ 10**10**10 }}",
    "int base": "{{ payload.s|int(0, 16) }}",
    "big text": "{{ payload.s }}{{ payload.s }}" * 100,
    "big mapping": "{{ payload.d }}",
    "big payload": "{{ payload }}",
    "constant output": "{% for a in payload.l %}" + "x" * 1_000 + "{% endfor %}",
}
"""These give a result, which is cut."""

CLIMBING = [
    "{{ ''.__class__ }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ payload.__class__.__init__.__globals__ }}",
    "{{ payload.nope.__class__ }}",
    "{{ payload['__class__'] }}",
    "{{ ''['__class__'] }}",
    "{{ payload|attr('__class__') }}",
    "{{ ''|attr('__class__') }}",
    "{{ [''|upper]|map(attribute='__class__')|list }}",
    "{{ ['']|map('attr', '__class__')|list }}",
    "{{ ['']|sort(attribute='__class__') }}",
    "{{ ['']|groupby('__class__') }}",
    "{{ ['']|selectattr('__class__')|list }}",
    "{{ ['']|join(attribute='__class__') }}",
    "{{ ['']|sum(attribute='__class__') }}",
    "{{ ['']|unique(attribute='__class__') }}",
    "{{ ['']|max(attribute='__class__') }}",
    "{{ '{0.__class__}'.format('') }}",
    "{{ '{0.x.__class__.__init__}'.format(payload) }}",
    "{{ '{0[__class__]}'.format(1) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{{ '{:{0.__class__}}'.format(1) }}",
    "{{ '%(__class__)s' % payload }}",
    "{{ self.__init__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ self }}",
    "{{ cycler.__init__.__globals__ }}",
    "{{ joiner }}",
    "{{ dict.mro }}",
    "{{ dict.mro() }}",
    "{{ namespace().__class__ }}",
    "{{ namespace()._Namespace__attrs }}",
    "{{ namespace() }}",
    "{% macro m() %}{% endmacro %}{{ m._func.__globals__ }}",
    "{% macro m() %}{% endmacro %}{{ m.__call__ }}",
    "{% macro m() %}{% endmacro %}{{ m }}",
    "{% macro m() %}{% endmacro %}{{ [m] }}",
    "{% macro m() %}{% endmacro %}{{ m|tojson }}",
    "{% for a in [1] %}{{ loop._iterable }}{% endfor %}",
    "{% for a in [1] %}{{ loop.__init__ }}{% endfor %}",
    "{% for a in [1] %}{{ loop }}{% endfor %}",
    "{{ payload.get.__self__ }}",
    "{{ payload.get }}",
    "{{ ''.upper }}",
    "{{ ''.format.__globals__ }}",
    "{{ time.__code__ }}",
    "{{ time }}",
    "{{ time().tzinfo.__class__ }}",
    "{{ time().__reduce__() }}",
    "{{ time().__format__('x') }}",
    "{{ (1).__class__ }}",
    "{{ (1).to_bytes(100000000, 'big') }}",
    "{{ ''.encode().decode.__self__ }}",
    "{{ ''.translate({}) }}",
    "{{ lipsum.__globals__ }}",
    "{{ lipsum(1000000) }}",
    "{{ url_for.__globals__ }}",
    "{{ config }}",
    "{{ request.application.__globals__ }}",
    "{{ environment }}",
    "{{ context }}",
    "{{ meter.left }}",
    "{{ op_call }}",
    "{{ resolve('payload') }}",
    "{{ undefined() }}",
    "{{ caller() }}",
    "{% include payload.x.y %}",
    "{% import '/etc/passwd' as x %}",
    "{% from 'os' import system %}",
    "{% extends 'x' %}",
]
CHANGING = [
    "{{ payload.pop('x') }}",
    "{{ payload.update({'x': 1}) }}",
    "{{ payload.setdefault('q', 1) }}",
    "{{ payload.clear() }}",
    "{{ payload.l.append(1) }}",
    "{{ payload.l.sort() }}",
    "{{ payload['l'].reverse() }}",
    "{% set payload.x = 1 %}",
    "{% set x = payload.pop %}{{ x('x') }}",
    "{{ payload|attr('pop') }}",
    "{{ [payload]|map('attr', 'clear')|list }}{{ payload.x.y }}",
    "{% set l = payload.l[:3] %}{% set l = l + [9] %}{{ payload.l|reverse|first }}",
    "{{ payload.x|items|first }}{{ payload.l|batch(2, 'fill')|last|length }}",
]

NOTHING = re.compile(r"(\[|\]|\(|\)|,|'|Undefined|None|\s)*")
BUDGET = 50_000


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
    """It ends with a problem, not one step above the budget, in memory in proportion to it: 20 MB for 50,000 steps."""
    result, problem, steps, peak = spend(text)
    assert result is None
    assert problem.kind in {"budget", "limit", "security", "other"}
    assert steps <= BUDGET
    assert peak < 20 * 2**20
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
