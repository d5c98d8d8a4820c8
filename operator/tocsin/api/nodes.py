"""A YAML document as a tree that remembers where everything stood.

Built from parser events rather than by PyYAML's constructor, because kubectl's meaning of scalars, keys, merges and
aliases differs from PyYAML's (see `scalars`). Aliases and merges share nodes; `plain` copies them out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import yaml

from tocsin.api.scalars import Plain, ScalarError, json_number, key_text, resolve

if TYPE_CHECKING:
    from collections.abc import Sequence

Json = str | int | float | bool | list["Json"] | dict[str, "Json"] | None

MAX_DEPTH = 100
MAX_COPIES = 200_000
"""How many nodes aliases may add to a document, and merges as many entries, before it counts as a bomb."""

_SLASH_ESCAPE = re.compile(r"(?<!\\)(?:\\\\)*\\/")
_MERGE_TAG = "tag:yaml.org,2002:merge"


class DocumentError(Exception):
    """The document cannot be read; `line` and `column` are 1-based."""

    def __init__(self, reason: str, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.reason, self.message, self.line, self.column = reason, message, line, column


@dataclass(slots=True)
class Scalar:
    line: int
    column: int
    value: Plain
    style: str = ""
    """`|` and `>` for block scalars, a quote for quoted ones, "" for plain ones."""


@dataclass(slots=True)
class Items:
    line: int
    column: int
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Field:
    """One entry of a mapping; the position is the key's."""

    line: int
    column: int
    node: Node
    merged: bool = False


@dataclass(slots=True)
class Fields:
    line: int
    column: int
    fields: dict[str, Field] = field(default_factory=dict)


Node = Scalar | Items | Fields


@dataclass(frozen=True, slots=True)
class Repeat:
    """A key that is set twice. `merged`: by `<<`, which kubectl lets win over a key that stands before it."""

    key: str
    line: int
    column: int
    first_line: int
    merged: bool


class Composer:
    """Turns the events of one document into a tree. Raises DocumentError; counts nodes, collects `repeats`."""

    def __init__(self, events: Iterator[yaml.Event], text: str, line: int) -> None:
        self._events = events
        self._text = text
        self._offset = line
        self._anchors: dict[str, Node | None] = {}
        self._merged = 0
        self.size = 0
        self.repeats: list[Repeat] = []

    def compose(self, event: yaml.Event, depth: int = 0) -> Node:
        """The node that starts with `event`."""
        self.size += 1
        line, column = self.position(event)
        if depth > MAX_DEPTH:
            raise DocumentError("TooDeep", f"nested deeper than {MAX_DEPTH} levels", line, column)
        match event:
            case yaml.AliasEvent():
                return self._alias(event)
            case yaml.ScalarEvent():
                node: Node = self._scalar(event)
                self._remember(event, node)
            case yaml.SequenceStartEvent():
                self._remember(event, None)
                node = Items(line, column)
                while not isinstance(inner := next(self._events), yaml.SequenceEndEvent):
                    node.items.append(self.compose(inner, depth + 1))
                self._remember(event, node)
            case yaml.MappingStartEvent():
                self._remember(event, None)
                node = Fields(line, column)
                while not isinstance(inner := next(self._events), yaml.MappingEndEvent):
                    self._entry(node, inner, depth + 1)
                self._remember(event, node)
            case _:
                raise DocumentError("SyntaxError", "unexpected end of the document", line, column)
        return node

    def position(self, event: yaml.Event) -> tuple[int, int]:
        """1-based line in the file and column."""
        mark = event.start_mark
        return (mark.line + 1 + self._offset, mark.column + 1) if mark else (self._offset + 1, 1)

    def _remember(self, event: yaml.NodeEvent, node: Node | None) -> None:
        if event.anchor is not None:
            self._anchors[event.anchor] = node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        line, column = self.position(event)
        if event.anchor not in self._anchors:
            message = f"unknown anchor `{event.anchor}`; quote the value if it is text that starts with *"
            raise DocumentError("SyntaxError", message, line, column)
        node = self._anchors[event.anchor]
        if node is None:
            raise DocumentError("SyntaxError", f"anchor `{event.anchor}` contains itself", line, column)
        return node

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        line, column = self.position(event)
        if event.style == '"' and _SLASH_ESCAPE.search(self._written(event)):
            message = "kubectl refuses the escape `\\/` in YAML; write a plain slash"
            raise DocumentError("SyntaxError", message, line, column)
        try:
            value = resolve(event.tag, event.value, plain=event.implicit[0])
        except ScalarError as error:
            raise DocumentError("SyntaxError", str(error), line, column) from None
        return Scalar(line, column, value, event.style or "")

    def _written(self, event: yaml.Event) -> str:
        start, end = event.start_mark, event.end_mark
        return self._text[start.index : end.index] if start and end else ""

    def _entry(self, into: Fields, event: yaml.Event, depth: int) -> None:
        line, column = self.position(event)
        if isinstance(event, yaml.ScalarEvent) and event.value == "<<" and _is_merge(event):
            self._merge(into, self.compose(next(self._events), depth))
            return
        key_node = self.compose(event, depth)
        if not isinstance(key_node, Scalar):
            raise DocumentError("SyntaxError", "a list or mapping cannot be a key", line, column)
        try:
            key = key_text(key_node.value)
        except ScalarError as error:
            raise DocumentError("SyntaxError", str(error), line, column) from None
        earlier = into.fields.get(key)
        if earlier is not None and not earlier.merged:
            self.repeats.append(Repeat(key, line, column, earlier.line, merged=False))
        into.fields[key] = Field(line, column, self.compose(next(self._events), depth))

    def _merge(self, into: Fields, value: Node) -> None:
        """The order is that of kubectl: what comes later wins, in a list of mappings the first."""
        sources: Sequence[Node] = value.items[::-1] if isinstance(value, Items) else (value,)
        for source in sources:
            if not isinstance(source, Fields):
                message = "`<<` needs a mapping or a list of mappings"
                raise DocumentError("SyntaxError", message, value.line, value.column)
            self._merged += len(source.fields)
            if self._merged > MAX_COPIES:
                raise DocumentError("TooManyAliases", "merges expand too far", value.line, value.column)
            for key, entry in source.fields.items():
                earlier = into.fields.get(key)
                if earlier is not None and not earlier.merged:
                    self.repeats.append(
                        Repeat(key, earlier.line, earlier.column, earlier.line, merged=True),
                    )
                into.fields[key] = Field(entry.line, entry.column, entry.node, merged=True)


def _is_merge(event: yaml.ScalarEvent) -> bool:
    return event.tag == _MERGE_TAG or bool(event.implicit[0])


class Copier:
    """Turns trees into plain JSON values, with a bound on what aliases may multiply."""

    def __init__(self, budget: int) -> None:
        self._left = budget

    def plain(self, node: Node) -> Json:
        """A fresh value that shares nothing. Raises DocumentError."""
        self._left -= 1
        if self._left < 0:
            raise DocumentError("TooManyAliases", "aliases expand too far", node.line, node.column)
        match node:
            case Fields():
                return {key: self.plain(entry.node) for key, entry in node.fields.items()}
            case Items():
                return [self.plain(item) for item in node.items]
            case Scalar(value=value) if isinstance(value, (int, float)) and not isinstance(value, bool):
                try:
                    return json_number(value)
                except ScalarError as error:
                    raise DocumentError("SyntaxError", str(error), node.line, node.column) from None
            case _:
                return node.value
