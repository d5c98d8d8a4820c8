"""Specialised templates give exactly what the sandbox gives, and both give what Jinja2 gives where it gives anything."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jinja2 import ChainableUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import TemplateProblem, Variables, parse

KEYS = ["a", "b", "status", "items", "keys", "get", "labels", "_x", "payload"]
TEXTS = [
    "",
    "a",
    "resolved",
    "7",
    "007",
    "1.0",
    "True",
    "none",
    "héllo",
    "<b>&'\"",
    "{{ 7*7 }}",
    "x\x00y",
    " Ok \n",
    "b" * 1100,
]
scalars = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, 7, -1, 10**6, 2**63, 10**30, 1.0, 0.5, -0.0, 1e300])
    | st.sampled_from(TEXTS)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)
payloads = st.dictionaries(st.sampled_from(KEYS), values, max_size=6) | values

literals = st.sampled_from(
    [
        '""',
        '"a"',
        '"resolved"',
        "'7'",
        '"True"',
        '"héllo"',
        "0",
        "1",
        "7",
        "1.0",
        "0.5",
        "true",
        "false",
        "none",
        "-1",
    ]
)
paths = st.builds(
    lambda root, steps: root + "".join(steps),
    st.sampled_from(["payload", "payload", "payload", "labels", "source_link", "nowhere"]),
    st.lists(
        st.sampled_from([f".{key}" for key in KEYS])
        | st.sampled_from([f"['{key}']" for key in KEYS])
        | st.sampled_from(["[0]", "[-1]", "[1]", "['0']"]),
        max_size=3,
    ),
)
FILTERS = [
    "default('d')",
    "default('d', true)",
    "default(payload.a)",
    "upper",
    "lower",
    "trim",
    "string",
    "length",
    "first",
    "last",
    "tojson",
    "int",
    "int(5)",
    "float",
    "truncate(3)",
    "replace('a', 'bb')",
    "join(', ')",
    "list",
    "map('string')|list",
    "select('string')|list",
    "e",
    "regex_search('[a-z]')",
    "regex_replace('a', '<\\\\\\\\g<0>>')",
    "dictsort",
    "sum",
    "unique",
    "sort",
    "reverse",
    "capitalize",
    "title",
    "tojson_pretty",
    "b64decode",
    "timestamp_to_datetime",
]
TESTS = [
    "defined",
    "undefined",
    "none",
    "string",
    "number",
    "mapping",
    "boolean",
    "sequence",
    "in ['a', 7, 1.0]",
    "eq 1",
    "odd",
    "true",
]


def combined(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds(
            "({} {} {})".format, inner, st.sampled_from(["==", "!=", "<", ">=", "in", "not in"]), inner
        ),
        st.builds(
            "({} {} [{}])".format,
            inner,
            st.sampled_from(["in", "not in"]),
            st.lists(literals, max_size=3).map(", ".join),
        ),
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner),
        st.builds("(not {})".format, inner),
        st.builds("({} is {}{})".format, inner, st.sampled_from(["", "not "]), st.sampled_from(TESTS)),
        st.builds("({} | {})".format, inner, st.sampled_from(FILTERS)),
        st.builds("({} ~ {})".format, inner, inner),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} if {})".format, inner, inner),
        st.builds("{}.get('{}')".format, paths, st.sampled_from(KEYS)),
        st.builds("{}.get('{}', {})".format, paths, st.sampled_from(KEYS), inner),
        st.builds("({} {} {})".format, inner, st.sampled_from(["+", "-", "*", "%", "/"]), inner),
        st.builds("[{}, {}]".format, inner, inner),
        st.builds("({})[{}]".format, inner, st.sampled_from(["0", "'a'", "payload.a", "0:1", ":2"])),
        st.builds("({}).{}".format, inner, st.sampled_from(KEYS)),
        st.builds(
            "{}.{}".format,
            paths,
            st.sampled_from(["upper()", "startswith('a')", "items()", "split('e')", "nope()"]),
        ),
        st.builds("dict(a={})".format, inner),
    )


expressions = st.recursive(paths | literals, combined, max_leaves=6)
data = st.sampled_from(["x", " ", "\n", "true", "é", "<", ""])


def statements(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.builds("{}{}".format, inner, inner),
        st.builds("{{% if {} %}}{}{{% endif %}}".format, expressions, inner),
        st.builds("{{% if {} %}}{}{{% else %}}{}{{% endif %}}".format, expressions, inner, inner),
        st.builds(
            "{{%- if {} -%}}{}{{%- elif {} %}}{}{{% else %}}{}{{% endif %}}".format,
            expressions,
            inner,
            expressions,
            inner,
            inner,
        ),
        st.builds("{{% set {} = {} %}}".format, st.sampled_from(["v", "w", "nowhere"]), expressions),
        st.builds("{{{{ {} }}}}".format, st.sampled_from(["v", "w", "v.a", "w or v", "v == w"])),
        st.builds("{{% for v in {} %}}{}{{% endfor %}}".format, expressions, inner),
    )


templates = st.recursive(st.builds("{{{{ {} }}}}".format, expressions) | data, statements, max_leaves=5)


def outcome(render: Any, variables: Variables) -> tuple[Any, ...]:
    try:
        return ("text", render(variables), variables.notes)
    except TemplateProblem as problem:
        return ("problem", problem.kind, problem.message, problem.line, variables.notes)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
PLAIN_KEYS = ["a", "b", "status", "labels", "x1"]
plain_payloads = st.dictionaries(
    st.sampled_from(PLAIN_KEYS),
    st.recursive(
        st.none()
        | st.booleans()
        | st.sampled_from([0, 1, 7, 2**70, 1.0, 0.5])
        | st.sampled_from(["", "a", "7", "resolved", "é"]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(PLAIN_KEYS), inner, max_size=3)
        ),
        max_leaves=6,
    ),
    max_size=5,
)
plain_paths = st.builds(
    lambda steps: "payload" + "".join(steps),
    st.lists(
        st.sampled_from(
            [f".{key}" for key in PLAIN_KEYS] + [f"['{key}']" for key in PLAIN_KEYS] + ["[0]", "[-1]"]
        ),
        max_size=3,
    ),
)
plain_expressions = st.recursive(
    plain_paths | literals,
    lambda inner: st.one_of(
        st.builds(
            "({} {} {})".format,
            inner,
            st.sampled_from(["==", "!=", "<", ">=", "in", "and", "or", "+", "*", "~"]),
            inner,
        ),
        st.builds(
            "({} | {})".format,
            inner,
            st.sampled_from(
                [
                    "default('d')",
                    "upper",
                    "length",
                    "first",
                    "tojson",
                    "int",
                    "string",
                    "join",
                    "sort",
                    "dictsort",
                    "list",
                    "title",
                    "replace('a', 'b')",
                    "float",
                    "reverse|list",
                    "unique|list",
                    "min",
                    "max",
                    "sum",
                    "round",
                    "abs",
                    "urlencode",
                    "batch(2)|list",
                    "slice(2)|list",
                    "wordcount",
                    "indent",
                    "center(9)",
                    "striptags",
                    "format(1)",
                    "truncate(4)",
                    "map('upper')|list",
                    "select|list",
                    "items|list",
                    "filesizeformat",
                    "xmlattr",
                    "pprint",
                    "trim('a')",
                    "capitalize",
                ]
            ),
        ),
        st.builds("({} if {} else {})".format, inner, inner, inner),
        st.builds("({} < {} <= {})".format, inner, inner, inner),
        st.builds("'%s|%5s|%r' % ({}, {}, {})".format, inner, inner, inner),
        st.builds("'{{}}|{{!r}}|{{:>5}}'.format({}, {}, 'x')".format, inner, inner),
        st.builds("[{}, {}][:1]".format, inner, inner),
        st.builds("({}, {})".format, inner, inner),
    ),
    max_leaves=4,
)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
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
