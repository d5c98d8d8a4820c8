"""`value.name`, `value["key"]` and `value.method()`: a closed list of what there is, nothing of Python's insides.

In attribute position a key of the payload wins over everything; in a call the method is meant. Methods exist only as
calls: a template can neither hold nor print one, so no memory address ever becomes text (BUG-032).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any

from jinja2.runtime import BlockReference, LoopContext, Macro, TemplateReference
from jinja2.utils import Cycler, Joiner, Namespace

from tocsin.flow.templates.meter import STEP, Meter, weigh
from tocsin.flow.templates.methods import METHODS, MUTATING
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.operators import Turns
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import name_of

_MOMENT = frozenset({"year", "month", "day", "hour", "minute", "second", "microsecond"})
_LOOP = frozenset(
    {
        "index",
        "index0",
        "revindex",
        "revindex0",
        "first",
        "last",
        "length",
        "depth",
        "depth0",
        "previtem",
        "nextitem",
    }
)
_ATTRIBUTES: dict[type, frozenset[str]] = {
    datetime: _MOMENT,
    date: _MOMENT,
    time: _MOMENT,
    timedelta: frozenset({"days", "seconds", "microseconds"}),
    LoopContext: _LOOP,
    Cycler: frozenset({"current"}),
    Macro: frozenset({"name", "arguments", "catch_kwargs", "catch_varargs", "caller"}),
}
_GROUP = {"grouper": 0, "list": 1}


class Group(tuple[Any, Any]):
    """One group of `groupby`: prints and unpacks as a pair, with names for both."""

    __slots__ = ()


class Function:
    """A function that templates may call. `function` takes the meter and the template's arguments."""

    __slots__ = ("function", "name")

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        self.function = function


def attribute(meter: Meter, value: Any, name: str, path: str) -> Any:
    """`value.name`. `path` is the expression as written, for notes."""
    kind = type(value)
    if kind is dict:
        try:
            return value[name]
        except KeyError:
            pass
    if name.startswith("__"):
        raise TemplateProblem("security", f"{path}: names that begin with two underscores are not accessible")
    if kind is not dict and kind is not Missing and kind is not str:
        return _named(value, name, Missing(path, meter.notes))
    return Missing(path, meter.notes)


def _named(value: Any, name: str, absent: Missing) -> Any:
    """Attributes of times, loops and the like."""
    kind = type(value)
    if kind is Namespace:
        # names with an underscore would reach the mapping behind it
        return absent if name.startswith("_") else getattr(value, name, absent)
    if name in _ATTRIBUTES.get(kind, ()) or (kind is BlockReference and name == "super"):
        return getattr(value, name, absent)
    if kind is Group and name in _GROUP:
        return value[_GROUP[name]]
    if kind is TemplateReference:
        try:
            return value[name]
        except KeyError:
            pass
    return absent


def item(meter: Meter, value: Any, key: Any, path: str) -> Any:
    """`value[key]`: an element, else Missing; for text keys also what `attribute` finds outside mappings."""
    kind = type(value)
    if kind is dict or kind is list or kind is str or isinstance(value, str | list | tuple):
        if type(key) is not str and type(key) is not int:
            weigh(meter, key)
        try:
            return value[key]
        except (TypeError, LookupError):
            return Missing(path, meter.notes)
    if type(key) is str:
        return attribute(meter, value, key, path)
    return Missing(path, meter.notes)


def invoke(meter: Meter, value: Any, name: str, path: str, /, *args: Any, **kwargs: Any) -> Any:
    """`value.name(...)`: the method, not a key."""
    method = METHODS.get(type(value), {}).get(name)
    if method is None:
        if name in MUTATING.get(type(value), ()):
            raise TemplateProblem("security", f"{path}() would change {name_of(value)}; templates cannot")
        if type(value) is LoopContext:
            return _loop_method(meter, value, name, path, args)
        if type(value) is Cycler and name in ("next", "reset"):
            meter.spend(STEP)
            return getattr(value, name)(*args)
        found = attribute(meter, value, name, path)
        if isinstance(found, Missing):
            meter.spend(STEP)
            raise TemplateProblem("undefined", f"{path}() cannot be called: {name_of(value)} has no {name}()")
        return call(meter, found, path, *args, **kwargs)
    meter.spend(STEP)
    return method(meter, value, *args, **kwargs)


def _loop_method(meter: Meter, loop: LoopContext, name: str, path: str, args: tuple[Any, ...]) -> Any:
    meter.spend(STEP + 10 * len(args))
    if name == "cycle":
        if not args:
            raise TemplateProblem("type", "loop.cycle() needs values")
        return loop.cycle(*args)
    if name == "changed":
        weigh(meter, args)
        return loop.changed(*args)
    raise TemplateProblem("undefined", f"{path}() cannot be called: a loop has no {name}()")


def call(meter: Meter, function: Any, path: str, /, *args: Any, **kwargs: Any) -> Any:
    """`function(...)`: functions of templates, macros, blocks, `caller`, joiners and recursive loops."""
    meter.spend(STEP + 10 * (len(args) + len(kwargs)))
    if isinstance(function, Function):
        return function.function(meter, *args, **kwargs)
    if isinstance(function, Missing):
        raise TemplateProblem("undefined", f"{path or function.path} is missing and cannot be called")
    if type(function) is LoopContext:
        return _recurse(meter, function, args)
    if isinstance(function, Macro | BlockReference | Joiner):
        meter.enter()
        try:
            return function(*args, **kwargs)
        finally:
            meter.leave()
    raise TemplateProblem("type", f"{name_of(function) if _is_data(function) else path} cannot be called")


def _is_data(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | list | tuple | dict | date | timedelta)


def _recurse(meter: Meter, loop: LoopContext, args: tuple[Any, ...]) -> Any:
    if len(args) != 1:
        raise TemplateProblem("type", "loop() takes what to loop over, and nothing else")
    inner = loop._iterable  # noqa: SLF001 - Jinja2 has no public name for what a loop runs over
    cost = inner.cost if isinstance(inner, Turns) else STEP
    meter.enter()
    try:
        return loop(Turns(meter, args[0], cost))
    finally:
        meter.leave()


def spread(meter: Meter, values: Any) -> Any:
    """`*values` in a call."""
    if isinstance(values, Missing):
        values.note()
        return ()
    if not isinstance(values, list | tuple):
        raise TemplateProblem("type", f"{name_of(values)} cannot be spread over arguments")
    meter.spend(10 * len(values))
    return values


def spread_keys(meter: Meter, values: Any) -> Mapping[str, Any]:
    """`**values` in a call."""
    if isinstance(values, Missing):
        values.note()
        return {}
    if type(values) is not dict or not all(isinstance(key, str) for key in values):
        raise TemplateProblem("type", f"{name_of(values)} cannot be spread over named arguments")
    meter.spend(STEP * len(values))
    return values
