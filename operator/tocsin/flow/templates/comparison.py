"""What a whole-template condition compares, so that routes can be found by value instead of tried one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec
from jinja2 import nodes

from tocsin.flow.templates.truth import is_true

if TYPE_CHECKING:
    from tocsin.flow.templates.template import Template

Scalar = str | int | float | bool | None

_ROOTS = frozenset({"payload", "labels"})
_KEYS = frozenset({str, int})


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """The template's result can be true (`is_true`) only if the value at `path` equals one of `values`.

    `path` begins with `payload` or `labels`; its steps are keys and list indexes as in `payload["a"][0]`. The value
    must be there: a missing one equals nothing. Equality is Python's, as in templates: `1 == 1.0 == True`. A value
    that cannot be hashed (a list, an object) equals no member of `values`. `values` is never empty and has no NaN.

    `rest` are the conjuncts that follow, as far as each is such a comparison too. All of them, in order, were
    evaluated without a chance to fail, so a template may be left out by any one of them without losing an error.
    `exact` means that there is nothing else: the result is true exactly if all of them hold. Without it something
    follows that only evaluation decides.
    """

    path: tuple[str | int, ...]
    values: tuple[Scalar, ...]
    rest: tuple[Condition, ...] = ()
    exact: bool = True


def comparison(template: Template) -> Condition | None:
    """None means: nothing is known, evaluate the template as it is.

    That is the answer for everything but `{{ condition }}` and `{% if condition %}text{% endif %}` (white space
    around them aside, the text true, an `else` not true), where the condition, or the conjunct that stands leftmost,
    is `path == constant` (either way round), `path in [constants]` or an `or` of these over one path. Also for
    `payload.get(...)`: on a body that is a list it fails, and an error must not be skipped. `labels.get(...)` is
    understood.
    """
    return template.condition


def condition_of(tree: nodes.Template) -> Condition | None:
    """The same for a syntax tree."""
    test = _only_condition(tree)
    if test is None:
        return None
    found: list[tuple[tuple[str | int, ...], tuple[Scalar, ...]]] = []
    exact = True
    for conjunct in _conjuncts(test):
        compared = _compared(conjunct)
        if compared is None:
            exact = False
            break
        found.append(compared)
    if not found:
        return None
    (path, values), *others = found
    rest = tuple(Condition(path=path, values=values) for path, values in others)
    return Condition(path=path, values=values, rest=rest, exact=exact)


def _only_condition(tree: nodes.Template) -> nodes.Node | None:
    """The condition that alone decides whether the result is true."""
    decisive: list[nodes.Node] = []
    for node in tree.body:
        if isinstance(node, nodes.Output):
            decisive.extend(child for child in node.nodes if not _is_blank(child))
        else:
            decisive.append(node)
    if len(decisive) != 1:
        return None
    match decisive[0]:
        case nodes.If(test=test, body=body, elif_=[], else_=otherwise):
            return test if _is_text(body, true=True) and _is_text(otherwise, true=False) else None
        case nodes.Expr() as expression:
            return expression
        case _:
            return None


def _is_blank(node: nodes.Node) -> bool:
    return isinstance(node, nodes.TemplateData) and not node.data.strip()


def _is_text(body: list[nodes.Node], *, true: bool) -> bool:
    texts: list[str] = []
    for node in body:
        if not isinstance(node, nodes.Output):
            return False
        for child in node.nodes:
            match child:
                case nodes.TemplateData(data=text) | nodes.Const(value=str() as text):
                    texts.append(text)
                case nodes.Const(value=bool() | int() as value):
                    texts.append(str(value))
                case _:
                    return False
    return is_true("".join(texts)) is true


def _conjuncts(node: nodes.Node) -> Iterator[nodes.Node]:
    """Left to right."""
    if isinstance(node, nodes.And):
        yield from _conjuncts(node.left)
        yield from _conjuncts(node.right)
    else:
        yield node


def _compared(node: nodes.Node) -> tuple[tuple[str | int, ...], tuple[Scalar, ...]] | None:
    match node:
        case nodes.Compare(expr=left, ops=[nodes.Operand(op="eq", expr=right)]):
            for side, constant in ((left, right), (right, left)):
                path = _path(side)
                if path is not None and _is_constant(constant):
                    return path, (_constant(constant),)
        case nodes.Compare(
            expr=left, ops=[nodes.Operand(op="in", expr=nodes.List() | nodes.Tuple() as members)]
        ):
            path, items = _path(left), members.items
            if path is not None and items and all(map(_is_constant, items)):
                return path, tuple(map(_constant, items))
        case nodes.Or(left=left, right=right):
            first, second = _compared(left), _compared(right)
            if first is not None and second is not None and first[0] == second[0]:
                return first[0], first[1] + second[1]
    return None


def _is_constant(node: nodes.Node) -> bool:
    match node:
        case nodes.Const(value=value):
            return value is None or (isinstance(value, str | int | float) and not _is_nan(value))
        case nodes.Neg(node=nodes.Const(value=int() | float())):
            return True
        case _:
            return False


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _constant(node: nodes.Node) -> Scalar:
    match node:
        case nodes.Const(value=str() | int() | float() | None as value):
            return value
        case nodes.Neg(node=nodes.Const(value=int() | float() as value)):
            return -value
        case _:
            return None


def _path(node: nodes.Node) -> tuple[str | int, ...] | None:
    """A path whose lookup cannot fail, whatever the payload."""
    steps: list[str | int] = []
    while not isinstance(node, nodes.Name):
        match node:
            case nodes.Getattr(node=inner, attr=name) if not name.startswith("__"):
                steps.append(name)
            case nodes.Getitem(node=inner, arg=nodes.Const(value=key)) if type(key) in _KEYS and _is_step(
                key
            ):
                steps.append(key)
            case nodes.Getitem(node=inner, arg=nodes.Neg(node=nodes.Const(value=int() as index))) if (
                type(index) is int
            ):
                steps.append(-index)
            case nodes.Call(
                node=nodes.Getattr(node=nodes.Name(name="labels") as inner, attr="get"),
                args=[nodes.Const(value=str() as name)],
                kwargs=[],
                dyn_args=None,
                dyn_kwargs=None,
            ):
                steps.append(name)
            case _:
                return None
        node = inner
    if node.name not in _ROOTS:
        return None
    return (node.name, *reversed(steps))


def _is_step(key: object) -> bool:
    """Keys with two underscores are not accessible where there is no such key."""
    return not (isinstance(key, str) and key.startswith("__"))
