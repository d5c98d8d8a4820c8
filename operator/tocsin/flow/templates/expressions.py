"""The expressions of specialised templates."""

from __future__ import annotations

from typing import Any, cast

from jinja2 import nodes

from tocsin.flow.templates.codegen import path_of
from tocsin.flow.templates.filters_data import FUNCTIONS
from tocsin.flow.templates.registry import FILTERS, TESTS
from tocsin.flow.templates.text import clean
from tocsin.flow.templates.writer import Unsupported, Value, Writer

RESERVED = frozenset({"self", "super", "caller", "loop", "varargs", "kwargs"})
"""Names that mean something of Jinja2's own."""

_SCALARS = (str, int, float, bool, type(None))
_LONGEST_INT = 1 << 62
_ARITHMETIC = {
    nodes.Add: "add",
    nodes.Sub: "subtract",
    nodes.Mul: "multiply",
    nodes.Div: "divide",
    nodes.FloorDiv: "floor_divide",
    nodes.Mod: "modulo",
    nodes.Pow: "power",
}
_CHECKS = {
    "defined": "{0}.__class__ is not Missing",
    "undefined": "{0}.__class__ is Missing",
    "none": "{0} is None",
    "string": "{0}.__class__ is str",
    "number": "{0}.__class__ in NUMBERS",
    "mapping": "{0}.__class__ is dict",
    "boolean": "{0}.__class__ is bool",
    "sequence": "{0}.__class__ in SERIES",
    "iterable": "{0}.__class__ in SERIES",
}


class Expressions(Writer):
    """Compiles expressions to names and short expressions; what must happen before is written as statements."""

    def __init__(self) -> None:
        super().__init__()
        self._variables: dict[str, str] = {}
        self._definite: set[str] = set()

    def _value(self, node: nodes.Node) -> Value:  # noqa: C901, PLR0912 - one case for each kind of expression
        match node:
            case nodes.Const():
                return self._literal(node.value)
            case nodes.Neg(node=nodes.Const(value=int() | float() as value)):
                return self._literal(-value)
            case nodes.Name():
                return self._variable(node.name)
            case nodes.Getattr() | nodes.Getitem():
                return self._lookup(node)
            case nodes.Not():
                return Value(self._truth(node), "bool")
            case nodes.And() | nodes.Or():
                return self._either(node)
            case nodes.Compare():
                return self._compare(node)
            case nodes.CondExpr():
                return self._conditional(node)
            case nodes.Concat():
                return self._concat(node)
            case nodes.Test():
                return self._test(node)
            case nodes.Filter():
                return self._filter(node)
            case nodes.Call():
                return self._call(node)
            case nodes.List() | nodes.Tuple():
                return self._sequence(node)
            case nodes.BinExpr() if type(node) in _ARITHMETIC:
                left, right = self._argument(node.left), self._argument(node.right)
                return self._metered(f"{_ARITHMETIC[type(node)]}({self._use('m')}, {left}, {right})")
            case _:
                raise Unsupported

    def _argument(self, node: nodes.Node) -> str:
        """A name or a constant: evaluated before whatever comes after it."""
        return self._atom(self._value(node))

    def _metered(self, code: str) -> Value:
        return Value(self._temporary(code), "any")

    def _literal(self, value: Any) -> Value:
        if isinstance(value, str):
            if clean(value) != value:
                raise Unsupported
        elif isinstance(value, float):
            if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - not a number
                raise Unsupported
        elif isinstance(value, int) and abs(value) > _LONGEST_INT:
            raise Unsupported
        return Value(f"({value!r})" if isinstance(value, int | float) else repr(value), "const", value)

    def _variable(self, name: str) -> Value:
        if name in RESERVED or name in FUNCTIONS or not name.isascii():
            raise Unsupported
        if name in ("payload", "labels"):
            return Value(self._use("p" if name == "payload" else "labels"), "json")
        if name in self._definite:
            return Value(f"u_{name}", self._variables[name])
        extra = self._use("extra")
        outside = f"{extra}[{name!r}] if {name!r} in {extra} else Missing({name!r}, v.notes)"
        if name in self._variables:
            return self._metered(f"u_{name} if u_{name} is not Leave else {outside}")
        return self._metered(outside)

    def _lookup(self, node: nodes.Getattr | nodes.Getitem) -> Value:
        path = path_of(node)
        steps, inner = _steps(node)
        if not steps:
            return self._subscript(cast("nodes.Getitem", node), path)
        base = self._value(inner)
        if base.kind == "any":
            return self._lookup_any(base, node, path)
        root = self._atom(base)
        if len(steps) == 1 and isinstance(steps[0], str):
            name = self._find(root, steps)
            self._emit(f"if {name} is ABSENT:")
            self._emit(f" {name} = Missing({path!r}, v.notes)")
        else:
            name = self._try(root, steps, f"Missing({path!r}, v.notes)")
        return Value(name, "json")

    def _find(self, root: str, steps: list[str | int]) -> str:
        """A name that holds the value, or ABSENT, which is false. Fast for what is there and for what is not."""
        if not all(isinstance(step, str) for step in steps):
            return self._try(root, steps, "ABSENT")
        name = self._name()
        for step in steps:
            self._emit(f"{name} = {root}.get({step!r}, ABSENT) if {root}.__class__ is dict else ABSENT")
            root = name
        return name

    def _try(self, root: str, steps: list[str | int], absent: str) -> str:
        name = self._name()
        self._emit("try:")
        self._emit(f" {name} = {root}{''.join(f'[{step!r}]' for step in steps)}")
        self._emit("except (KeyError, IndexError, TypeError):")
        self._emit(f" {name} = {absent}")
        return name

    def _truth(self, node: nodes.Node) -> str:
        """What is true exactly if the expression is; nobody needs to know what is missing."""
        if isinstance(node, nodes.Not):
            return f"(not {self._truth(node.node)})"
        if isinstance(node, nodes.Getattr | nodes.Getitem):
            steps, inner = _steps(node)
            if steps:
                base = self._value(inner)
                if base.kind != "any":
                    return self._find(self._atom(base), steps)
        return self._value(node).code

    def _lookup_any(self, base: Value, node: nodes.Getattr | nodes.Getitem, path: str) -> Value:
        """One step of a lookup in something that is perhaps no part of the payload."""
        inner = base if not isinstance(node.node, nodes.Getattr | nodes.Getitem) else self._value(node.node)
        function = "attribute" if isinstance(node, nodes.Getattr) else "item"
        return self._metered(f"{function}({self._use('m')}, {inner.code}, {_key(node)!r}, {path!r})")

    def _subscript(self, node: nodes.Getitem, path: str) -> Value:
        base = self._value(node.node)
        base = Value(self._atom(base), base.kind)
        if isinstance(node.arg, nodes.Slice):
            bounds = [
                "None" if bound is None else self._argument(bound)
                for bound in (node.arg.start, node.arg.stop, node.arg.step)
            ]
            return self._metered(f"cut({self._use('m')}, {base.code}, {', '.join(bounds)})")
        key = self._argument(node.arg)
        code = self._temporary(f"item({self._use('m')}, {base.code}, {key}, {path!r})")
        return Value(code, "json" if base.kind == "json" else "any")

    def _either(self, node: nodes.And | nodes.Or) -> Value:
        """The operands one after the other, until one decides."""
        is_or = isinstance(node, nodes.Or)
        *others, last = _operands(node, type(node))
        name, kind = self._name(), ""
        for index, operand in enumerate([*others, last]):
            if index:
                self._emit(f"if {'not ' if is_or else ''}{name}:")
                self._indent += 1
            if is_or and operand is not last and self._is_lookup(operand):
                code, found = self._truth(operand), "json"
            else:
                value = self._value(operand)
                code, found = value.code, value.kind
            self._emit(f"{name} = {code}")
            kind = _common(kind, found) if index else found
            self._indent -= bool(index)
        return Value(name, "json" if kind == "const" else kind)

    def _is_lookup(self, node: nodes.Node) -> bool:
        """Whether this is surely a lookup in payload or labels."""
        while isinstance(node, nodes.Getattr | nodes.Getitem) and _key(node) is not None:
            node = node.node
            if isinstance(node, nodes.Name):
                return node.name in ("payload", "labels")
        return False

    def _conditional(self, node: nodes.CondExpr) -> Value:
        name = self._name()
        self._emit(f"if {self._truth(node.test)}:")
        self._indent += 1
        chosen = self._value(node.expr1)
        self._emit(f"{name} = {chosen.code}")
        self._indent -= 1
        self._emit("else:")
        self._indent += 1
        other = Value("NOTHING", "json") if node.expr2 is None else self._value(node.expr2)
        self._emit(f"{name} = {other.code}")
        self._indent -= 1
        return Value(name, _common(chosen.kind, other.kind))

    def _compare(self, node: nodes.Compare) -> Value:
        if len(node.ops) != 1:
            raise Unsupported
        operand = node.ops[0]
        sign = operand.op
        left = self._value(node.expr)
        if sign in ("in", "notin"):
            members = _constants(operand.expr)
            if members is not None and left.kind != "any":
                return Value(
                    f"({left.code} {'in' if sign == 'in' else 'not in'} {self._constant(members)})", "bool"
                )
        left = Value(self._atom(left), left.kind)
        right = self._value(operand.expr)
        right = Value(self._atom(right), right.kind)
        if sign in ("eq", "ne") and "any" not in (left.kind, right.kind):
            if "const" in (left.kind, right.kind) or "bool" in (left.kind, right.kind):
                return Value(f"({left.code} {'==' if sign == 'eq' else '!='} {right.code})", "bool")
            return Value(f"({'' if sign == 'eq' else 'not '}equal({left.code}, {right.code}))", "bool")
        if sign in ("in", "notin") and left.kind in ("const", "str") and right.kind == "json":
            return Value(f"({'' if sign == 'in' else 'not '}contains({left.code}, {right.code}))", "bool")
        return Value(
            self._temporary(f"compare({self._use('m')}, {sign!r}, {left.code}, {right.code})"), "bool"
        )

    def _concat(self, node: nodes.Concat) -> Value:
        names = [self._argument(part) for part in node.nodes]
        return Value(self._temporary(f"concat({self._use('m')}, {', '.join(names)})"), "str")

    def _test(self, node: nodes.Test) -> Value:
        value = self._value(node.node)
        value = Value(self._atom(value), value.kind)
        arguments = self._arguments(node)
        check = _CHECKS.get(node.name)
        if check is not None and not arguments and value.kind != "any":
            return Value(f"({check.format(value.code)})", "bool")
        function = self._constant(TESTS[node.name])
        return Value(
            self._temporary(f"{function}({self._use('m')}.step(), {', '.join([value.code, *arguments])})"),
            "bool",
        )

    def _filter(self, node: nodes.Filter) -> Value:
        if node.node is None:
            raise Unsupported
        value = self._value(node.node)
        value = Value(self._atom(value), value.kind)
        if (
            node.name in ("default", "d")
            and not node.kwargs
            and len(node.args) == 1
            and node.dyn_args is None
        ):
            given = self._value(node.args[0])
            code = self._temporary(
                f"{self._atom(given)} if {value.code}.__class__ is Missing else {value.code}"
            )
            return Value(code, _common(value.kind, given.kind))
        arguments = self._arguments(node)
        function = self._constant(FILTERS[node.name])
        return self._metered(f"{function}({self._use('m')}.step(), {', '.join([value.code, *arguments])})")

    def _call(self, node: nodes.Call) -> Value:
        callee = node.node
        if isinstance(callee, nodes.Getattr):
            base = self._value(callee.node)
            base = Value(self._atom(base), base.kind)
            path = path_of(callee)
            arguments = self._arguments(node)
            plain = not node.kwargs and len(arguments) in (1, 2) and isinstance(node.args[0], nodes.Const)
            if callee.attr == "get" and plain:
                return self._get(base, arguments)
            joined = ", ".join([base.code, repr(callee.attr), repr(path), *arguments])
            return self._metered(f"invoke({self._use('m')}, {joined})")
        if isinstance(callee, nodes.Name) and callee.name in FUNCTIONS and callee.name not in self._variables:
            function = f"{self._use('names')}[{callee.name!r}]"
            joined = ", ".join([function, repr(path_of(callee)), *self._arguments(node)])
            return self._metered(f"call({self._use('m')}, {joined})")
        raise Unsupported

    def _get(self, base: Value, arguments: list[str]) -> Value:
        """`payload.get("key", default)`."""
        self._emit(f"if {base.code}.__class__ is not dict:")
        self._emit(" raise Leave")
        kind = base.kind if base.kind == "json" else "any"
        return Value(self._temporary(f"{base.code}.get({', '.join(arguments)})"), kind)

    def _sequence(self, node: nodes.List | nodes.Tuple) -> Value:
        codes = [self._argument(child) for child in node.items]
        inner = ", ".join(codes) + ("," if len(codes) == 1 else "")
        return self._metered(f"[{inner}]" if isinstance(node, nodes.List) else f"({inner})")

    def _arguments(self, node: nodes.Call | nodes.Filter | nodes.Test) -> list[str]:
        if node.dyn_args is not None or node.dyn_kwargs is not None:
            raise Unsupported
        arguments = [self._argument(argument) for argument in node.args]
        for keyword in node.kwargs:
            if not (
                isinstance(keyword, nodes.Keyword) and keyword.key.isidentifier() and keyword.key.isascii()
            ):
                raise Unsupported
            arguments.append(f"{keyword.key}={self._argument(keyword.value)}")
        return arguments


def _common(first: str, second: str) -> str:
    if first == second and first != "const":
        return first
    return "any" if "any" in (first, second) else "json"


def _operands(node: nodes.Expr, kind: type[nodes.Expr]) -> list[nodes.Expr]:
    """`a or b or c` from left to right."""
    if isinstance(node, nodes.BinExpr) and type(node) is kind:
        return _operands(node.left, kind) + _operands(node.right, kind)
    return [node]


def _steps(node: nodes.Getattr | nodes.Getitem) -> tuple[list[str | int], nodes.Expr]:
    """The constant keys of a lookup, and what it begins with."""
    steps: list[str | int] = []
    inner: nodes.Expr = node
    while isinstance(inner, nodes.Getattr | nodes.Getitem) and (key := _key(inner)) is not None:
        if isinstance(inner, nodes.Getattr) and inner.attr.startswith("__"):
            raise Unsupported
        steps.append(key)
        inner = inner.node
    steps.reverse()
    return steps, inner


def _key(node: nodes.Getattr | nodes.Getitem) -> str | int | None:
    """The constant key of one step of a lookup."""
    if isinstance(node, nodes.Getattr):
        return node.attr
    match node.arg:
        case nodes.Const(value=str() | int() as key) if not isinstance(key, bool):
            return key
        case nodes.Neg(node=nodes.Const(value=int() as index)) if not isinstance(index, bool):
            return -index
        case _:
            return None


def _constants(node: nodes.Expr) -> tuple[Any, ...] | None:
    """The members of a list of plain constants."""
    if not isinstance(node, nodes.List | nodes.Tuple):
        return None
    values = []
    for child in node.items:
        if not (isinstance(child, nodes.Const) and isinstance(child.value, _SCALARS)):
            return None
        if isinstance(child.value, float) and child.value != child.value:
            return None
        values.append(child.value)
    return tuple(values)
