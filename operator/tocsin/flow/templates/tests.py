"""Jinja2's tests (`is defined`, `is string`, ...)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2.runtime import Macro

from tocsin.flow.templates.attributes import Function
from tocsin.flow.templates.meter import Meter
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.operators import compare, modulo
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import Safe, name_of, plain

Test = Callable[..., bool]


def _remainder(meter: Meter, value: Any, divisor: Any) -> Any:
    if isinstance(value, Missing):
        value.fail()
    if not isinstance(value, int | float):
        raise TemplateProblem("type", f"a number is needed, not {name_of(value)}")
    return modulo(meter, value, divisor)


def _odd(meter: Meter, value: Any) -> bool:
    return bool(_remainder(meter, value, 2) == 1)


def _even(meter: Meter, value: Any) -> bool:
    return bool(_remainder(meter, value, 2) == 0)


def _divisibleby(meter: Meter, value: Any, num: Any) -> bool:
    return bool(_remainder(meter, value, num) == 0)


def _comparing(sign: str) -> Test:
    def test(meter: Meter, value: Any, other: Any) -> bool:
        return compare(meter, sign, value, other)

    return test


def _of_type(*types: type) -> Test:
    def test(_: Meter, value: Any) -> bool:
        return isinstance(value, types)

    return test


def _lower(meter: Meter, value: Any) -> bool:
    text = plain(meter, value)
    meter.spend(len(text) // 10)
    return text.islower()


def _upper(meter: Meter, value: Any) -> bool:
    text = plain(meter, value)
    meter.spend(len(text) // 10)
    return text.isupper()


def _integer(_: Meter, value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


TESTS: dict[str, Test] = {
    "odd": _odd,
    "even": _even,
    "divisibleby": _divisibleby,
    "defined": lambda _, value: not isinstance(value, Missing),
    "undefined": _of_type(Missing),
    "none": lambda _, value: value is None,
    "boolean": _of_type(bool),
    "false": lambda _, value: value is False,
    "true": lambda _, value: value is True,
    "integer": _integer,
    "float": _of_type(float),
    "lower": _lower,
    "upper": _upper,
    "string": _of_type(str),
    "mapping": _of_type(dict),
    "number": _of_type(int, float),
    "sequence": _of_type(str, list, tuple, dict),
    "iterable": _of_type(str, list, tuple, dict),
    "callable": _of_type(Function, Macro),
    "sameas": lambda _, value, other: value is other,
    "escaped": _of_type(Safe),
    **{name: _comparing("eq") for name in ("eq", "equalto", "==")},
    **{name: _comparing("ne") for name in ("ne", "!=")},
    **{name: _comparing("gt") for name in ("gt", "greaterthan", ">")},
    **{name: _comparing("gteq") for name in ("ge", ">=")},
    **{name: _comparing("lt") for name in ("lt", "lessthan", "<")},
    **{name: _comparing("lteq") for name in ("le", "<=")},
    "in": _comparing("in"),
}
"""All but `filter` and `test`, which `registry` adds: they ask what there is."""
