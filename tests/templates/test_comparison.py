"""What `comparison` says of a template is true of its evaluation, whatever the payload."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.flow.model import TemplateText
from tocsin.flow.templates import Condition, TemplateProblem, Variables, comparison, is_true, parse

KEYS = ["a", "b", "items", "__x"]
scalars = st.sampled_from([True, False, None, 0, 1, 2, -1, 1.0, 0.5, "", "x", "1", "True", 10**30])
payloads = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=6,
)
constants = st.sampled_from(
    ["true", "false", "none", "0", "1", "-1", "1.0", "0.5", "''", "'x'", "'1'", "'True'", "[]"]
)
paths = st.builds(
    lambda root, steps: root + "".join(steps),
    st.sampled_from(["payload", "labels"]),
    st.lists(
        st.sampled_from([".a", ".b", ".items", ".__x", "['a']", "['__x']", "[0]", "[-1]", ".get('a')"]),
        max_size=3,
    ),
)
atoms = st.one_of(
    st.builds("{} == {}".format, paths, constants),
    st.builds("{1} == {0}".format, paths, constants),
    st.builds("{} in [{}]".format, paths, st.lists(constants, max_size=3).map(", ".join)),
    st.builds("{} in ({},)".format, paths, constants),
    st.builds("{0} == {1} or {0} == {2}".format, paths, constants, constants).map("({})".format),
    st.builds("{} == {}".format, paths, paths),
    st.builds("{} != {}".format, paths, constants),
    st.builds("{} > 0".format, paths),
    st.builds("not {}".format, paths),
    paths,
)
conditions = st.lists(atoms, min_size=1, max_size=4).map(" and ".join) | st.lists(
    atoms, min_size=2, max_size=3
).map(" or ".join)
templates = st.one_of(
    st.builds("{{{{ {} }}}}".format, conditions),
    st.builds(
        " {{%- if {} -%}} {} {{%- endif -%}} \n".format,
        conditions,
        st.sampled_from(["true", "1", "ok", "yes", "", "{{ 1 }}", "{{ 'TRUE' }}"]),
    ),
    st.builds(
        "{{% if {} %}}1{{% else %}}{}{{% endif %}}".format,
        conditions,
        st.sampled_from(["0", "no", "1", "ok", "{{ payload }}"]),
    ),
    st.builds("{{% if {} %}}1{{% elif {} %}}1{{% endif %}}".format, conditions, conditions),
    st.builds("x{{{{ {} }}}}".format, conditions),
)


def holds(condition: Condition, roots: dict[str, Any]) -> bool:
    value: Any = roots
    for step in condition.path:
        if (isinstance(value, dict) and isinstance(step, str) and step in value) or (
            isinstance(value, list | str) and isinstance(step, int) and -len(value) <= step < len(value)
        ):
            value = value[step]
        else:
            return False
    return not isinstance(value, list | dict) and value in condition.values


@settings(max_examples=300, deadline=None)
@given(text=templates, payload=payloads)
def test_conditions_say_what_evaluation_does(text: str, payload: Any) -> None:
    """Not all hold: false, without a problem up to the first that does not. Exact and all hold: true."""
    template = parse(TemplateText(text=text))
    condition = comparison(template)
    if condition is None:
        return
    labels = {"a": "x", "b": "1"}
    results = [holds(part, {"payload": payload, "labels": labels}) for part in (condition, *condition.rest)]
    for render in (template.render, template.render_sandboxed):
        try:
            result = is_true(render(Variables(payload=payload, labels=labels, now=0)))
        except TemplateProblem:
            assert not condition.exact
            assert all(results)
        else:
            if not all(results):
                assert not result
            elif condition.exact:
                assert result


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{{ payload.a.b == "x" }}', Condition(path=("payload", "a", "b"), values=("x",))),
        ('{{ "x" == payload["a"][0] }}', Condition(path=("payload", "a", 0), values=("x",))),
        (
            "{{ payload.a[-1] in ['x', 1, none] }}",
            Condition(path=("payload", "a", -1), values=("x", 1, None)),
        ),
        ('{% if labels.team == "x" %} True {% endif %}\n', Condition(path=("labels", "team"), values=("x",))),
        (
            '{% if labels.get("team") == "x" %}1{% else %}0{% endif %}',
            Condition(path=("labels", "team"), values=("x",)),
        ),
        (
            "{{ payload.a == 1 or payload.a == 2 or 3 == payload.a }}",
            Condition(path=("payload", "a"), values=(1, 2, 3)),
        ),
        (
            '{{ payload.a == "x" and labels.b == "y" and payload.n > 3 and payload.c == 1 }}',
            Condition(
                path=("payload", "a"),
                values=("x",),
                rest=(Condition(path=("labels", "b"), values=("y",)),),
                exact=False,
            ),
        ),
    ],
)
def test_what_is_understood(text: str, expected: Condition) -> None:
    """A whole template that compares; conjuncts up to the first that is no comparison."""
    assert comparison(parse(TemplateText(text=text))) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "true",
        "{{ payload.a }}",
        '{{ payload.a != "x" }}',
        '{{ payload.get("a") == "x" }}',
        '{{ payload.a.get("b") == "x" }}',
        '{{ payload.__class__ == "x" }}',
        "{{ payload.a == payload.b }}",
        "{{ payload.a in [] }}",
        "{{ payload.a in 'xyz' }}",
        "{{ payload.a | lower == 'x' }}",
        "{{ source_link == 'x' }}",
        "{{ payload.n > 3 and payload.a == 'x' }}",
        "{{ payload.a == 'x' or payload.b == 'x' }}",
        "{{ payload.a == 'x' }}!",
        "{% if payload.a == 'x' %}yes{% endif %}",
        "{% if payload.a == 'x' %}1{% else %}ok{% endif %}",
        "{% set payload = 1 %}{{ payload.a == 'x' }}",
        "{{ 1 < payload.a == 2 }}",
    ],
)
def test_what_is_not(text: str) -> None:
    """None: evaluate the template."""
    assert comparison(parse(TemplateText(text=text))) is None
