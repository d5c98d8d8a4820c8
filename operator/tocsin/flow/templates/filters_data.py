"""Filters for numbers, JSON and times (alert-flow section 6.6), and the functions that templates may call."""
# ruff: noqa: FBT002 - signatures of Jinja2's filters

from __future__ import annotations

import base64
import binascii
import math
from datetime import date, datetime, time, timedelta
from typing import Any

from jinja2.utils import Cycler, Joiner, Namespace

from tocsin.flow.templates import json_text, moments
from tocsin.flow.templates.attributes import Function
from tocsin.flow.templates.attributes import attribute as attribute_of
from tocsin.flow.templates.filters_sequence import hashable
from tocsin.flow.templates.filters_text import integer, string
from tocsin.flow.templates.meter import STEP, Meter, checked
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import Safe, name_of

_DIGITS = 1_200
"""Digits of the longest number that text is read as; 4,096 bits have 1,234."""
_PRECISION = 300
_SIZES = ("kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY_SIZES = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def default(meter: Meter, value: Any, default_value: Any = "", boolean: Any = False) -> Any:
    del meter
    return default_value if isinstance(value, Missing) or (boolean and not value) else value


def attr(meter: Meter, value: Any, name: Any) -> Any:
    if not isinstance(name, str):
        return Missing("", meter.notes)
    return attribute_of(meter, value, name, name[:100])


def abs_(meter: Meter, value: Any) -> Any:
    del meter
    return abs(_number(value, "abs"))


def _number(value: Any, what: str) -> Any:
    if isinstance(value, Missing):
        value.fail()
    if not isinstance(value, int | float | timedelta):
        raise TemplateProblem("type", f"{what} needs a number, not {name_of(value)}")
    return value


def int_(meter: Meter, value: Any, default: Any = 0, base: Any = 10) -> Any:
    """The number, or the number in the text; `default` for anything else."""
    if isinstance(value, Missing):
        value.fail()
    if isinstance(value, str):
        if len(value) > _DIGITS:
            return default
        meter.spend(len(value))
        try:
            return checked(int(value, base))
        except (TypeError, ValueError):
            pass
    try:
        return checked(int(float(value) if isinstance(value, str) else value))
    except (TypeError, ValueError, OverflowError):
        return default


def float_(meter: Meter, value: Any, default: Any = 0.0) -> Any:
    del meter
    if isinstance(value, Missing):
        value.fail()
    if isinstance(value, str) and len(value) > _DIGITS:
        return default
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return default


def round_(meter: Meter, value: Any, precision: Any = 0, method: Any = "common") -> Any:
    del meter
    number, digits = _number(value, "round"), integer(precision, "round")
    if method not in ("common", "ceil", "floor"):
        raise TemplateProblem("other", "the method of round is common, ceil or floor")
    if abs(digits) > _PRECISION or isinstance(number, timedelta):
        raise TemplateProblem("limit", f"round takes numbers and at most {_PRECISION} digits")
    if method == "common":
        return round(number, digits)
    function = math.ceil if method == "ceil" else math.floor
    return function(number * (10**digits)) / (10**digits)


def filesizeformat(meter: Meter, value: Any, binary: Any = False) -> str:
    """`13000` as `13.0 kB`."""
    size = float_(meter, value, None)
    if size is None or not math.isfinite(size):
        raise TemplateProblem("type", f"filesizeformat needs a number, not {name_of(value)}")
    base = 1024 if binary else 1000
    if size == 1:
        return "1 Byte"
    if size < base:
        return f"{int(size)} Bytes"
    names = _BINARY_SIZES if binary else _SIZES
    power = next((power for power in range(1, len(names)) if size < base ** (power + 1)), len(names))
    return f"{size / base**power:.1f} {names[power - 1]}"


def tojson(meter: Meter, value: Any, indent: Any = None) -> Safe:
    """Sorted keys; what has a meaning in HTML as escapes. What is no JSON is a problem of kind `type`."""
    if isinstance(value, Missing):
        value.fail()
    space = None if indent is None else max(0, integer(indent, "tojson"))
    if space is not None and space > STEP:
        raise TemplateProblem("limit", f"tojson indents by at most {STEP} characters")
    style = json_text.HTML if space is None else json_text.Style(sort=True, html=True, indent=space)
    try:
        return Safe(json_text.write_json(meter, value, style))
    except json_text.NotJson as error:
        raise TemplateProblem("type", str(error)) from None


def _json(style: json_text.Style) -> Any:
    def write(meter: Meter, value: Any) -> str | None:
        if isinstance(value, Missing):
            value.note()
        try:
            return json_text.write_json(meter, value, style)
        except json_text.NotJson:
            return None

    return write


tojson_pretty = _json(json_text.PRETTY)
json_dumps = _json(json_text.PLAIN)


def parse_json(meter: Meter, value: Any) -> Any:
    if isinstance(value, Missing):
        value.note()
    return json_text.read_json(meter, value)


def b64decode(meter: Meter, value: Any) -> str | None:
    if isinstance(value, Missing):
        value.note()
    if not isinstance(value, str):
        return None
    meter.spend(3 * len(value))
    try:
        return base64.b64decode("".join(value.split()), validate=True).decode("utf-8")
    except (ValueError, binascii.Error):
        return None


def iso8601_to_time(meter: Meter, value: Any) -> datetime | None:
    del meter
    return moments.parse_iso(_noted(value))


def datetimeparse(meter: Meter, value: Any, format: Any = moments.DEFAULT_FORMAT) -> datetime | None:  # noqa: A002
    meter.spend(STEP)
    return moments.parse_with(_noted(value), format)


def datetimeformat(meter: Meter, value: Any, format: Any = moments.DEFAULT_FORMAT) -> str | None:  # noqa: A002
    if not isinstance(_noted(value), date | time):
        return None
    try:
        return moments.format_moment(meter, value, string(meter, format))
    except (ValueError, OverflowError):
        return ""


def datetimeformat_as_timezone(
    meter: Meter,
    value: Any,
    format: Any = moments.DEFAULT_FORMAT,  # noqa: A002
    tz: Any = "UTC",
) -> str | None:
    """None for what is no time, empty for a time that the zone puts outside the years 1 to 9999."""
    if not isinstance(_noted(value), datetime):
        return None
    local = moments.in_zone(value, tz)
    return "" if local is None else datetimeformat(meter, local, format)


def timestamp_to_datetime(meter: Meter, value: Any) -> datetime | None:
    del meter
    return moments.unix_time(_noted(value))


def timedeltaparse(meter: Meter, value: Any) -> timedelta | None:
    del meter
    return moments.parse_duration(_noted(value))


def _noted(value: Any) -> Any:
    if isinstance(value, Missing):
        value.note()
    return value


def _time(meter: Meter) -> datetime:
    return moments.moment_of(meter.now)


def _range(_: Meter, *__: Any, **___: Any) -> Any:
    raise TemplateProblem("security", "range() is not allowed in templates")


def _dict(meter: Meter, *args: Any, **kwargs: Any) -> dict[Any, Any]:
    pairs: Any = args[0] if args else ()
    if len(args) > 1 or not isinstance(pairs, dict | list | tuple | Missing):
        raise TemplateProblem("type", "dict() takes a mapping or a list of pairs, and names")
    meter.spend(STEP * (len(pairs) + len(kwargs)))
    if isinstance(pairs, dict):
        return {**pairs, **kwargs}
    return make_dict(meter, *pairs) | kwargs


def make_dict(meter: Meter, *pairs: Any) -> dict[Any, Any]:
    """`{key: value, ...}`; a problem of kind `type` for keys that cannot be any."""
    meter.spend(STEP * len(pairs))
    made = {}
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            raise TemplateProblem("type", "a mapping is made of pairs")
        key = pair[0]
        if type(key) is not str and hashable(meter, key) != key:
            raise TemplateProblem("limit", "a key of a mapping is too large a number")
        made[key] = pair[1]
    return made


def _namespace(meter: Meter, *args: Any, **kwargs: Any) -> Namespace:
    return Namespace(_dict(meter, *args, **kwargs))


def _cycler(_: Meter, *values: Any) -> Cycler:
    if not values:
        raise TemplateProblem("type", "cycler() needs values")
    return Cycler(*values)


def _joiner(meter: Meter, sep: Any = ", ") -> Joiner:
    return Joiner(string(meter, sep))


FUNCTIONS: dict[str, Function] = {
    "time": Function("time", _time),
    "range": Function("range", _range),
    "dict": Function("dict", _dict),
    "namespace": Function("namespace", _namespace),
    "cycler": Function("cycler", _cycler),
    "joiner": Function("joiner", _joiner),
}
"""Names that every template sees besides its variables."""
