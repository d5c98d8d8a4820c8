"""What specialised templates call: the frequent cases of the metered operations, for values too small to be charged.

Each either gives what the metered operation gives, or raises `Leave`; then the sandbox renders the whole template.
Values that come here are parts of the payload or the labels: trees of JSON, never made by a template.
"""

from __future__ import annotations

from typing import Any

import orjson

from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.text import Safe

PIECE = 50_000
"""Characters of the longest text that goes into a result by a short cut."""

_INTEGER_BITS = 1_000
_SEARCHED = 10_000
_LISTED = 1_000


class Leave(Exception):
    """The payload is not the frequent case."""


NOTHING = Missing("", None)
"""What an `if` without `else` gives."""


class _Absent(tuple[()]):
    """Empty, so that Python knows without asking that it is false."""

    __slots__ = ()


ABSENT = _Absent()
"""What a lookup holds while nobody needs to know which key was missing."""


def text(value: Any, room: int) -> str:
    """What `{{ value }}` prints. `room` bounds the JSON of lists and mappings that are printed here, in bytes."""
    kind = type(value)
    if kind is Missing:
        return str(value)
    if kind is bool or value is None or kind is float:
        return str(value)
    if kind is int and value.bit_length() <= _INTEGER_BITS:
        return str(value)
    if kind is dict or kind is list:
        try:
            size = len(orjson.dumps(value))
        except (TypeError, ValueError, RecursionError):
            raise Leave from None
        if size <= room:
            return str(value)
    raise Leave


def scalar_text(value: Any, room: int) -> str:
    """The same for values that are perhaps no JSON: lists and mappings are left to the sandbox."""
    kind = type(value)
    if kind is dict or kind is list:
        raise Leave
    if kind is Safe and len(value) <= PIECE:
        return str.__str__(value)
    return text(value, room)


def equal(left: Any, right: Any) -> bool:
    """`==` unless both are lists or mappings."""
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        raise Leave
    if type(left) is str and len(left) > PIECE:
        raise Leave
    return bool(left == right)


def contains(item: Any, container: Any) -> bool:
    """`in` for short texts, short lists of anything and mappings."""
    kind = type(container)
    if type(item) is str:
        if kind is str:
            if len(container) <= _SEARCHED:
                return item in container
        elif (
            kind is dict
            or kind is Missing
            or (kind is list and len(container) <= _LISTED and len(item) <= _LISTED)
        ):
            return item in container
    raise Leave
