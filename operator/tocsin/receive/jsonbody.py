"""JSON bodies, as senders really write them.

msgspec parses, keeping integers of any size exact; what it refuses is parsed once more with `json`, which takes more and
says line and column. Depth is checked without recursion. What had to be changed is said in notes, which go onto the alert's trace.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import orjson

from tocsin.problems import Problem, ProblemError, malformed

NUL_REPLACED = "nul-replaced"
SURROGATE_REPLACED = "surrogate-replaced"
NAN_REPLACED = "nan-replaced"
TEXT_REPAIRED = "invalid-utf8-replaced"

Notes = tuple[str, ...]

_ZEROS = bytes.maketrans(b"123456789", b"000000000")
DEPTH_LIMIT = 254
"""Levels that a body may be nested, the deepest that orjson writes."""

_DIGITS_LIMIT = 1233
"""Decimal digits of 4,096 bits, the largest integer that templates may handle."""
_HUGE_INTEGER = b"0" * (_DIGITS_LIMIT + 1)
_BRACKETS = re.compile(r'"[^"\\]*(?:\\.?[^"\\]*)*(?:"|\Z)|[\[{]|[\]}]', re.DOTALL)
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
_TYPOGRAPHIC = frozenset("\u201c\u201d\u201e\u00ab\u00bb\u2018\u2019")
_GZIP_MAGIC = b"\x1f\x8b"
_TOO_DEEP = malformed(
    f"the JSON is nested deeper than {DEPTH_LIMIT} levels", action="send a flatter body", limit=DEPTH_LIMIT
)
_decode_json = msgspec.json.Decoder().decode


def parse_json(body: bytes) -> tuple[Any, Notes]:
    """The value of a body and what was changed in it. Raises ProblemError (400) with line and column.

    The value may still be nested too deeply: `encode_json` is what finds that out, at no cost for the others.
    """
    try:
        value = _decode_json(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _parse_carefully(body)
    if b"\\u0000" in body:
        return _clean(value)
    return value, ()


def encode_json(payload: Any) -> bytes:
    """Compact JSON in the sender's key order, exact for integers of any size. Raises ProblemError (400): nested too deeply."""
    try:
        return orjson.dumps(payload)
    except TypeError:
        if _is_too_deep(payload):
            raise ProblemError(_TOO_DEEP) from None
        return json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()


def _parse_carefully(body: bytes) -> tuple[Any, Notes]:
    text, notes = _decode(body)
    if text.count("{") + text.count("[") > DEPTH_LIMIT and _text_is_too_deep(text):
        raise ProblemError(_TOO_DEEP)
    found: list[str] = []

    def number(literal: str) -> float | None:
        value = float(literal)
        if value in (float("inf"), float("-inf")):
            found.append(literal)
            return None
        return value

    huge = _HUGE_INTEGER in body.translate(_ZEROS)
    decoder = json.JSONDecoder(
        parse_constant=found.append, parse_float=number, parse_int=_bounded_integer if huge else int
    )
    try:
        value = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise ProblemError(_not_json(body, text, error)) from None
    except RecursionError:
        raise ProblemError(_TOO_DEEP) from None
    if found:
        notes = (*notes, NAN_REPLACED)
    if "\\u" in text or _UNSTORABLE.search(text):
        value, more = _clean(value)
        notes = (*notes, *more)
    return value, notes


def _decode(body: bytes) -> tuple[str, Notes]:
    """UTF-8, or UTF-16 and UTF-32 where the first bytes say so; a byte order mark is dropped."""
    encoding = json.detect_encoding(body)
    try:
        text, notes = body.decode(encoding, "surrogatepass"), ()
    except UnicodeDecodeError:
        return body.decode(encoding, "replace").removeprefix("\ufeff"), (TEXT_REPAIRED,)
    return text.removeprefix("\ufeff"), notes


def _bounded_integer(literal: str) -> int:
    if len(literal) > _DIGITS_LIMIT + 1:
        raise ProblemError(
            malformed(
                f"an integer of {len(literal)} digits; at most {_DIGITS_LIMIT} are taken",
                action="send it as a string",
            )
        )
    return int(literal)


def _is_too_deep(value: Any) -> bool:
    level = [value] if type(value) in (dict, list) else []
    depth = 0
    while level:
        depth += 1
        if depth > DEPTH_LIMIT:
            return True
        below: list[Any] = []
        for node in level:
            for item in node.values() if type(node) is dict else node:
                if type(item) is dict or type(item) is list:
                    below.append(item)  # noqa: PERF401 -- two comprehensions would walk twice
        level = below
    return False


def _text_is_too_deep(text: str) -> bool:
    depth = 0
    for token in _BRACKETS.finditer(text):
        mark = text[token.start()]
        if mark in "[{":
            depth += 1
            if depth > DEPTH_LIMIT:
                return True
        elif mark in "]}":
            depth -= 1
    return False


def _clean(value: Any) -> tuple[Any, Notes]:
    """Puts U+FFFD where a text holds NUL or half of a surrogate pair, in place. Databases refuse both."""
    seen: set[str] = set()

    def replacement(match: re.Match[str]) -> str:
        seen.add(NUL_REPLACED if match.group() == "\x00" else SURROGATE_REPLACED)
        return "\ufffd"

    holder = [value]
    stack: list[Any] = [holder]
    while stack:
        node = stack.pop()
        if type(node) is dict:
            if any(_UNSTORABLE.search(key) for key in node):
                items = [(_UNSTORABLE.sub(replacement, key), item) for key, item in node.items()]
                node.clear()
                node.update(items)
            entries: Any = list(node.items())
        else:
            entries = list(enumerate(node))
        for key, item in entries:
            if type(item) is str:
                if _UNSTORABLE.search(item):
                    node[key] = _UNSTORABLE.sub(replacement, item)
            elif type(item) is dict or type(item) is list:
                stack.append(item)
    return holder[0], tuple(sorted(seen))


def _not_json(body: bytes, text: str, error: json.JSONDecodeError) -> Problem:
    before, end = text[: error.pos].rstrip(), text[error.pos : error.pos + 1]
    if before.endswith(",") and end in ("}", "]"):  # Python 3.13 says it so
        what = "array" if end == "]" else "object"
        error = json.JSONDecodeError(f"Illegal trailing comma before end of {what}", text, len(before) - 1)
    action = "send one JSON value; check quotes, commas and line breaks in the template that builds the body"
    if body.startswith(_GZIP_MAGIC):
        action = "the body looks like gzip: send the header Content-Encoding: gzip with it"
    elif text[error.pos : error.pos + 1] in _TYPOGRAPHIC and error.pos < len(text):
        action = 'replace the typographic quote by "'
    return malformed(
        f"not JSON: {error.msg}, line {error.lineno} column {error.colno}",
        action=action,
        line=error.lineno,
        column=error.colno,
    )
