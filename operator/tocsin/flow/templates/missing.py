"""The value of a key that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from tocsin.flow.templates.problem import TemplateProblem

NOTES = 50
"""Most notes kept for one alert."""

_NOTE_LENGTH = 150


class Missing:
    """What a missing key, name or element evaluates to: chains to another one, prints as nothing, is false.

    It equals only another Missing. Its use as text, in a comparison or in a loop is noted once as
    `undefined: <path>`; asking whether it is there (`is defined`, `default`, `or`, `if`) is no use and leaves no note.
    Ordering it is a problem of kind `type`, reckoning with it one of kind `undefined`.
    """

    __slots__ = ("notes", "path")

    def __init__(self, path: str, notes: list[str] | None) -> None:
        """`path` is the expression as written; empty for what needs no note, such as an `if` without `else`."""
        self.path = path
        self.notes = notes

    def note(self) -> None:
        """Says on the trace that something that is not there was used."""
        notes = self.notes
        if notes is None or not self.path or len(notes) >= NOTES:
            return
        text = "undefined: " + self.path
        if len(text) > _NOTE_LENGTH:
            text = text[: _NOTE_LENGTH - 1] + "…"
        if text not in notes:
            notes.append(text)

    def fail(self, *_: Any) -> NoReturn:
        raise TemplateProblem("undefined", f"{self.path or 'a missing value'} is missing")

    def fail_ordered(self, _: Any) -> NoReturn:
        raise TemplateProblem("type", f"{self.path or 'a missing value'} is missing and cannot be ordered")

    def __str__(self) -> str:
        self.note()
        return ""

    def __repr__(self) -> str:
        return "Undefined"

    def __bool__(self) -> bool:
        return False

    def __len__(self) -> int:
        self.note()
        return 0

    def __iter__(self) -> Iterator[Any]:
        self.note()
        return iter(())

    def __contains__(self, _: object) -> bool:
        self.note()
        return False

    def __eq__(self, other: object) -> bool:
        self.note()
        return isinstance(other, Missing)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(Missing)

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = fail
    __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = __neg__ = __pos__ = fail
    __int__ = __float__ = __call__ = fail
    __lt__ = __le__ = __gt__ = __ge__ = fail_ordered


def make_missing(
    hint: str | None = None, obj: Any = None, name: str | None = None, exc: Any = None
) -> Missing:
    """Jinja2's signature of an undefined class, for its runtime; nothing is noted."""
    del hint, obj, name, exc
    return Missing("", None)
