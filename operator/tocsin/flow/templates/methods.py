"""The methods that values have in templates. Each sizes up its result before it makes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from tocsin.flow.templates.meter import STEP, Meter, weigh
from tocsin.flow.templates.moments import format_moment
from tocsin.flow.templates.operators import searching
from tocsin.flow.templates.percent import format_text
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import Safe, name_of

Method = Callable[..., Any]

MUTATING: dict[type, frozenset[str]] = {
    dict: frozenset({"pop", "popitem", "update", "setdefault", "clear"}),
    list: frozenset({"append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse"}),
}
"""Methods that Python has and templates have not, because they change their object (alert-flow R-TPL-24)."""


def _integer(value: Any) -> int:
    if type(value) is not int and type(value) is not bool:
        raise TemplateProblem("type", f"an integer is needed, not {name_of(value)}")
    return int(value)


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TemplateProblem("type", f"text is needed, not {name_of(value)}")
    return str(value)


def _get(meter: Meter, mapping: dict[Any, Any], key: Any, default: Any = None) -> Any:
    if type(key) is not str:
        weigh(meter, key)
    return mapping.get(key, default)


def _items(meter: Meter, mapping: dict[Any, Any]) -> list[tuple[Any, Any]]:
    meter.spend(STEP * len(mapping))
    return list(mapping.items())


def _keys(meter: Meter, mapping: dict[Any, Any]) -> list[Any]:
    meter.spend(10 * len(mapping))
    return list(mapping)


def _values(meter: Meter, mapping: dict[Any, Any]) -> list[Any]:
    meter.spend(10 * len(mapping))
    return list(mapping.values())


def _copy(meter: Meter, value: Any) -> Any:
    meter.spend(STEP * len(value))
    return value.copy()


def _list_index(meter: Meter, values: Any, value: Any, *bounds: Any) -> int:
    weigh(meter, values)
    weigh(meter, value)
    return int(values.index(value, *map(_integer, bounds)))


def _list_count(meter: Meter, values: Any, value: Any) -> int:
    weigh(meter, values)
    weigh(meter, value)
    return int(values.count(value))


def _padded(name: str) -> Method:
    def pad(meter: Meter, text: str, width: Any, *fill: Any) -> str:
        meter.produce(max(_integer(width), len(text)), text, *map(_string, fill))
        result: str = getattr(str, name)(text, width, *fill)
        return result

    return pad


def _cased(name: str) -> Method:
    def change(meter: Meter, text: str) -> str:
        # one character becomes at most three
        meter.produce(len(text) if text.isascii() else 3 * len(text), text)
        result: str = getattr(str, name)(text)
        return result

    return change


def _stripped(name: str) -> Method:
    def strip(meter: Meter, text: str, characters: Any = None) -> str:
        wanted = None if characters is None else _string(characters)
        meter.spend(len(text) * (1 + len(wanted or "")) // 10)
        result: str = getattr(str, name)(text, wanted)
        meter.produce(len(result), result)
        return result

    return strip


def _tested(name: str) -> Method:
    def test(meter: Meter, text: str) -> bool:
        meter.spend(len(text) // 10)
        return bool(getattr(str, name)(text))

    return test


def _affixed(name: str) -> Method:
    def test(meter: Meter, text: str, affix: Any, *bounds: Any) -> bool:
        parts = tuple(map(_string, affix)) if isinstance(affix, tuple | list) else (_string(affix),)
        meter.spend(sum(len(part) // STEP + 1 for part in parts))
        return bool(getattr(str, name)(text, parts, *map(_integer, bounds)))

    return test


def _without(name: str) -> Method:
    def remove(meter: Meter, text: str, affix: Any) -> str:
        meter.produce(len(text), text)
        result: str = getattr(str, name)(text, _string(affix))
        return result

    return remove


def _found(name: str, *, backwards: bool = False) -> Method:
    def find(meter: Meter, text: str, part: Any, *bounds: Any) -> int:
        searching(meter, text, _string(part), backwards=backwards)
        return int(getattr(str, name)(text, part, *map(_integer, bounds)))

    return find


def _pieces(name: str, *, backwards: bool = False) -> Method:
    def split(meter: Meter, text: str, sep: Any = None, maxsplit: Any = -1) -> list[str]:
        most = _integer(maxsplit)
        if sep is None:
            pieces = len(text) // 2 + 1
            if most < 0 or most > pieces:
                meter.read(len(text))
                pieces = sum(1 for _ in _words(meter, text))
        else:
            searching(meter, text, _string(sep), backwards=backwards)
            pieces = text.count(sep) + 1 if sep else 1
        pieces = pieces if most < 0 else min(pieces, most + 1)
        meter.produce(len(text), text)
        meter.spend(STEP * pieces)
        result: list[str] = getattr(str, name)(text, sep, most)
        return result

    return split


def _words(meter: Meter, text: str) -> Iterable[None]:
    """One for each word, without making the words; a block of text at a time."""
    block = 10_000
    for start in range(0, len(text), block):
        part = text[start : start + block]
        meter.spend(STEP)
        yield from (None for _ in range(len(part.split())))


def _lines(meter: Meter, text: str, keepends: Any = False) -> list[str]:  # noqa: FBT002 - Python's own signature
    meter.produce(len(text), text)
    marks = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    meter.spend(STEP * (1 + sum(text.count(mark) for mark in marks)))
    return text.splitlines(bool(keepends))


def _partition(name: str, *, backwards: bool = False) -> Method:
    def split(meter: Meter, text: str, sep: Any) -> tuple[str, str, str]:
        searching(meter, text, _string(sep), backwards=backwards)
        meter.produce(len(text), text)
        first, middle, last = getattr(str, name)(text, sep)
        return first, middle, last

    return split


def join(meter: Meter, separator: str, values: Any) -> str:
    """`separator.join(values)`."""
    if not isinstance(values, list | tuple | dict | str):
        raise TemplateProblem("type", f"{name_of(values)} cannot be joined")
    meter.spend(10 * len(values))
    texts = [_string(value) for value in values]
    meter.produce(sum(map(len, texts)) + len(separator) * len(texts), separator, *texts)
    return separator.join(texts)


def replace(meter: Meter, text: str, old: Any, new: Any, count: Any = -1) -> str:
    """`text.replace(old, new, count)`."""
    most = _integer(count)
    searching(meter, text, _string(old))
    times = text.count(old) if most < 0 else min(text.count(old), most)
    meter.produce(len(text) + times * (len(_string(new)) - len(old)), text, new)
    return text.replace(old, new, most)


def _expandtabs(meter: Meter, text: str, tabsize: Any = 8) -> str:
    meter.produce(len(text) + text.count("\t") * max(0, _integer(tabsize)), text)
    return text.expandtabs(tabsize)


def _format(meter: Meter, text: str, *args: Any, **kwargs: Any) -> str:
    from tocsin.flow.templates.attributes import attribute, item

    return format_text(meter, text, args, kwargs, (attribute, item))


def _format_map(meter: Meter, text: str, mapping: Any) -> str:
    from tocsin.flow.templates.attributes import attribute, item

    if type(mapping) is not dict:
        raise TemplateProblem("type", f"format_map needs a mapping, not {name_of(mapping)}")
    return format_text(meter, text, (), mapping, (attribute, item))


def _strftime(meter: Meter, value: date | time, template: Any) -> str:
    return format_moment(meter, value, _string(template))


def _isoformat(meter: Meter, value: Any, *args: Any) -> str:
    del meter
    return str(value.isoformat(*args))


def _aware(value: datetime) -> datetime:
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)


def _replace_moment(meter: Meter, value: Any, **parts: Any) -> Any:
    del meter
    if not set(parts) <= {"year", "month", "day", "hour", "minute", "second", "microsecond"}:
        raise TemplateProblem(
            "type", "replace() of a time takes year, month, day, hour, minute, second, microsecond"
        )
    return value.replace(**{name: _integer(part) for name, part in parts.items()})


_TEXT: dict[str, Method] = {
    **{name: _padded(name) for name in ("center", "ljust", "rjust", "zfill")},
    **{name: _cased(name) for name in ("upper", "lower", "title", "capitalize", "swapcase", "casefold")},
    **{name: _stripped(name) for name in ("strip", "lstrip", "rstrip")},
    **{
        name: _tested(name)
        for name in (
            "isalnum",
            "isalpha",
            "isascii",
            "isdecimal",
            "isdigit",
            "isidentifier",
            "islower",
            "isnumeric",
            "isprintable",
            "isspace",
            "istitle",
            "isupper",
        )
    },
    "startswith": _affixed("startswith"),
    "endswith": _affixed("endswith"),
    "removeprefix": _without("removeprefix"),
    "removesuffix": _without("removesuffix"),
    "find": _found("find"),
    "index": _found("index"),
    "count": _found("count"),
    "rfind": _found("rfind", backwards=True),
    "rindex": _found("rindex", backwards=True),
    "split": _pieces("split"),
    "rsplit": _pieces("rsplit", backwards=True),
    "splitlines": _lines,
    "partition": _partition("partition"),
    "rpartition": _partition("rpartition", backwards=True),
    "join": join,
    "replace": replace,
    "expandtabs": _expandtabs,
    "format": _format,
    "format_map": _format_map,
}

_MOMENT: dict[str, Method] = {
    "strftime": _strftime,
    "isoformat": _isoformat,
    "replace": _replace_moment,
}

METHODS: dict[type, dict[str, Method]] = {
    dict: {"get": _get, "items": _items, "keys": _keys, "values": _values, "copy": _copy},
    list: {"index": _list_index, "count": _list_count, "copy": _copy},
    tuple: {"index": _list_index, "count": _list_count},
    str: _TEXT,
    Safe: _TEXT,
    int: {"bit_length": lambda _, value: value.bit_length()},
    float: {"is_integer": lambda _, value: value.is_integer(), "hex": lambda _, value: value.hex()},
    time: {"strftime": _strftime, "isoformat": _isoformat},
    date: {
        **_MOMENT,
        "weekday": lambda _, value: value.weekday(),
        "isoweekday": lambda _, value: value.isoweekday(),
    },
    datetime: {
        **_MOMENT,
        "weekday": lambda _, value: value.weekday(),
        "isoweekday": lambda _, value: value.isoweekday(),
        "timestamp": lambda _, value: _aware(value).timestamp(),
        "date": lambda _, value: value.date(),
        "time": lambda _, value: value.time(),
    },
    timedelta: {"total_seconds": lambda _, value: value.total_seconds()},
}
"""Methods by the type of their object. Naive times are UTC."""
