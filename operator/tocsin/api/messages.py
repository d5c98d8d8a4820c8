"""The words of findings: what is wrong, what is allowed, what to do. Values are cut and never come from Secrets."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

_KINDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
}
_FORMS = {
    r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z": "lower-case letters, digits, - and ., beginning and ending with a letter or digit",
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z": "lower-case letters, digits and -, beginning and ending with a letter or digit",
    r"^[a-z0-9]([_a-z0-9]*[a-z0-9])?\Z": "lower-case letters, digits and _, beginning and ending with a letter or digit",
    r"^([0-9]{1,4}d|[0-9]{1,6}[hms])+\Z": "numbers with units d, h, m or s, for example 1h30m",
    r"^[-._a-zA-Z0-9]+\Z": "letters, digits, -, _ and .",
    r"^[-A-Za-z0-9]+\Z": "letters, digits and -",
    r"^https?://[-A-Za-z0-9_.:\[\]]+([/?][!-~]*)?\Z": "a URL with http or https and without user and password, as in "
    "https://example.com/hook",
    r"^[-A-Za-z0-9_.+=/!#%&'*?{|}~]+@[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?\Z": "an e-mail address alone, as in "
    "ann@example.com",
    r"^[+][1-9][0-9]{2,14}\Z": "a phone number with + and country code, digits alone, as in +4930123456",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]\Z": "a time of day from 00:00 to 23:59, as in 09:00",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[-+][0-9]{2}:[0-9]{2})?\Z": "a date and time, as in "
    "2026-11-25T09:00",
    "date-time": "an RFC 3339 time, for example 2026-11-25T22:00:00Z",
}
_SHOWN = 40
_LISTED = 12


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    known = list(known)
    folded = {name.lower().replace("-", "").replace("_", ""): name for name in known}
    if (same := folded.get(word.lower().replace("-", "").replace("_", ""))) is not None:
        return same
    matches = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean x?` or nothing."""
    found = closest(word, known)
    return f"; did you mean `{found}`?" if found else ""


def wrong_type(kind: str, value: Any) -> str:
    """A YAML word such as `on` or `012` that is no text gets a hint to quote it."""
    wanted, found = _KINDS[kind], _describe(value)
    hint = ""
    if kind == "string" and isinstance(value, (bool, int, float)):
        hint = "; put it in quotes"
    elif kind in ("integer", "number", "boolean") and isinstance(value, str):
        hint = "; remove the quotes" if value.isdecimal() or value in ("true", "false") else ""
    return f"has to be {wanted}, but is {found}{hint}"


def unknown_field(name: str, known: Iterable[str]) -> str:
    names = sorted(known)
    listed = ", ".join(names[:_LISTED]) + (", ..." if len(names) > _LISTED else "")
    meant = closest(name, names)
    return f"unknown field; did you mean `{meant}`?" if meant else f"unknown field; known here: {listed}"


def required(description: str) -> str:
    first = description.split(". ", maxsplit=1)[0].rstrip(".")
    return f"is required: {first[:1].lower()}{first[1:]}" if first else "is required"


def not_supported(value: str, allowed: Iterable[str]) -> str:
    allowed = tuple(allowed)
    if len(allowed) > _LISTED and (meant := closest(value, allowed)):
        return f"`{cut(value)}` is not supported; did you mean `{meant}`?"
    return f"`{cut(value)}` is not supported; allowed: {', '.join(allowed)}{suggestion(value, allowed)}"


def too_many(count: int, most: int) -> str:
    return f"has {count} entries, at most {most} are allowed"


def too_few(count: int, least: int) -> str:
    return "must not be empty" if count == 0 else f"has {count} entries, at least {least} are needed"


def too_long(length: int, most: int) -> str:
    return f"has {length} characters, at most {most} are allowed"


def too_short(length: int, least: int) -> str:
    return "must not be empty" if least == 1 else f"has {length} characters, at least {least} are needed"


def wrong_form(value: str, pattern: str) -> str:
    expected = _FORMS.get(pattern) or f"a text of the form {pattern.removesuffix(chr(92) + 'Z')}"
    return f"`{cut(value)}` is not valid; expected {expected}"


def out_of_bounds(value: float, low: float, high: float) -> str:
    return f"{value} is out of bounds; allowed: {low} to {high}"


def duplicate(key: tuple[Any, ...], names: tuple[str, ...]) -> str:
    """`names` are the keys of a named entry; () for a plain value."""
    shown = [f"`{cut(str(part))}`" for part in key]
    if not names:
        return f"{shown[0]} is there twice; remove one"
    what = " and ".join(f"{name} {part}" for name, part in zip(names, shown, strict=True))
    return f"a second entry with {what}; remove one"


def cut(text: str) -> str:
    """At most 40 characters of a text, on one line."""
    line = text.replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t")
    return line if len(line) <= _SHOWN else line[:_SHOWN] + "..."


def _describe(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text `{cut(value)}`" if value else "an empty text"
        case list():
            return "a list"
        case _:
            return "a mapping"
