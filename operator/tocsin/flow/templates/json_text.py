"""JSON in templates: written exactly (integers of any size), within bounds; read within bounds."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tocsin.flow.templates.meter import NESTING, STEP, Meter
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import name_of

_SMALL = 150
_PIECE = 25
"""Units for each bracket, separator and value."""
_HTML = (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("'", "\\u0027"))
_ATOMS: dict[Any, str] = {None: "null", True: "true", False: "false"}


class Style(msgspec.Struct, frozen=True, kw_only=True):
    """How JSON is laid out. `ascii` writes all else as escapes; `html` also what has a meaning in HTML."""

    sort: bool = False
    indent: int | None = None
    ascii: bool = True
    html: bool = False


PLAIN = Style()
PRETTY = Style(sort=True, indent=4, ascii=False)
HTML = Style(sort=True, html=True)


class NotJson(TypeError):
    """A value that JSON has no notation for."""


def write_json(meter: Meter, value: Any, style: Style) -> str:
    """Raises NotJson for what is no JSON, TemplateProblem for what is too much."""
    if style.indent is not None:
        meter.spend(style.indent)
    if _is_small(value):
        text = _dump(value, style)
        meter.produce(len(text), text)
    else:
        text = "".join(_Writer(meter, style).write(value))
    if style.html:
        meter.spend(len(text) // STEP)
        for character, escape in _HTML:
            meter.spend(5 * text.count(character))
            text = text.replace(character, escape)
    return text


def _dump(value: Any, style: Style) -> str:
    try:
        return json.dumps(value, sort_keys=style.sort, indent=style.indent, ensure_ascii=style.ascii)
    except (TypeError, ValueError) as error:
        raise NotJson(str(error)) from None


def _is_small(value: Any) -> bool:  # noqa: C901 - one loop over a handful of types
    """Whether all of it is plain JSON data of few nodes and short texts."""
    stack = [value]
    seen = 0
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str:
            if len(item) > 1_000:
                return False
        elif kind is dict:
            seen += len(item)
            if seen > _SMALL:
                return False
            for key in item:
                if type(key) is not str or len(key) > 1_000:
                    return False
            stack.extend(item.values())
        elif kind is list or kind is tuple:
            seen += len(item)
            if seen > _SMALL:
                return False
            stack.extend(item)
        elif not (item is None or kind is bool or kind is float or kind is int):
            return False
    return True


class _Writer:
    """The same text as `json.dumps`, piece by piece, each charged before it is made."""

    def __init__(self, meter: Meter, style: Style) -> None:
        self._meter = meter
        self._style = style
        self._quote: Callable[[str], str] = (
            json.encoder.encode_basestring_ascii if style.ascii else json.encoder.encode_basestring
        )

    def write(self, value: Any) -> Iterator[str]:
        stack: list[Iterator[Any]] = [iter((value,))]
        depth = 0
        while stack:
            for item in stack[-1]:
                if isinstance(item, _Layout):
                    depth += item.nests
                    yield self._layout(item, depth)
                elif type(item) is dict or isinstance(item, list | tuple):
                    if len(stack) > NESTING:
                        raise TemplateProblem("limit", f"a value is nested more than {NESTING} levels deep")
                    stack.append(self._mapping(item) if isinstance(item, dict) else self._sequence(item))
                    break
                else:
                    yield self._atom(item)
            else:
                stack.pop()

    def _mapping(self, value: dict[Any, Any]) -> Iterator[Any]:
        self._meter.spend(10 * len(value))
        yield _Layout("{", 1, newline=bool(value))
        keys = list(value)
        if self._style.sort:
            self._meter.spend(10 * len(keys) * len(keys).bit_length())
            try:
                keys.sort()
            except TypeError as error:
                raise NotJson(str(error)) from None
        for index, key in enumerate(keys):
            if index:
                yield _Layout(",", 0, newline=True)
            yield self._key(key)
            yield _Layout(": ", 0, newline=False)
            yield value[key]
        yield _Layout("}", -1, newline=bool(value))

    def _sequence(self, value: list[Any] | tuple[Any, ...]) -> Iterator[Any]:
        yield _Layout("[", 1, newline=bool(value))
        for index, item in enumerate(value):
            if index:
                yield _Layout(",", 0, newline=True)
            yield item
        yield _Layout("]", -1, newline=bool(value))

    def _key(self, key: Any) -> str:
        if isinstance(key, str):
            return key
        if key is None or isinstance(key, bool | int | float):
            return self._atom(key)
        raise NotJson(f"{name_of(key)} cannot be a key in JSON")

    def _layout(self, item: _Layout, depth: int) -> str:
        text = item.text
        if item.newline:
            if self._style.indent is None:
                text += " " if text == "," else ""
            elif item.nests < 0:
                text = "\n" + " " * (self._style.indent * depth) + text
            else:
                text += "\n" + " " * (self._style.indent * depth)
        self._meter.spend(_PIECE + len(text))
        return text

    def _atom(self, item: Any) -> str:
        if isinstance(item, str):
            factor = 1 if item.isascii() else 6
            self._meter.spend(_PIECE + factor * len(item))
            text = self._quote(item)
            self._meter.spend(max(0, len(text) - factor * len(item)))
            return text
        self._meter.spend(_PIECE)
        if item is None or isinstance(item, bool):
            return _ATOMS[item]
        if isinstance(item, int | float):
            text = json.dumps(item)
            self._meter.spend(len(text))
            return text
        raise NotJson(f"{name_of(item)} cannot be written as JSON")


class _Layout:
    """A bracket or separator; `nests` is how it changes the level."""

    __slots__ = ("nests", "newline", "text")

    def __init__(self, text: str, nests: int, *, newline: bool) -> None:
        self.text = text
        self.nests = nests
        self.newline = newline


def read_json(meter: Meter, text: Any) -> Any:
    """The value of JSON text; None for anything else. Each element is charged like a made one."""
    if not isinstance(text, str):
        return None
    parts = sum(text.count(mark) for mark in "[{,:")
    meter.spend(parts * STEP + len(text))
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
