"""Filters over lists and mappings. Where Jinja2 yields lazily these make lists, so that nothing unmetered escapes."""
# ruff: noqa: FBT002 - signatures of Jinja2's filters

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby as group_runs
from typing import Any

from tocsin.flow.templates.attributes import Group
from tocsin.flow.templates.attributes import item as item_of
from tocsin.flow.templates.filters_text import integer
from tocsin.flow.templates.meter import STEP, Meter, weigh
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.operators import add, elements
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import name_of, text_of

_HASHED_TO_ITSELF = (1 << 61) - 1
"""Python hashes integers to themselves modulo this: beyond, a sender could choose keys that all collide."""

Getter = Callable[[Any], Any]


def taken(meter: Meter, value: Any) -> list[Any]:
    """The elements as a new list, one step each."""
    items = elements(value)
    meter.spend(STEP * len(items))
    return list(items)


def getter(meter: Meter, attribute: Any, default: Any = None) -> Getter:
    """Looks up a path such as `labels.severity` or `alerts.0.status`; `default` stands for what is missing."""
    if attribute is None:
        return lambda value: value
    parts = _parts(attribute)
    path = str(attribute)[:100]

    def get(value: Any) -> Any:
        for part in parts:
            meter.spend(10)
            value = item_of(meter, value, part, path)
            if default is not None and isinstance(value, Missing):
                value = default
        return value

    return get


def _parts(attribute: Any) -> list[str | int]:
    if isinstance(attribute, str):
        return [int(part) if part.isdecimal() and len(part) < 10 else part for part in attribute.split(".")]
    return [integer(attribute, "an attribute")]


def folded(value: Any, *, case_sensitive: Any) -> Any:
    return value.lower() if isinstance(value, str) and not case_sensitive else value


def length(meter: Meter, value: Any) -> int:
    del meter
    if not isinstance(value, str | list | tuple | dict | Missing):
        raise TemplateProblem("type", f"{name_of(value)} has no length")
    return len(value)


def first(meter: Meter, value: Any) -> Any:
    for item in elements(value):
        return item
    return Missing("", meter.notes)


def last(meter: Meter, value: Any) -> Any:
    items = elements(value)
    if isinstance(items, dict):
        return next(reversed(items), Missing("", meter.notes))
    return items[-1] if items else Missing("", meter.notes)


def list_(meter: Meter, value: Any) -> list[Any]:
    return taken(meter, value)


def items(meter: Meter, value: Any) -> list[Any]:
    if isinstance(value, Missing):
        value.note()
        return []
    if not isinstance(value, dict):
        raise TemplateProblem("type", f"items needs a mapping, not {name_of(value)}")
    meter.spend(STEP * len(value))
    return list(value.items())


def reverse(meter: Meter, value: Any) -> Any:
    if isinstance(value, str):
        meter.produce(len(value), value)
        return str(value)[::-1]
    return taken(meter, value)[::-1]


def join(meter: Meter, value: Any, d: Any = "", attribute: Any = None) -> str:
    get = getter(meter, attribute)
    separator = text_of(meter, d)
    texts = [text_of(meter, get(item)) for item in taken(meter, value)]
    meter.produce(sum(map(len, texts)) + len(separator) * len(texts), separator, *texts)
    return separator.join(texts)


def sum_(meter: Meter, value: Any, attribute: Any = None, start: Any = 0) -> Any:
    get = getter(meter, attribute)
    if isinstance(start, str):
        raise TemplateProblem("type", "sum adds numbers; use join for texts")
    total = start
    for item in taken(meter, value):
        total = add(meter, total, get(item))
    return total


def batch(meter: Meter, value: Any, linecount: Any, fill_with: Any = None) -> list[list[Any]]:
    """Rows of `linecount` elements."""
    values, size = taken(meter, value), integer(linecount, "batch")
    if size <= 0:
        raise TemplateProblem("other", "batch needs at least one element a row")
    rows = [values[start : start + size] for start in range(0, len(values), size)]
    if rows and fill_with is not None and len(rows[-1]) < size:
        meter.spend(10 * (size - len(rows[-1])))
        rows[-1] += [fill_with] * (size - len(rows[-1]))
    return rows


def slice_(meter: Meter, value: Any, slices: Any, fill_with: Any = None) -> list[list[Any]]:
    """`slices` columns of nearly equal length."""
    values, count = taken(meter, value), integer(slices, "slice")
    if count <= 0:
        raise TemplateProblem("other", "slice needs at least one column")
    meter.spend(STEP * count)
    size, longer = divmod(len(values), count)
    columns, position = [], 0
    for number in range(count):
        end = position + size + (number < longer)
        column = values[position:end]
        if fill_with is not None and number >= longer:
            column.append(fill_with)
        columns.append(column)
        position = end
    return columns


def _sorted(meter: Meter, values: list[Any], keys: list[Any], *, reverse: Any) -> list[Any]:
    """Stable. Charged as if each comparison read both keys."""
    rounds = max(1, len(keys).bit_length())
    before = meter.left
    weigh(meter, keys)
    meter.spend((before - meter.left) * (rounds - 1))
    try:
        chosen = sorted(range(len(keys)), key=keys.__getitem__, reverse=bool(reverse))
    except TypeError:
        raise TemplateProblem("type", "values of different types cannot be sorted") from None
    return [values[index] for index in chosen]


def sort(
    meter: Meter, value: Any, reverse: Any = False, case_sensitive: Any = False, attribute: Any = None
) -> list[Any]:
    """By the values, or by one or several attributes (`"severity,name"`)."""
    names = attribute.split(",") if isinstance(attribute, str) else [attribute]
    getters = [getter(meter, name) for name in names]
    values = taken(meter, value)
    keys = [[folded(get(item), case_sensitive=case_sensitive) for get in getters] for item in values]
    return _sorted(meter, values, keys, reverse=reverse)


def dictsort(
    meter: Meter, value: Any, case_sensitive: Any = False, by: Any = "key", reverse: Any = False
) -> list[Any]:
    if by not in ("key", "value"):
        raise TemplateProblem("other", 'dictsort sorts by "key" or "value"')
    if isinstance(value, Missing) or not isinstance(value, dict):
        raise TemplateProblem(
            "undefined" if isinstance(value, Missing) else "type",
            f"dictsort needs a mapping, not {name_of(value)}",
        )
    pairs = items(meter, value)
    index = 0 if by == "key" else 1
    keys = [folded(pair[index], case_sensitive=case_sensitive) for pair in pairs]
    return _sorted(meter, pairs, keys, reverse=reverse)


def unique(meter: Meter, value: Any, case_sensitive: Any = False, attribute: Any = None) -> list[Any]:
    get = getter(meter, attribute)
    seen: set[Any] = set()
    kept = []
    for item in taken(meter, value):
        key = hashable(meter, folded(get(item), case_sensitive=case_sensitive))
        if key not in seen:
            seen.add(key)
            kept.append(item)
    return kept


def hashable(meter: Meter, value: Any) -> Any:
    """Something equal for equal values, with a hash that no sender can foresee."""
    if isinstance(value, int | float) and abs(value) >= _HASHED_TO_ITSELF and value == value:  # noqa: PLR0124 - not NaN
        whole = value if isinstance(value, int) or value in (float("inf"), float("-inf")) else int(value)
        return ("number", str(whole))
    if isinstance(value, tuple):
        weigh(meter, value)
        return tuple(hashable(meter, item) for item in value)
    try:
        hash(value)
    except TypeError:
        raise TemplateProblem("type", f"{name_of(value)} cannot be a key") from None
    return value


def _extreme(
    meter: Meter, value: Any, case_sensitive: Any, attribute: Any, choose: Callable[..., Any]
) -> Any:
    get = getter(meter, attribute)
    values = taken(meter, value)
    if not values:
        return Missing("", meter.notes)
    keys = [folded(get(item), case_sensitive=case_sensitive) for item in values]
    weigh(meter, keys)
    try:
        return values[choose(range(len(keys)), key=keys.__getitem__)]
    except TypeError:
        raise TemplateProblem("type", "values of different types cannot be compared") from None


def min_(meter: Meter, value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:
    return _extreme(meter, value, case_sensitive, attribute, min)


def max_(meter: Meter, value: Any, case_sensitive: Any = False, attribute: Any = None) -> Any:
    return _extreme(meter, value, case_sensitive, attribute, max)


def groupby(
    meter: Meter, value: Any, attribute: Any, default: Any = None, case_sensitive: Any = False
) -> list[Group]:
    """Groups of equal attributes, in their order; each prints and unpacks as (grouper, list)."""
    get = getter(meter, attribute, default)
    values = taken(meter, value)
    keys = [folded(get(item), case_sensitive=case_sensitive) for item in values]
    pairs = _sorted(meter, list(zip(keys, values, strict=True)), keys, reverse=False)
    groups = []
    for _, run in group_runs(pairs, key=lambda pair: pair[0]):
        members = [item for _, item in run]
        groups.append(Group((get(members[0]), members)))
    return groups
