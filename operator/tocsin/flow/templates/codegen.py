"""Jinja2's code generator, changed so that everything a template does goes through the meter.

No expression is evaluated at compile time (a folded constant would escape the budget), and no Python operator,
method or iteration works on the template's values directly.
"""

# ruff: noqa: N802, N815 - names that Jinja2 looks up by the class of a node

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.utils import Namespace

from tocsin.flow.templates.attributes import attribute, call, invoke, item, spread, spread_keys
from tocsin.flow.templates.filters_data import make_dict
from tocsin.flow.templates.meter import STEP
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.operators import (
    Turns,
    add,
    compare,
    concat,
    cut,
    divide,
    floor_divide,
    modulo,
    multiply,
    negate,
    posit,
    power,
    subtract,
)
from tocsin.flow.templates.text import head_of, piece_of

NODE = 20
"""Units for each syntax node in the body of a loop, macro or block."""

OPERATIONS: dict[str, Any] = {
    "op_attribute": attribute,
    "op_item": item,
    "op_invoke": invoke,
    "op_call": call,
    "op_cut": cut,
    "op_compare": compare,
    "op_concat": concat,
    "op_dict": make_dict,
    "op_head": head_of,
    "op_piece": piece_of,
    "op_turns": Turns,
    "op_spread": spread,
    "op_spread_keys": spread_keys,
    "op_missing": Missing,
    "op_add": add,
    "op_sub": subtract,
    "op_mul": multiply,
    "op_div": divide,
    "op_floordiv": floor_divide,
    "op_mod": modulo,
    "op_pow": power,
    "op_neg": negate,
    "op_pos": posit,
    "Namespace": Namespace,
}
"""Names that generated code calls, besides Jinja2's own runtime."""

_PATH = 150
"""Characters of an expression in notes and messages."""

_TURNS, _SPREAD, _SPREAD_KEYS = "#turns", "#spread", "#spread_keys"
_INTERNAL = {_TURNS: "op_turns", _SPREAD: "op_spread", _SPREAD_KEYS: "op_spread_keys"}
_BODIES = (nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)


def prepare(tree: nodes.Template) -> None:
    """Writes into the syntax tree what each loop turn and call costs. Once per tree, before generating code."""
    for loop in list(tree.find_all(nodes.For)):
        price = nodes.Const(STEP + NODE * _size(loop.body) + (NODE * _size([loop.test]) if loop.test else 0))
        loop.iter = nodes.Filter(loop.iter, _TURNS, [price], [], None, None, lineno=loop.lineno)
    bodies: list[Any] = [*tree.find_all((nodes.Macro, nodes.CallBlock)), *tree.find_all(nodes.Block)]
    for body in bodies:
        size = _size(body.body) + _size(getattr(body, "defaults", []))
        body.body.insert(0, _statement(f"meter.spend({NODE * size})", body.lineno))
    calls: list[Any] = list(tree.find_all((nodes.Call, nodes.Filter, nodes.Test)))
    for node in calls:
        if node.dyn_args is not None:
            node.dyn_args = nodes.Filter(node.dyn_args, _SPREAD, [], [], None, None, lineno=node.lineno)
        if node.dyn_kwargs is not None:
            node.dyn_kwargs = nodes.Filter(
                node.dyn_kwargs, _SPREAD_KEYS, [], [], None, None, lineno=node.lineno
            )


def _statement(code: str, lineno: int) -> nodes.ExprStmt:
    name = object.__new__(nodes.InternalName)
    nodes.Node.__init__(name, code, lineno=lineno)
    return nodes.ExprStmt(name, lineno=lineno)


def _size(body: list[Any]) -> int:
    """Syntax nodes, without the bodies of loops and macros inside, which charge for themselves."""
    total = 0
    stack = list(body)
    while stack:
        node = stack.pop()
        total += 1
        if isinstance(node, _BODIES):
            stack.extend(node.iter_child_nodes(exclude=("body",)))
        else:
            stack.extend(node.iter_child_nodes())
    return total


def path_of(node: nodes.Node) -> str:
    """An expression as its author wrote it, for notes and messages: `payload.alerts[0].labels`."""
    steps: list[str] = []
    while isinstance(node, nodes.Getattr | nodes.Getitem):
        if isinstance(node, nodes.Getattr):
            steps.append(f".{node.attr}")
        elif isinstance(node.arg, nodes.Const):
            steps.append(f"[{node.arg.value!r}]")
        elif isinstance(node.arg, nodes.Neg) and isinstance(node.arg.node, nodes.Const):
            steps.append(f"[-{node.arg.node.value!r}]")
        else:
            steps.append("[...]")
        node = node.node
    if isinstance(node, nodes.Name):
        steps.append(node.name)
    elif isinstance(node, nodes.Call):
        steps.append(f"{path_of(node.node)}(...)")
    else:
        steps.append("(...)")
    text = "".join(reversed(steps))
    return text if len(text) <= _PATH else text[: _PATH - 1] + "…"


def _operation(name: str) -> Callable[[MeteredGenerator, Any, Frame], None]:
    def visit(self: MeteredGenerator, node: nodes.BinExpr, frame: Frame) -> None:
        self.emit_call(name, frame, node.left, node.right)

    return visit


def _sign(name: str) -> Callable[[MeteredGenerator, Any, Frame], None]:
    def visit(self: MeteredGenerator, node: nodes.UnaryExpr, frame: Frame) -> None:
        self.emit_call(name, frame, node.node)

    return visit


class MeteredGenerator(CodeGenerator):
    """Generates the code of one template; the environment must have `optimized` off."""

    def emit_call(self, function: str, frame: Frame, *arguments: nodes.Node | str | None) -> None:
        """Writes `function(meter, ...)`; strings are constants, None is None."""
        self.write(f"{function}(meter")
        for argument in arguments:
            self.write(", ")
            if isinstance(argument, nodes.Node):
                self.visit(argument, frame)
            else:
                self.write(repr(argument))
        self.write(")")

    def write_commons(self) -> None:
        self.writeline("resolve = context.resolve_or_missing")
        self.writeline("meter = context.meter")
        self.writeline("undefined = meter.undefined")
        self.writeline("concat = environment.concat")
        self.writeline("if 0: yield None")

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        if frame.require_output_check:
            if self.has_known_extends:
                return
            self.writeline("if parent_template is None:")
            self.indent()
        convert = "op_head" if frame.buffer is None and frame.block is None else "op_piece"
        for child in node.nodes:
            if isinstance(child, nodes.TemplateData):
                weight = len(child.data) if child.data.isascii() else 4 * len(child.data)
                self.writeline(f"meter.spend({weight})", child)
                self.simple_write(repr(child.data), frame, child)
            else:
                self.start_write(frame, child)
                self.emit_call(convert, frame, child)
                self.end_write(frame)
        if frame.require_output_check:
            self.outdent()

    visit_Add = _operation("op_add")
    visit_Sub = _operation("op_sub")
    visit_Mul = _operation("op_mul")
    visit_Div = _operation("op_div")
    visit_FloorDiv = _operation("op_floordiv")
    visit_Pow = _operation("op_pow")
    visit_Mod = _operation("op_mod")
    visit_Neg = _sign("op_neg")
    visit_Pos = _sign("op_pos")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.emit_call("op_concat", frame, *node.nodes)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        """`a < b < c` is `a < b and b < c` with `b` evaluated once, as in Python."""
        self.write("(")
        left: nodes.Node | None = node.expr
        name = ""
        for index, operand in enumerate(node.ops):
            if index:
                self.write(" and ")
            self.write(f"op_compare(meter, {operand.op!r}, ")
            if left is not None:
                self.visit(left, frame)
            else:
                self.write(name)
            self.write(", ")
            if index + 1 < len(node.ops):
                name, left = self.temporary_identifier(), None
                self.write(f"({name} := ")
                self.visit(operand.expr, frame)
                self.write(")")
            else:
                self.visit(operand.expr, frame)
            self.write(")")
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("op_dict(meter")
        for pair in node.items:
            self.write(", (")
            self.visit(pair.key, frame)
            self.write(", ")
            self.visit(pair.value, frame)
            self.write(")")
        self.write(")")

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        self.emit_call("op_attribute", frame, node.node, node.attr, path_of(node))

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if isinstance(node.arg, nodes.Slice):
            self.emit_call("op_cut", frame, node.node, node.arg.start, node.arg.stop, node.arg.step)
        else:
            self.emit_call("op_item", frame, node.node, node.arg, path_of(node))

    def visit_CondExpr(self, node: nodes.CondExpr, frame: Frame) -> None:
        frame = frame.soft()
        self.write("(")
        self.visit(node.expr1, frame)
        self.write(" if ")
        self.visit(node.test, frame)
        self.write(" else ")
        if node.expr2 is not None:
            self.visit(node.expr2, frame)
        else:
            self.write("op_missing('', None)")
        self.write(")")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:  # noqa: FBT001, FBT002
        callee = node.node
        if isinstance(callee, nodes.Getattr):
            self.write("op_invoke(meter, ")
            self.visit(callee.node, frame)
            self.write(f", {callee.attr!r}, {path_of(callee)!r}")
        else:
            self.write("op_call(meter, ")
            self.visit(callee, frame)
            self.write(f", {path_of(callee)!r}")
        self.signature(node, frame, {"caller": "caller"} if forward_caller else None)
        self.write(")")

    def visit_FilterBlock(self, node: nodes.FilterBlock, frame: Frame) -> None:
        filter_frame = frame.inner()
        filter_frame.symbols.analyze_node(node)
        self.enter_frame(filter_frame)
        self.buffer(filter_frame)
        self.blockvisit(node.body, filter_frame)
        self.start_write(frame, node)
        self.emit_call("op_piece", filter_frame, node.filter)
        self.end_write(frame)
        self.leave_frame(filter_frame)

    def visit_CallBlock(self, node: nodes.CallBlock, frame: Frame) -> None:
        call_frame, macro = self.macro_body(node, frame)
        self.writeline("caller = ")
        self.macro_def(macro, call_frame)
        self.start_write(frame, node)
        self.write("op_piece(meter, ")
        self.visit_Call(node.call, frame, forward_caller=True)
        self.write(")")
        self.end_write(frame)

    @contextmanager
    def _filter_test_common(
        self,
        node: nodes.Filter | nodes.Test,
        frame: Frame,
        is_filter: bool,  # noqa: FBT001
    ) -> Iterator[None]:
        internal = _INTERNAL.get(node.name)
        name = internal or (self.filters if is_filter else self.tests)[node.name]
        self.write(f"{name}({'meter' if internal else 'meter.step()'}, ")
        yield
        self.signature(node, frame)
        self.write(")")

    def visit_Filter(self, node: nodes.Filter, frame: Frame) -> None:
        with self._filter_test_common(node, frame, is_filter=True):
            if node.node is not None:
                self.visit(node.node, frame)
            else:
                self.write(f"concat({frame.buffer})")

    def visit_Test(self, node: nodes.Test, frame: Frame) -> None:
        with self._filter_test_common(node, frame, is_filter=False):
            self.visit(node.node, frame)
