"""From values to text: what `{{ value }}` prints, within bounds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import Any

from tocsin.flow.templates.meter import NESTING, STEP, Meter
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.problem import TemplateProblem

_SMALL = 150
"""Nodes up to which a list or mapping is printed at once; beyond, piece by piece."""

_PIECE = 25
"""Units for each bracket, separator and value that is printed piece by piece."""

_MOMENTS = (datetime, date, time, timedelta)


class Safe(str):
    """Text that is already escaped: `escape` leaves it alone. Any operation makes plain text of it."""

    __slots__ = ()


def clean(text: str) -> str:
    """Without what no database stores: NUL and lone surrogates become U+FFFD (DESIGN section 5, body)."""
    if text.isascii():
        return text.replace("\x00", "�") if "\x00" in text else text
    try:
        text.encode()
    except UnicodeEncodeError:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\x00", "�")


def name_of(value: Any) -> str:
    """What users call the type of a value."""
    if isinstance(value, Missing):
        return "a missing value"
    return _NAMES.get(type(value), "a function")


_NAMES: dict[type, str] = {
    str: "text",
    Safe: "text",
    int: "an integer",
    float: "a number",
    bool: "a boolean",
    type(None): "none",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    datetime: "a time",
    timedelta: "a duration",
}


def scalar_text(value: Any) -> str | None:
    """The text of anything but lists and mappings; None for those. Raises for what has no text."""
    kind = type(value)
    if kind is str:
        return value  # type: ignore[no-any-return]
    if value is None or kind is bool or kind is float or kind is Missing:
        return str(value)
    if kind is int:
        try:
            return str(value)
        except ValueError:
            raise TemplateProblem("limit", "an integer has too many digits to print") from None
    if kind is Safe:
        return str.__str__(value)
    if kind is dict or isinstance(value, list | tuple):
        return None
    if isinstance(value, _MOMENTS):
        return str(value)
    raise TemplateProblem("type", f"{name_of(value)} cannot be printed; call it or name one of its values")


def text_of(meter: Meter, value: Any) -> str:
    """The whole text of a value. Charges for what it makes."""
    text = scalar_text(value)
    if text is None:
        text = "".join(_container(meter, value))
    return text


def head_of(meter: Meter, value: Any) -> str:
    """The text of a value that goes into the result: no longer than one character more than the result may be."""
    text = scalar_text(value)
    if text is not None:
        meter.spend(min(len(text), meter.limit + 1))
        return text
    room = meter.limit
    pieces = []
    for piece in _container(meter, value, room):
        pieces.append(piece)
        room -= len(piece)
        if room < 0:
            break
    return "".join(pieces)


def piece_of(meter: Meter, value: Any) -> str:
    """The text of a value inside a macro, a block or a captured text: charged as produced."""
    text = scalar_text(value)
    if text is None:
        return "".join(_container(meter, value))
    meter.produce(len(text), text)
    return text


def _container(meter: Meter, value: Any, room: int | None = None) -> Iterator[str]:
    """Pieces of the text; with `room` no single one needs to be longer than that."""
    if _is_small(value):
        text = str(value)
        meter.produce(len(text), text)
        yield text
        return
    yield from _pieces(meter, value, room)


def _is_small(value: Any) -> bool:  # noqa: C901 - one loop over a handful of types
    """Whether all of it is plain data of at most `_SMALL` nodes and short texts, so that printing it is cheap."""
    stack = [value]
    seen = 0
    while stack:
        item = stack.pop()
        kind = type(item)
        if kind is str:
            if len(item) > 1_000:
                return False
        elif kind is dict:
            seen += 2 * len(item)
            if seen > _SMALL:
                return False
            stack.extend(item)
            stack.extend(item.values())
        elif kind is list or kind is tuple:
            seen += len(item)
            if seen > _SMALL:
                return False
            stack.extend(item)
        elif kind is int:
            if item.bit_length() > 1_000:
                return False
        elif not (item is None or kind is bool or kind is float):
            return False
    return True


def _pieces(meter: Meter, value: Any, room: int | None) -> Iterator[str]:
    """Python's own notation of lists and mappings, one piece at a time, each charged before it is made."""
    stack: list[Iterator[Any]] = [iter(_opened(value))]
    while stack:
        for item in stack[-1]:
            meter.spend(_PIECE)
            if isinstance(item, _Punctuation):
                meter.spend(len(item))
                yield item
            elif type(item) is dict or isinstance(item, list | tuple):
                if len(stack) > NESTING:
                    raise TemplateProblem("limit", f"a value is nested more than {NESTING} levels deep")
                stack.append(iter(_opened(item)))
                break
            else:
                yield _leaf(meter, item, room)
        else:
            stack.pop()


class _Punctuation(str):
    __slots__ = ()


_COMMA, _COLON = _Punctuation(", "), _Punctuation(": ")
_OPEN, _CLOSE = _Punctuation("{"), _Punctuation("}")
_LIST_OPEN, _LIST_CLOSE = _Punctuation("["), _Punctuation("]")
_TUPLE_OPEN, _TUPLE_CLOSE, _TUPLE_CLOSE_ONE = _Punctuation("("), _Punctuation(")"), _Punctuation(",)")


def _opened(value: Any) -> Iterator[Any]:
    """The parts of one list or mapping between its brackets."""
    if type(value) is dict:
        yield _OPEN
        for index, (key, item) in enumerate(value.items()):
            if index:
                yield _COMMA
            yield key
            yield _COLON
            yield item
        yield _CLOSE
        return
    is_list = isinstance(value, list)
    yield _LIST_OPEN if is_list else _TUPLE_OPEN
    for index, item in enumerate(value):
        if index:
            yield _COMMA
        yield item
    if is_list:
        yield _LIST_CLOSE
    else:
        yield _TUPLE_CLOSE_ONE if len(value) == 1 else _TUPLE_CLOSE


def _leaf(meter: Meter, item: Any, room: int | None) -> str:
    if isinstance(item, str):
        if room is not None and len(item) > room:
            return _long_leaf(meter, item, room)
        meter.produce(len(item), item)
        text = repr(str(item))
        meter.spend(max(0, len(text) - len(item)))
        return text
    if isinstance(item, Missing):
        item.note()
        return repr(item)
    if isinstance(item, _MOMENTS):
        return repr(item)
    text = scalar_text(item) or ""
    meter.spend(len(text))
    return text


def _long_leaf(meter: Meter, item: str, room: int) -> str:
    """The beginning of a quoted text that is cut anyway: what the whole text contains decides how it is quoted."""
    meter.read(len(item))
    head = item[: room + 1]
    meter.produce(2 * len(head), head)
    if "'" in item:
        head += "'\"" if '"' in item else "'"
    return repr(head)[: room + 2]


def plain(meter: Meter, value: Any) -> str:
    """The text that a text filter works on, charged as read."""
    text = text_of(meter, value)
    meter.spend(len(text) // STEP)
    return text
