"""What a whole-template condition compares, for the route index."""

from __future__ import annotations

import msgspec

from tocsin.flow.templates.template import Template

Scalar = str | int | float | bool | None


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Holds only if the value at `path` equals one of `values`; `rest` are further conjuncts, left to right."""

    path: tuple[str | int, ...]
    values: tuple[Scalar, ...]
    rest: tuple[Condition, ...] = ()
    exact: bool = True


def comparison(template: Template) -> Condition | None:
    """None: nothing is known, evaluate plainly."""
    del template
    return None
