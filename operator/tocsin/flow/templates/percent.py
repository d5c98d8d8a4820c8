"""`"%s" % value` and `"{}".format(value)`, field by field: sized up first, and blind to Python's insides."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping, Sequence
from datetime import date, time
from typing import Any

from tocsin.flow.templates.meter import STEP, Meter
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.moments import format_moment
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import name_of, text_of

_FIELD = re.compile(
    r"%(?:\((?P<key>[^()]*)\))?(?P<flags>[-#0 +]*)(?P<width>\*|\d+)?(?:\.(?P<precision>\*|\d*))?[hlL]?(?P<kind>.)?",
    re.DOTALL,
)
_DIGITS = re.compile(r"\d+")
_LONGEST_NUMBER = 15_000
"""Characters of the longest number that a field makes without width or precision: a payload's integer in binary."""
_DIGITS_IN_SIZE = 7
"""Digits of a width or precision beyond which no budget could suffice."""


def percent(meter: Meter, template: str, values: Any) -> str:
    """Python's `template % values` for texts and numbers."""
    arguments = _Arguments(values)
    pieces: list[str] = []
    position = 0
    for found in _FIELD.finditer(template):
        pieces.append(template[position : found.start()])
        position = found.end()
        meter.spend(STEP)
        pieces.append(_percent_field(meter, found, arguments))
    pieces.append(template[position:])
    arguments.finish()
    meter.produce(sum(map(len, pieces)), template, *pieces)
    return "".join(pieces)


class _Arguments:
    """The values of a `%` in the order in which its fields take them."""

    def __init__(self, values: Any) -> None:
        self.mapping = values if type(values) is dict else None
        self.values: Sequence[Any] = values if isinstance(values, tuple) else (values,)
        self.taken = 0

    def take(self) -> Any:
        if self.taken >= len(self.values):
            raise TemplateProblem("type", "there are fewer values than fields in the format")
        self.taken += 1
        return self.values[self.taken - 1]

    def named(self, key: str) -> Any:
        if self.mapping is None:
            raise TemplateProblem("type", "a format with names needs a mapping")
        self.taken = len(self.values)
        try:
            return self.mapping[key]
        except KeyError:
            raise TemplateProblem("other", f"the format names {key}, which is not in the mapping") from None

    def size(self, text: str | None) -> int | None:
        if text is None or text == "":
            return None if text is None else 0
        if text != "*":
            return int(text) if len(text) <= _DIGITS_IN_SIZE else 10 ** (2 * _DIGITS_IN_SIZE)
        value = self.take()
        if type(value) is not int:
            raise TemplateProblem("type", "* in a format needs an integer")
        return value

    def finish(self) -> None:
        if self.mapping is None and self.taken < len(self.values):
            raise TemplateProblem("type", "there are more values than fields in the format")


def _percent_field(meter: Meter, found: re.Match[str], arguments: _Arguments) -> str:
    kind = found["kind"]
    if kind is None:
        raise TemplateProblem("other", "the format ends inside a field")
    if kind == "%":
        return "%"
    # a mapping serves fields without a name as a whole, as in Python
    key = found["key"]
    value = None if key is None else arguments.named(key)
    width = arguments.size(found["width"])
    precision = arguments.size(found["precision"])
    if key is None:
        value = arguments.take()
    meter.spend(abs(width or 0) + abs(precision or 0))
    specification = "%" + found["flags"]
    if width is not None:
        specification += str(width)
    if precision is not None:
        specification += f".{max(0, precision)}"
    return _percent_convert(meter, specification, kind, value)


def _percent_convert(meter: Meter, specification: str, kind: str, value: Any) -> str:
    if kind in "sra":
        text = _shown(meter, value, kind)
        meter.produce(len(text), text)
        return (specification + "s") % text
    if kind in "diouxXeEfFgGc":
        if isinstance(value, Missing):
            value.fail()
        if not (isinstance(value, int | float) or (kind == "c" and isinstance(value, str))):
            raise TemplateProblem("type", f"%{kind} needs a number, not {name_of(value)}")
        meter.spend(_LONGEST_NUMBER if type(value) is int and abs(value) > 1 << 64 else 10)
        result: str = (specification + kind) % value
        return result
    raise TemplateProblem("other", f"%{kind[:1]} is not a field of a format")


def _shown(meter: Meter, value: Any, kind: str) -> str:
    if kind == "s":
        return text_of(meter, value)
    text = text_of(meter, [value])[1:-1]
    return text if kind == "r" else ascii(text)[1:-1] if not text.isascii() else text


class _Formatter(string.Formatter):
    """Python's format language, with the lookups of templates."""

    def __init__(self, meter: Meter, lookup: Callable[..., Any], item: Callable[..., Any]) -> None:
        self._meter = meter
        self._lookup = lookup
        self._item = item

    def get_field(self, field_name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        first, rest = _split(field_name)
        value = self.get_value(first, args, kwargs)
        for is_attribute, key in rest:
            self._meter.spend(STEP)
            find = self._lookup if is_attribute else self._item
            value = find(self._meter, value, key, field_name[:100])
        return value, first

    def convert_field(self, value: Any, conversion: str | None) -> Any:
        if conversion is None:
            return value
        if conversion not in ("s", "r", "a"):
            raise TemplateProblem("other", f"!{conversion} is not a conversion")
        return _shown(self._meter, value, conversion)

    def format_field(self, value: Any, format_spec: str) -> str:
        meter = self._meter
        meter.spend(STEP)
        if isinstance(value, date | time):
            return format_moment(meter, value, format_spec) if format_spec else text_of(meter, value)
        numbers = _DIGITS.findall(format_spec)
        if any(len(number) > _DIGITS_IN_SIZE for number in numbers):
            meter.spend(10 ** (_DIGITS_IN_SIZE + 1))
        meter.spend(2 * sum(map(int, numbers)))
        if type(value) in (int, float, bool):
            if format_spec:
                meter.spend(_LONGEST_NUMBER if abs(value) > 1 << 64 else 100)
            return format(value, format_spec)
        text = text_of(meter, value)
        meter.produce(len(text), text)
        return format(text, format_spec)


def _split(field_name: str) -> tuple[int | str, list[tuple[bool, int | str]]]:
    import _string  # type: ignore[import-not-found]  # what string.Formatter itself uses

    first, rest = _string.formatter_field_name_split(field_name)
    return first, list(rest)


def format_text(
    meter: Meter,
    template: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    lookups: tuple[Callable[..., Any], Callable[..., Any]],
) -> str:
    """Python's `template.format(*args, **kwargs)`. `lookups` are those of attributes and of items."""
    meter.spend(len(template))
    fields = template.count("{")
    meter.spend(fields * STEP)
    try:
        text = _Formatter(meter, *lookups).vformat(template, args, kwargs)
    except IndexError:
        raise TemplateProblem("type", "there are fewer values than fields in the format") from None
    except KeyError as error:
        raise TemplateProblem("other", f"the format names {error.args[0]}, which was not given") from None
    meter.produce(len(text), text)
    return text
