"""Filters that apply other filters and tests: map, select and their relatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tocsin.flow.templates.filters_sequence import Getter, getter, taken
from tocsin.flow.templates.meter import Meter
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.problem import TemplateProblem


def _given(meter: Meter, value: Any) -> list[Any]:
    """The elements; none where there is nothing at all (null, zero, an empty text)."""
    return taken(meter, value) if value or isinstance(value, Missing) else []


Registry = dict[str, Callable[..., Any]]


def applying(filters: Registry, tests: Registry) -> Registry:  # noqa: C901 - closures over the registries
    """The filters that look up others by name in `filters` and `tests`."""

    def named(registry: Registry, what: str, name: Any) -> Callable[..., Any]:
        function = registry.get(name) if isinstance(name, str) else None
        if function is None:
            raise TemplateProblem("other", f"there is no {what} {str(name)[:50]!r}; its name must be quoted")
        return function

    def map_(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
        if not args and "attribute" in kwargs:
            get = getter(meter, kwargs.pop("attribute"), kwargs.pop("default", None))
            if kwargs:
                raise TemplateProblem("type", f"map does not know {next(iter(kwargs))}")
            return [get(item) for item in _given(meter, value)]
        if not args:
            raise TemplateProblem("type", "map needs the name of a filter, or attribute=")
        function = named(filters, "filter", args[0])
        return [function(meter.step(), item, *args[1:], **kwargs) for item in _given(meter, value)]

    def chosen(
        meter: Meter, value: Any, get: Getter, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> list[tuple[Any, bool]]:
        if not args:
            return [(item, bool(get(item))) for item in _given(meter, value)]
        test = named(tests, "test", args[0])
        return [(item, test(meter.step(), get(item), *args[1:], **kwargs)) for item in _given(meter, value)]

    def selector(*, by_attribute: bool, keep: bool) -> Callable[..., Any]:
        def select(meter: Meter, value: Any, *args: Any, **kwargs: Any) -> list[Any]:
            if by_attribute and not args:
                raise TemplateProblem("type", "the name of an attribute is needed")
            get = getter(meter, args[0] if by_attribute else None)
            rest = args[1:] if by_attribute else args
            return [item for item, holds in chosen(meter, value, get, rest, kwargs) if bool(holds) is keep]

        return select

    return {
        "map": map_,
        "select": selector(by_attribute=False, keep=True),
        "reject": selector(by_attribute=False, keep=False),
        "selectattr": selector(by_attribute=True, keep=True),
        "rejectattr": selector(by_attribute=True, keep=False),
    }
