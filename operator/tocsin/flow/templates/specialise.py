"""Compiles the frequent shapes of templates to plain Python with direct lookups.

The result is a function of `Variables` that gives what the sandbox gives, or leaves the rendering to it: by raising
`Leave` for an unusual payload, or anything else for a template that fails, so that errors are the sandbox's own.
Operations that have no short cut here are the sandbox's, on a meter that holds back what the short cuts do not
charge; so whatever fits in here fits into the budget there. `tests/templates/test_equality.py` proves all of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from jinja2 import nodes

from tocsin.flow.templates import operators
from tocsin.flow.templates.attributes import attribute, call, invoke, item
from tocsin.flow.templates.expressions import RESERVED, Expressions
from tocsin.flow.templates.filters_data import FUNCTIONS
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.shortcuts import (
    ABSENT,
    NOTHING,
    PIECE,
    Leave,
    contains,
    equal,
    scalar_text,
    text,
)
from tocsin.flow.templates.text import clean
from tocsin.flow.templates.writer import Unsupported, Value

Specialised = Callable[[Any], str]

MOST_OUTPUTS = 60
_ROOM_FEW, _ROOM_MANY, _FEW = 12_000, 2_000, 4
_RESERVE = 2_000
_RESERVE_OUTPUT = 550
"""Steps that the sandbox may charge for one output of plain text; lists and mappings take up to 40 units a byte."""
_RESERVE_COMPARISON = 110
_MOST_RESERVED = 100_000

_GLOBALS: dict[str, Any] = {
    "Missing": Missing,
    "Leave": Leave,
    "NOTHING": NOTHING,
    "ABSENT": ABSENT,
    "text": text,
    "scalar_text": scalar_text,
    "equal": equal,
    "contains": contains,
    "clean": clean,
    "attribute": attribute,
    "item": item,
    "invoke": invoke,
    "call": call,
    "cut": operators.cut,
    "concat": operators.concat,
    "compare": operators.compare,
    "add": operators.add,
    "subtract": operators.subtract,
    "multiply": operators.multiply,
    "divide": operators.divide,
    "floor_divide": operators.floor_divide,
    "modulo": operators.modulo,
    "power": operators.power,
    "NUMBERS": frozenset({int, float, bool}),
    "SERIES": frozenset({str, list, dict}),
}


def specialise(tree: nodes.Template) -> tuple[Specialised, int] | None:
    """The function and the budget that it needs in steps; None for templates that only the sandbox renders."""
    try:
        return _Compiler(tree).compile()
    except (Unsupported, RecursionError, SyntaxError):
        return None


class _Compiler(Expressions):
    """One template's function, statement by statement."""

    def __init__(self, tree: nodes.Template) -> None:
        super().__init__()
        self._tree = tree
        self._parts: list[str] = []
        self._branches = False
        self._plain = True
        self._initial: list[str] = []
        outputs = [child for output in tree.find_all(nodes.Output) for child in output.nodes]
        self._outputs = sum(not isinstance(child, nodes.TemplateData) for child in outputs)
        self._outputs += sum(len(node.nodes) for node in tree.find_all(nodes.Concat))
        if self._outputs > MOST_OUTPUTS:
            raise Unsupported
        self._room = _ROOM_FEW if self._outputs <= _FEW else _ROOM_MANY
        self._reserve = _RESERVE + self._outputs * (_RESERVE_OUTPUT + self._room * 40 // 100)
        self._reserve += _RESERVE_COMPARISON * sum(1 for _ in tree.find_all(nodes.Compare))
        self._reserve += 2 * sum(1 for _ in tree.find_all((nodes.Filter, nodes.Test, nodes.Call)))
        if self._reserve > _MOST_RESERVED:
            raise Unsupported

    def compile(self) -> tuple[Specialised, int]:
        self._body(self._tree.body)
        if self._branches:
            self._flush()
            result = "o"
        else:
            result = self._joined()
        if self._plain:
            self._emit(f"return {result}")
        else:
            self._emit(f"o = {result}")
            self._emit("return o if o.isascii() and '\\x00' not in o else clean(o)")
        heads = {
            "p": "p = v.payload",
            "labels": "labels = v._labels",
            "extra": "extra = v._extra",
            "names": "names = v.names()",
            "m": f"m = v.meter(reserve={self._reserve})",
        }
        lines = ["def specialised(v):", *(f" {heads[name]}" for name in heads if name in self._used)]
        if self._branches:
            lines.append(" o = ''")
        lines += self._initial
        namespace: dict[str, Any] = {**_GLOBALS, **self._constants}
        exec(compile("\n".join([*lines, *self._lines]), "<specialised>", "exec"), namespace)  # noqa: S102 - names and literals only
        return cast("Specialised", namespace["specialised"]), self._reserve + _RESERVE

    def _joined(self) -> str:
        parts, self._parts = self._parts, []
        if len(parts) == 1:
            return parts[0]
        return " ".join(f"f'{{{part}}}'" if part.isidentifier() else part for part in parts) or "''"

    def _flush(self) -> None:
        if self._parts:
            self._emit(f"o += {self._joined()}")

    # -- statements

    def _body(self, body: list[nodes.Node]) -> None:
        for node in body:
            match node:
                case nodes.Output():
                    for child in node.nodes:
                        self._output(child)
                case nodes.If():
                    self._if(node)
                case nodes.Assign(target=nodes.Name()):
                    self._assign(node)
                case _:
                    raise Unsupported

    def _output(self, node: nodes.Expr) -> None:
        if isinstance(node, nodes.TemplateData):
            if clean(node.data) != node.data:
                raise Unsupported
            self._parts.append(repr(node.data))
            return
        value = self._value(node)
        if value.kind == "bool":
            part = self._temporary(f"'True' if {value.code} else 'False'")
        else:
            part = self._text(value)
            self._plain = False
        self._parts.append(part)

    def _text(self, value: Value) -> str:
        """A name that holds the text of a value, no longer than a piece may be."""
        if value.kind == "bool":
            return self._temporary(f"'True' if {value.code} else 'False'")
        name = self._temporary(value.code)
        check = f"{name}.__class__ is not str"
        if self._outputs > 1:
            check += f" or len({name}) > {PIECE}"
        self._emit(f"if {check}:")
        if value.kind == "any":
            self._emit(f" {name} = scalar_text({name}, 0)")
        else:
            self._emit(f" {name} = text({name}, {self._room})")
        return name

    def _if(self, node: nodes.If) -> None:
        self._flush()
        self._branches = True
        self._emit(f"if {self._truth(node.test)}:")
        before = set(self._definite)
        after = self._branch(lambda: self._body(node.body))
        self._definite = set(before)
        self._emit("else:")
        rest = self._branch(lambda: self._otherwise(node))
        ends = [end for end in (after, rest) if end is not None]
        if not ends:
            raise Unsupported
        self._definite = set.intersection(*ends)

    def _otherwise(self, node: nodes.If) -> None:
        if not node.elif_:
            self._body(node.else_)
            return
        first, *others = node.elif_
        self._if(nodes.If(first.test, first.body, others, node.else_, lineno=first.lineno))

    def _branch(self, write: Callable[[], None]) -> set[str] | None:
        """What is surely assigned after a branch; None for one that the sandbox has to render."""
        start, used, variables = len(self._lines), set(self._used), dict(self._variables)
        self._indent += 1
        try:
            self._emit("pass")
            write()
            self._flush()
        except Unsupported:
            self._parts.clear()
            del self._lines[start:]
            self._used, self._variables = used, variables
            self._emit("raise Leave")
            return None
        finally:
            self._indent -= 1
        return self._definite

    def _assign(self, node: nodes.Assign) -> None:
        name = cast("nodes.Name", node.target).name
        if name in RESERVED or name in FUNCTIONS or name in ("payload", "labels"):
            raise Unsupported
        value = self._value(node.node)
        code = self._atom(value)
        if name not in self._variables:
            self._initial.append(f" u_{name} = Leave")
        kind = "json" if value.kind in ("json", "str", "bool", "const") else "any"
        known = self._variables.get(name, kind)
        self._variables[name] = kind if kind == known else "any"
        self._emit(f"u_{name} = {code}")
        self._definite.add(name)
