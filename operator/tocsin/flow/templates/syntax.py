"""From text to syntax tree: Jinja2's grammar, with positions for its errors and limits for its nesting.

Delimiters: an integration may choose others than `{{ }}` for expressions. Those of statements and comments follow
from the outer characters: with `[[ ]]` they are `[% %]` and `[# #]`, with `<< >>` they are `<% %>` and `<# #>`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NoReturn, cast

from jinja2 import TemplateNotFound, TemplateSyntaxError, nodes
from jinja2.lexer import TokenStream
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tocsin.flow.model import TemplateText
from tocsin.flow.templates.codegen import MeteredGenerator
from tocsin.flow.templates.meter import INTEGER_BITS, LIMIT
from tocsin.flow.templates.missing import make_missing
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.registry import FILTERS, TESTS

EXPRESSION_DEPTH = 60
"""Levels of the syntax tree."""
BRACKET_DEPTH = 20
STATEMENT_DEPTH = 20
LOOP_DEPTH = 8
_NO_DELIMITER = re.compile(r"[\w\s'\"\\]")
_CHARACTER = re.compile(r"unexpected char (.*) at (\d+)$", re.DOTALL)
_NEWLINE = re.compile(r"\r\n|\r|\n")
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_STATEMENTS = (nodes.For, nodes.If, nodes.Macro, nodes.CallBlock, nodes.FilterBlock, nodes.With, nodes.Block)


class Environment(ImmutableSandboxedEnvironment):
    """One per pair of delimiters, shared by all templates that use it."""

    code_generator_class = MeteredGenerator

    def __init__(self, delimiters: tuple[str, str]) -> None:
        start, end = delimiters
        super().__init__(
            variable_start_string=start,
            variable_end_string=end,
            block_start_string=start[0] + "%",
            block_end_string="%" + end[-1],
            comment_start_string=start[0] + "#",
            comment_end_string="#" + end[-1],
            optimized=False,
            cache_size=0,
        )
        self.undefined = make_missing  # type: ignore[assignment]  # the runtime only calls it
        self.filters = dict(FILTERS)
        self.tests = dict(TESTS)
        self.globals = {}

    def _load_template(self, name: Any, globals: Any) -> NoReturn:  # noqa: A002 - Jinja2's name
        del globals
        raise TemplateNotFound(
            None, f"include, import and extends find nothing: there is no {str(name)[:50]!r}"
        )

    def select_template(self, names: Any, parent: Any = None, globals: Any = None) -> NoReturn:  # noqa: A002
        del parent
        self._load_template(names, globals)

    def get_or_select_template(self, names: Any, parent: Any = None, globals: Any = None) -> NoReturn:  # noqa: A002
        del parent
        self._load_template(names, globals)


@lru_cache(maxsize=64)
def environment(delimiters: tuple[str, str]) -> Environment:
    """Raises TemplateProblem of kind `syntax` for delimiters that cannot be told apart."""
    start, end = delimiters
    taken = {start[0] + "%", start[0] + "#", "%" + end[-1], "#" + end[-1]}
    if (
        _NO_DELIMITER.search(start + end)
        or start in taken
        or end in taken
        or start[0] in "%#"
        or end[-1] in "%#"
    ):
        raise TemplateProblem(
            "syntax", f"{start} and {end} cannot be delimiters; use two signs each, such as [[ and ]]"
        )
    return Environment(delimiters)


class Positions:
    """Follows the lexer through the text, so that an error can name its column."""

    def __init__(self, source: str) -> None:
        lines = _NEWLINE.split(source)
        if lines[-1] == "":
            del lines[-1]
        self.text = "\n".join(lines)
        self.token = 0
        self.position = 0
        self.in_lexer = False
        self.unclosed: int | None = None
        self._depth = 0

    def follow(self, tokens: Iterator[tuple[int, str, str]]) -> Iterator[tuple[int, str, str]]:
        while True:
            self.in_lexer = True
            try:
                line, kind, value = next(tokens)
            except StopIteration:
                self.in_lexer = False
                self.token = self.position
                return
            self.in_lexer = False
            found = self.text.find(value, self.position)
            start = found if found >= 0 else self.position
            self.position = start + len(value)
            if kind not in ("whitespace", "comment", "comment_begin", "comment_end"):
                self.token = start
            if kind == "operator":
                self._nest(value, line)
            yield line, kind, value

    def _nest(self, value: str, line: int) -> None:
        if value in _OPENING:
            self._depth += 1
            if self._depth > BRACKET_DEPTH:
                raise TemplateSyntaxError(f"brackets are nested more than {BRACKET_DEPTH} levels deep", line)
        elif value in _CLOSING:
            self._depth -= 1

    def locate(self, error: TemplateSyntaxError) -> tuple[str, int, int]:
        """Message, line and column of an error."""
        message = error.message or "not a template"
        found = _CHARACTER.match(message)
        if found:
            position = int(found[2])
            character = self.text[position : position + 1]
            message = (
                "a text starts here and never ends"
                if character in "'\""
                else f"unexpected character {character!r}"
            )
        elif self.unclosed is not None:
            position = self.unclosed
        elif self.in_lexer:
            position = self.position
            while position < len(self.text) and self.text[position] in " \t\n":
                position += 1
        else:
            position = self.token
        line, column = self.place(position)
        if error.lineno != line and not found and self.unclosed is None and error.lineno:
            return message, error.lineno, self._first_column(error.lineno)
        return message, line, column

    def place(self, position: int) -> tuple[int, int]:
        """Line and column of a character."""
        return self.text.count("\n", 0, position) + 1, position - (self.text.rfind("\n", 0, position) + 1) + 1

    def _first_column(self, line: int) -> int:
        text = self.text.split("\n")[line - 1]
        return len(text) - len(text.lstrip()) + 1

    def column_of(self, line: int, name: str) -> int | None:
        lines = self.text.split("\n")
        found = lines[line - 1].find(name) if line <= len(lines) else -1
        return found + 1 if found >= 0 else None


class _Parser(Parser):
    """Jinja2's parser; long chains of `or` and `and` become balanced trees, so that they are not deep."""

    def __init__(self, env: Environment, source: str, positions: Positions) -> None:
        self.positions = positions
        self._open: list[int] = []
        super().__init__(env, "")
        lexer = env.lexer
        tokens = positions.follow(iter(lexer.tokeniter(source, None)))
        self.stream = TokenStream(lexer.wrap(tokens), None, None)

    def parse_statement(self) -> nodes.Node | list[nodes.Node]:
        self._open.append(self.positions.token)
        statement = super().parse_statement()
        self._open.pop()
        return statement

    def fail_eof(self, end_tokens: tuple[str, ...] | None = None, lineno: int | None = None) -> NoReturn:
        if not self._tag_stack or not self._open:
            super().fail_eof(end_tokens, lineno)
        self.positions.unclosed = self._open[-1]
        self.fail(f"the {self._tag_stack[-1]} that starts here is never closed")

    def parse_or(self) -> nodes.Expr:
        operands = [self.parse_and()]
        while self.stream.skip_if("name:or"):
            operands.append(self.parse_and())
        return _balanced(operands, nodes.Or)

    def parse_and(self) -> nodes.Expr:
        operands = [self.parse_not()]
        while self.stream.skip_if("name:and"):
            operands.append(self.parse_not())
        return _balanced(operands, nodes.And)

    def parse_autoescape(self) -> NoReturn:
        self.fail("autoescape is not available; use the filter e")


def _balanced(operands: list[nodes.Expr], kind: type[nodes.BinExpr]) -> nodes.Expr:
    if len(operands) == 1:
        return operands[0]
    middle = len(operands) // 2
    return kind(
        _balanced(operands[:middle], kind), _balanced(operands[middle:], kind), lineno=operands[0].lineno
    )


def parse_tree(text: TemplateText) -> nodes.Template:
    """The checked syntax tree. Raises TemplateProblem of kind `syntax` (or `limit`) with line and column."""
    source = text.text
    if len(source) > LIMIT:
        raise TemplateProblem(
            "limit", f"the template has {len(source)} characters; at most {LIMIT} are allowed"
        )
    env = environment(text.delimiters)
    positions = Positions(source)
    try:
        tree = _Parser(env, source, positions).parse()
    except TemplateSyntaxError as error:
        message, line, column = positions.locate(error)
        raise TemplateProblem("syntax", message, line=line, column=column) from None
    except (ValueError, OverflowError):
        line, column = positions.place(positions.token)
        raise TemplateProblem("syntax", "a number has too many digits", line=line, column=column) from None
    except RecursionError:
        raise _too_deep(1) from None
    _check(tree, positions)
    return tree


def _too_deep(line: int) -> TemplateProblem:
    return TemplateProblem("syntax", "the template is nested too deeply", line=line)


def _check(tree: nodes.Template, positions: Positions) -> None:
    """Depth, names of filters and tests, size of numbers."""
    stack: list[tuple[nodes.Node, int, int, int]] = [(tree, 0, 0, 0)]
    while stack:
        node, depth, statements, loops = stack.pop()
        if isinstance(node, _STATEMENTS):
            statements, depth = statements + 1, 0
            loops += isinstance(node, nodes.For)
        if depth > EXPRESSION_DEPTH or statements > STATEMENT_DEPTH or loops > LOOP_DEPTH:
            raise _too_deep(node.lineno)
        _check_node(node, positions)
        stack.extend((child, depth + 1, statements, loops) for child in node.iter_child_nodes())


def _check_node(node: nodes.Node, positions: Positions) -> None:
    if isinstance(node, nodes.Filter | nodes.Test):
        is_filter = isinstance(node, nodes.Filter)
        names: dict[str, Any] = cast("dict[str, Any]", FILTERS if is_filter else TESTS)
        if node.name not in names:
            near = get_close_matches(node.name, names, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise TemplateProblem(
                "syntax",
                f"there is no {'filter' if is_filter else 'test'} {node.name!r}{hint}",
                line=node.lineno,
                column=positions.column_of(node.lineno, node.name),
            )
    elif (
        isinstance(node, nodes.Const)
        and isinstance(node.value, int)
        and node.value.bit_length() > INTEGER_BITS
    ):
        raise TemplateProblem("limit", f"an integer has more than {INTEGER_BITS} bits", line=node.lineno)
