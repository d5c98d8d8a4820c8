"""The regex filters, on RE2: linear in the text, bounded in memory."""

from __future__ import annotations

import re
from typing import Any

import re2

from tocsin.flow.templates.meter import STEP, Meter
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.text import name_of

PATTERN_LENGTH = 2_000
"""Characters of the longest pattern."""

_MEMORY = 512 * 1024
"""Bytes of one compiled pattern with its automata; the library keeps the 128 latest."""

_REFERENCE = re.compile(r"\\(?:([1-9][0-9]?)|g<(\w{1,50})>|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def _expression(meter: Meter, pattern: Any) -> Any:
    """The compiled pattern, charged as if it were compiled every time."""
    if isinstance(pattern, str):
        meter.spend(20 * min(len(pattern), PATTERN_LENGTH))
    expression = compiled(pattern)
    meter.spend(10 * int(expression.programsize))
    return expression


def compiled(pattern: Any) -> Any:
    """The pattern for RE2. Anything that RE2 does not take is a problem of kind `other` that says so."""
    if not isinstance(pattern, str):
        raise TemplateProblem("type", f"a regular expression is text, not {name_of(pattern)}")
    if len(pattern) > PATTERN_LENGTH:
        raise TemplateProblem("limit", f"a regular expression has at most {PATTERN_LENGTH} characters")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return re2.compile(str(pattern), options)
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise TemplateProblem("other", f"not a regular expression (RE2): {text}") from None


def _searched(meter: Meter, pattern: Any, remaining: int) -> None:
    meter.spend(STEP + (remaining + 1) * int(pattern.programsize) // STEP)


def _found(meter: Meter, value: Any, pattern: Any, method: str) -> bool | None:
    if isinstance(value, Missing):
        value.note()
    expression = _expression(meter, pattern)
    if not isinstance(value, str):
        return None
    _searched(meter, expression, len(value))
    return getattr(expression, method)(str(value)) is not None


def regex_match(meter: Meter, value: Any, pattern: Any) -> bool | None:
    """Whether the pattern matches at the start; None for anything but text."""
    return _found(meter, value, pattern, "match")


def regex_search(meter: Meter, value: Any, pattern: Any) -> bool | None:
    """Whether the pattern matches anywhere; None for anything but text."""
    return _found(meter, value, pattern, "search")


def regex_replace(meter: Meter, value: Any, find: Any, replace: Any) -> str | None:
    r"""All matches replaced; `\1` and `\g<name>` stand for groups. None for anything but text."""
    if isinstance(value, Missing):
        value.note()
    expression = _expression(meter, find)
    if not isinstance(value, str):
        return None
    if not isinstance(replace, str):
        raise TemplateProblem("type", f"a replacement is text, not {name_of(replace)}")
    text = str(value)
    template = _replacement(meter, replace)
    _searched(meter, expression, len(text))
    pieces, position = [], 0
    for match in expression.finditer(text):
        meter.spend(STEP)
        pieces.append(text[position : match.start()])
        for part in template:
            piece = part if isinstance(part, str) else _group(match, part[0])
            meter.produce(len(piece) + 10, piece)
            pieces.append(piece)
        position = match.end()
        _searched(meter, expression, len(text) - position)
    pieces.append(text[position:])
    meter.produce(len(text), text)
    return "".join(pieces)


def _replacement(meter: Meter, template: str) -> list[str | tuple[int | str]]:
    """Literal texts and references to groups."""
    parts: list[str | tuple[int | str]] = []
    position = 0
    for found in _REFERENCE.finditer(template):
        meter.spend(STEP)
        parts.append(template[position : found.start()])
        position = found.end()
        number, name, other = found.groups()
        if other is not None:
            parts.append(_ESCAPES.get(other, found[0]))
        else:
            parts.append((int(number) if number else int(name) if name.isdecimal() else name,))
    parts.append(template[position:])
    return [part for part in parts if part != ""]


def _group(match: Any, group: int | str) -> str:
    try:
        text: str | None = match[group]
    except IndexError:
        raise TemplateProblem("other", f"the pattern has no group {group}") from None
    return text or ""
