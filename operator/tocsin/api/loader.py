"""Manifests from YAML text, read as kubectl reads them, with the position of every field.

Documents are separated by lines that start with `---`, as kubectl separates them, so that a broken document leaves
the others of its file alone. What kubectl accepts silently but nobody means is refused with its line: duplicate
keys, and documents after `...` (which kubectl drops).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import msgspec
import yaml

from tocsin.api import paths
from tocsin.api.common import Finding, Severity
from tocsin.api.nodes import (
    MAX_COPIES,
    MAX_DEPTH,
    Composer,
    Copier,
    DocumentError,
    Field,
    Fields,
    Items,
    Json,
    Node,
    Repeat,
    Scalar,
)

MAX_FILE_BYTES = 4 * 1024 * 1024

_DROPPED = "kubectl drops what follows the end of a document; start the next one with `---`"
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One object of a file. `value` holds JSON types only and belongs to the caller; `line` is where it starts."""

    value: dict[str, Any]
    file: str = ""
    line: int = 1
    root: Node
    source: tuple[str, ...] = ()
    """All lines of the file, to find columns inside block scalars."""

    def position(self, field_path: str) -> tuple[int, int] | None:
        """1-based line and column of a field, or of its nearest parent that the text has; None for a foreign path."""
        found = self._find(field_path)
        return None if found is None else (found.line, found.column)

    def locate(self, finding: Finding) -> Finding:
        """The finding with its place in the file.

        A finding may bring a line and column inside the text of its field (a template); inside a literal block
        scalar they become lines and columns of the file, else the start of the text is named.
        """
        found = self._find(finding.field)
        if found is None:
            return msgspec.structs.replace(finding, file=self.file)
        line, column = found.line, found.column
        if finding.line is not None and isinstance(found, Field) and isinstance(found.node, Scalar):
            line, column = self._inside(found.node, finding.line, finding.column)
        return msgspec.structs.replace(finding, file=self.file, line=line, column=column)

    def _find(self, field_path: str) -> Node | Field | None:
        at: Node | Field = self.root
        for depth, part in enumerate(paths.split(field_path)):
            node = at.node if isinstance(at, Field) else at
            match node:
                case Fields() if part in node.fields:
                    at = node.fields[part]
                case Items() if part.isdecimal() and int(part) < len(node.items):
                    at = node.items[int(part)]
                case _:
                    return at if depth or isinstance(node, Fields) else None
        return at

    def _inside(self, text: Scalar, line: int, column: int | None) -> tuple[int, int]:
        if text.style == "|":
            body = self.source[text.line :]
            indent = next((len(row) - len(row.lstrip(" ")) for row in body if row.strip()), 0)
            return text.line + line, indent + (column or 1)
        if text.style != ">" and line == 1 and column is not None:
            return text.line, text.column + len(text.style) + column - 1
        return text.line, text.column


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """What a file holds. Findings are about the file; documents that they refuse are not in `documents`."""

    documents: tuple[Document, ...]
    findings: tuple[Finding, ...]


def load_documents(text: str, file: str = "") -> LoadResult:
    """All objects of a YAML or JSON file, `List` objects unwrapped. Never raises: what is wrong is a finding."""
    documents: list[Document] = []
    findings: list[Finding] = []
    if len(text) > MAX_FILE_BYTES or len(text.encode("utf-8", "replace")) > MAX_FILE_BYTES:
        message = f"the file is larger than {MAX_FILE_BYTES >> 20} MiB; split it"
        return LoadResult(
            documents=(), findings=(Finding(field="", reason="TooLarge", message=message, file=file),)
        )
    source = tuple(text.split("\n"))
    for first, chunk in _chunks(source):
        try:
            for root, size in _roots(chunk, first, file, findings):
                value = Copier(size + MAX_COPIES).plain(root)
                documents.extend(_unwrap(value, root, file, source))
        except DocumentError as error:
            findings.append(_finding(error, file))
    return LoadResult(documents=tuple(documents), findings=tuple(findings))


def read_value(text: str) -> Json:
    """The value of one YAML document, whatever it is, as kubectl reads it. Raises DocumentError."""
    root, composer = _compose(text, 0)
    return None if root is None else Copier(composer.size + MAX_COPIES).plain(root)


def _chunks(source: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    """(number of lines before it, text) of each document, as kubectl's YAMLReader cuts them."""
    first = 0
    for number, row in enumerate(source):
        if row.startswith("---") and number > first:
            yield first, "\n".join(source[first:number])
            first = number
    yield first, "\n".join(source[first:])


def _roots(chunk: str, first: int, file: str, findings: list[Finding]) -> Iterator[tuple[Node, int]]:
    """The documents of a chunk with their numbers of nodes: none, one, or several of a stream of JSON objects."""
    chunk = _without_separator(chunk.removeprefix("\ufeff"), first)
    try:
        root, composer = _compose(chunk, first)
    except DocumentError as error:
        maybe_json = error.reason == "SyntaxError" and chunk.lstrip().startswith("{")
        stream = _json_stream(chunk, first) if maybe_json else None
        if stream is None:
            raise
        for root in stream:
            yield root, len(chunk)
        return
    findings.extend(_repeat_finding(repeat, file) for repeat in composer.repeats)
    if root is not None and all(repeat.merged for repeat in composer.repeats):
        yield root, composer.size


def _without_separator(chunk: str, first: int) -> str:
    if not chunk.startswith("---"):
        return chunk
    head, newline, rest = chunk.partition("\n")
    trailer = head[3:].strip()
    if trailer and not trailer.startswith("#"):
        message = "only a comment may follow `---` on its line; kubectl refuses anything else"
        raise DocumentError("SyntaxError", message, first + 1, 4)
    return newline + rest


def _compose(chunk: str, first: int) -> tuple[Node | None, Composer]:
    """The tree of the only document; None if there is nothing but comments or null."""
    try:
        events = yaml.parse(chunk, Loader=_PARSER)
        composer = Composer(events, chunk, first)
        root: Node | None = None
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent) and root is not None:
                raise DocumentError("SyntaxError", _DROPPED, *composer.position(event))
            if isinstance(event, yaml.NodeEvent):
                root = composer.compose(event)
    except yaml.YAMLError as error:
        raise _syntax_error(error, chunk, first) from None
    except UnicodeEncodeError as error:
        line = chunk.count("\n", 0, error.start) + 1 + first
        raise DocumentError("SyntaxError", "a lone surrogate is no text", line, 1) from None
    if isinstance(root, Scalar) and root.value is None:
        root = None
    return root, composer


def _syntax_error(error: yaml.YAMLError, chunk: str, first: int) -> DocumentError:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        if error.problem == "did not find expected <document start>":
            message = f"nothing may follow the end of the object: {_DROPPED}"
        line, column = (mark.line, mark.column) if mark else (0, 0)
        return DocumentError("SyntaxError", f"not YAML: {message}", line + 1 + first, column + 1)
    offset = getattr(error, "position", 0)
    before = chunk.encode("utf-8", "replace")[:offset]
    column = len(before) - before.rfind(b"\n")
    message = "not YAML: control characters are not allowed"
    return DocumentError("SyntaxError", message, before.count(b"\n") + 1 + first, column)


def _json_stream(chunk: str, first: int) -> list[Node] | None:
    """JSON objects one after the other, which kubectl reads too; None if it is no JSON. Fields have no positions."""
    decoder, at, roots = json.JSONDecoder(), 0, []
    while at < len(chunk):
        if chunk[at].isspace():
            at += 1
            continue
        try:
            value, end = decoder.raw_decode(chunk, at)
            roots.append(_from_json(value, chunk.count("\n", 0, at) + 1 + first))
        except (ValueError, RecursionError):
            return None
        at = end
    return roots


def _from_json(value: Json, line: int, depth: int = 0) -> Node:
    if depth > MAX_DEPTH:
        raise DocumentError("TooDeep", f"nested deeper than {MAX_DEPTH} levels", line, 1)
    match value:
        case dict():
            return Fields(
                line, 1, {k: Field(line, 1, _from_json(v, line, depth + 1)) for k, v in value.items()}
            )
        case list():
            return Items(line, 1, [_from_json(inner, line, depth + 1) for inner in value])
        case str():  # half of a surrogate pair is no text: Go puts U+FFFD there
            return Scalar(line, 1, value.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
        case _:
            return Scalar(line, 1, value)


def _unwrap(value: Json, root: Node, file: str, source: tuple[str, ...]) -> Iterator[Document]:
    """The object, or the items of a `List` (any kind that ends in List and has `items`)."""
    if not isinstance(value, dict):
        message = "a manifest is a mapping with apiVersion, kind, metadata and spec"
        raise DocumentError("NotAnObject", message, root.line, root.column)
    kind, items = value.get("kind"), value.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        yield Document(value=value, file=file, line=root.line, root=root, source=source)
        return
    nodes = cast("Items", cast("Fields", root).fields["items"].node).items
    for item, node in zip(items, nodes, strict=True):
        if not isinstance(item, dict):
            message = f"each item of a {kind} is an object"
            raise DocumentError("NotAnObject", message, node.line, node.column)
        yield Document(value=item, file=file, line=node.line, root=node, source=source)


def _finding(error: DocumentError, file: str) -> Finding:
    return Finding(
        field="",
        reason=error.reason,
        message=error.message,
        line=error.line,
        column=error.column,
        file=file,
    )


def _repeat_finding(repeat: Repeat, file: str) -> Finding:
    if repeat.merged:
        message = f"`<<` overrides `{repeat.key}` because it stands after it; write `<<` first"
        severity = Severity.WARNING
    else:
        message = f"`{repeat.key}` is set twice, first in line {repeat.first_line}; remove one"
        severity = Severity.ERROR
    return Finding(
        field="",
        reason="DuplicateKey",
        message=message,
        severity=severity,
        line=repeat.line,
        column=repeat.column,
        file=file,
    )
