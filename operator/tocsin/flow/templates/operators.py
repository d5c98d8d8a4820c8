"""Arithmetic, concatenation, comparison and slicing as templates may do them: sized up before they are done."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tocsin.flow.templates.meter import INTEGER_BITS, STEP, Meter, checked, weigh
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.percent import percent
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import name_of, text_of

_SCALARS = frozenset({str, int, float, bool, type(None)})
_NUMBERS = frozenset({int, float, bool})
_INTEGERS = frozenset({int, bool})

_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    "lt": operator.lt,
    "lteq": operator.le,
    "gt": operator.gt,
    "gteq": operator.ge,
}
_LONG = 1_000
"""Characters from which looking for a text among others is charged by its length."""
_SEARCH = 10
"""Characters that a search reads for each one of the text, at least."""
_SIGNS = {"lt": "<", "lteq": "<=", "gt": ">", "gteq": ">="}


def concat(meter: Meter, *values: Any) -> str:
    """`~`: the texts of the values, one after the other."""
    texts = [text_of(meter, value) for value in values]
    meter.produce(sum(map(len, texts)), *texts)
    return "".join(texts)


def is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple)


def _wrong(left: Any, sign: str, right: Any) -> TemplateProblem:
    for value in (left, right):
        if isinstance(value, Missing):
            value.fail()
    return TemplateProblem("type", f"{name_of(left)} {sign} {name_of(right)} is not possible")


def _native(function: Callable[[Any, Any], Any], sign: str, left: Any, right: Any) -> Any:
    try:
        return checked(function(left, right))
    except TypeError:
        raise _wrong(left, sign, right) from None


def add(meter: Meter, left: Any, right: Any) -> Any:
    if isinstance(left, str) and isinstance(right, str):
        meter.produce(len(left) + len(right), left, right)
        return str(left) + str(right)
    if is_sequence(left) and is_sequence(right):
        meter.spend((len(left) + len(right)) * 10)
    return _native(operator.add, "+", left, right)


def subtract(meter: Meter, left: Any, right: Any) -> Any:
    del meter
    return _native(operator.sub, "-", left, right)


def multiply(meter: Meter, left: Any, right: Any) -> Any:
    if type(left) in _INTEGERS and not isinstance(right, int | float):
        left, right = right, left
    if type(right) in _INTEGERS and (isinstance(left, str) or is_sequence(left)):
        size = len(left) * max(0, right)
        if isinstance(left, str):
            meter.produce(size, left)
            return str(left) * right
        meter.spend(size * 10)
    elif type(left) in _INTEGERS and type(right) in _INTEGERS:
        _bits(left.bit_length() + right.bit_length() - 1)
    return _native(operator.mul, "*", left, right)


def divide(meter: Meter, left: Any, right: Any) -> Any:
    del meter
    return _native(operator.truediv, "/", left, right)


def floor_divide(meter: Meter, left: Any, right: Any) -> Any:
    del meter
    return _native(operator.floordiv, "//", left, right)


def modulo(meter: Meter, left: Any, right: Any) -> Any:
    if isinstance(left, str):
        return percent(meter, left, right)
    return _native(operator.mod, "%", left, right)


def power(meter: Meter, left: Any, right: Any) -> Any:
    del meter
    if type(left) in _INTEGERS and type(right) in _INTEGERS and abs(left) > 1 and right > 0:
        # 2**n has n + 1 bits: a lower bound of the result's size, so nothing allowed is refused here
        _bits((left.bit_length() - 1) * right)
    return _native(operator.pow, "**", left, right)


def negate(meter: Meter, value: Any) -> Any:
    del meter
    return -_number(value)


def posit(meter: Meter, value: Any) -> Any:
    del meter
    return +_number(value)


def _number(value: Any) -> Any:
    if isinstance(value, Missing):
        value.fail()
    if isinstance(value, str | list | tuple | dict) or value is None:
        raise TemplateProblem("type", f"{name_of(value)} has no sign")
    return value


def _bits(size: int) -> None:
    if size > INTEGER_BITS:
        raise TemplateProblem("limit", f"an integer would have more than {INTEGER_BITS} bits")


def equal(meter: Meter, left: Any, right: Any) -> bool:
    """`==`. Anything may be compared with anything; what is missing equals only what is missing."""
    kind = type(left)
    if kind in _SCALARS or type(right) in _SCALARS:
        if kind is str and type(right) is str:
            meter.spend(len(left) // STEP if len(left) == len(right) else 0)
    else:
        weigh(meter, left)
        weigh(meter, right)
    return bool(left == right)


def order(meter: Meter, sign: str, left: Any, right: Any) -> bool:
    """`<`, `<=`, `>` and `>=`. A problem of kind `type` unless both are numbers, texts, lists, times or durations."""
    if not (type(left) in _NUMBERS and type(right) in _NUMBERS):
        weigh(meter, left)
        weigh(meter, right)
    try:
        return bool(_ORDER[sign](left, right))
    except TypeError:
        raise TemplateProblem(
            "type", f"{name_of(left)} and {name_of(right)} cannot be compared with {_SIGNS[sign]}"
        ) from None


def contains(meter: Meter, item: Any, container: Any) -> bool:
    """`in`."""
    if isinstance(container, str):
        if isinstance(item, Missing):
            item.note()
            return False
        if not isinstance(item, str):
            raise TemplateProblem("type", f"{name_of(item)} cannot be looked for in text")
        searching(meter, container, item)
        return item in container
    if isinstance(container, list | tuple):
        meter.spend(10 * len(container))
        if type(item) in _SCALARS:
            if type(item) is str and len(item) > _LONG:
                size = len(item)
                alike = sum(1 for other in container if type(other) is str and len(other) == size)
                meter.spend(alike * (size // STEP))
            return item in container
        return any(item is other or equal(meter, item, other) for other in container)
    if type(container) is dict:
        weigh(meter, item)
        try:
            return item in container
        except TypeError:
            raise TemplateProblem("type", f"{name_of(item)} cannot be a key") from None
    if isinstance(container, Missing):
        return item in container
    raise TemplateProblem("type", f"nothing can be in {name_of(container)}")


def compare(meter: Meter, sign: str, left: Any, right: Any) -> bool:
    """One comparison; `sign` is Jinja2's name of the operator."""
    match sign:
        case "eq":
            return equal(meter, left, right)
        case "ne":
            return not equal(meter, left, right)
        case "in":
            return contains(meter, left, right)
        case "notin":
            return not contains(meter, left, right)
        case _:
            return order(meter, sign, left, right)


def searching(meter: Meter, text: str, part: str, *, backwards: bool = False) -> None:
    """Charges for looking for `part`: the search is linear forwards, but for short texts, and quadratic backwards."""
    worst = len(part) if backwards else min(len(part), STEP)
    meter.spend(len(text) * max(_SEARCH, worst) // STEP)


def cut(meter: Meter, value: Any, start: Any, stop: Any, step: Any) -> Any:
    """`value[start:stop:step]`."""
    if isinstance(value, Missing):
        return value
    if not isinstance(value, str | list | tuple):
        raise TemplateProblem("type", f"{name_of(value)} has no slices")
    try:
        chosen = slice(start, stop, step)
        size = len(range(*chosen.indices(len(value))))
    except TypeError:
        raise TemplateProblem("type", "a slice needs integers") from None
    if isinstance(value, str):
        meter.produce(size, value)
        return str(value)[chosen]
    meter.spend(size * 10)
    return value[chosen]


class Turns:
    """The turns of a loop: each charged before it is taken."""

    __slots__ = ("cost", "items", "meter")

    def __init__(self, meter: Meter, items: Any, cost: int) -> None:
        self.meter = meter
        self.items = elements(items)
        self.cost = cost

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Any]:
        spend, cost = self.meter.spend, self.cost
        for item in self.items:
            spend(cost)
            yield item


def elements(value: Any) -> Sequence[Any] | dict[Any, Any]:
    """What a loop over `value` yields: characters, elements or keys. Not charged."""
    if isinstance(value, str | list | tuple | dict):
        return value
    if isinstance(value, Missing):
        value.note()
        return ()
    raise TemplateProblem("type", f"{name_of(value)} cannot be looped over")
