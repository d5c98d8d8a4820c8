"""Masking of what `spec.redact` names: in the stored payload, and wherever a masked value would be printed.

One grammar of paths, checked by `parse_path`:

    payload.user.password        a leading `payload` or `$` stands for the payload and may be left out
    commonLabels.token
    alerts[*].labels.secret      every element of a list (or every value of an object); `*` after a dot means the same
    alerts[0].labels.secret      one element
    headers["x-api.key"]         a key with dots, brackets or spaces, in double or single quotes
    $.payload.x                  a top-level key that is itself called payload
    **.password                  at any depth; `**` may stand first only

A path that leads to an object or a list masks the whole of it. Masking works on values, too: a text of four or more
characters that was masked in the payload is also masked inside labels, grouping text, error messages and traces.
What a template makes of a value (its hash, its upper case, a part of it) cannot be recognised and stays readable.
"""

from __future__ import annotations

import html
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from markupsafe import escape

REDACTED = "[redacted]"
"""What people read in place of a masked value."""

_SHORTEST = 4
_MOST_TEXTS = 100_000
_CUT_FROM = 120
_KEY = re.compile(r"[^.\[\]\"'*\s]+")
_BRACKET = re.compile(r"""\[(?:(?P<all>\*)|(?P<index>\d{1,9})|"(?P<double>[^"]*)"|'(?P<single>[^']*)')\]""")

EVERY = "*"
ANYWHERE = "**"


class Key(str):
    """A literal key, told apart from the wildcards of the grammar by its type."""

    __slots__ = ()


Step = Key | int | str
Path = tuple[Step, ...]


class InvalidPath(ValueError):
    """Not a path of the grammar above; the message says where it goes wrong."""


def parse_path(text: str) -> Path:
    """Raises InvalidPath. The result never holds the leading `payload` or `$`."""
    steps: list[Step] = []
    position = 0
    while position < len(text):
        if text[position] == "[":
            step, position = _bracket(text, position)
        else:
            if steps:
                position = _after_dot(text, position)
            step, position = _name(text, position, first=not steps or _is_root(steps))
        steps.append(step)
    if _is_root(steps[:1]):
        del steps[0]
    if not steps or (len(steps) == 1 and _is(steps[0], ANYWHERE)):
        raise InvalidPath(
            f"{text!r} names no field of the payload: write a path such as payload.user.password"
        )
    if any(_is(step, ANYWHERE) for step in steps[1:]):
        raise InvalidPath(f"{text!r}: ** may only stand first")
    return tuple(steps)


def _is_root(steps: list[Step]) -> bool:
    return len(steps) == 1 and isinstance(steps[0], Key) and steps[0] in ("$", "payload")


def _after_dot(text: str, position: int) -> int:
    if text[position] != ".":
        raise InvalidPath(f"{text!r}: expected a dot or [ at character {position + 1}")
    return position + 1


def _bracket(text: str, position: int) -> tuple[Step, int]:
    match = _BRACKET.match(text, position)
    if match is None:
        raise InvalidPath(f'{text!r}: expected [*], [0] or ["key"] at character {position + 1}')
    if match["all"]:
        return EVERY, match.end()
    if match["index"]:
        return int(match["index"]), match.end()
    return Key(match["double"] if match["double"] is not None else match["single"]), match.end()


def _name(text: str, position: int, *, first: bool) -> tuple[Step, int]:
    if text.startswith(ANYWHERE, position):
        if not first:
            raise InvalidPath(f"{text!r}: ** may only stand first")
        return ANYWHERE, position + 2
    if text.startswith(EVERY, position):
        return EVERY, position + 1
    match = _KEY.match(text, position)
    if match is None:
        raise InvalidPath(f"{text!r}: expected a key at character {position + 1}")
    return Key(match.group()), match.end()


class Redactor:
    """The paths of one integration. `problems` names those that are not paths.

    A path that cannot be read cannot be honoured, so then the whole payload is masked: nothing that the author meant
    to hide is ever stored.
    """

    __slots__ = ("_paths", "problems")

    def __init__(self, paths: tuple[str, ...]) -> None:
        parsed: list[Path] = []
        problems: list[str] = []
        for text in paths:
            try:
                parsed.append(parse_path(text))
            except InvalidPath as problem:
                problems.append(str(problem))
        self.problems = tuple(problems)
        self._paths: tuple[Path, ...] = ((EVERY,),) if problems else tuple(parsed)

    def __bool__(self) -> bool:
        return bool(self._paths)

    def redact(self, payload: Any) -> Any:
        """A payload with the named values replaced; shares with the original whatever is not on a path."""
        try:
            for path in self._paths:
                payload = _masked(payload, path)
        except RecursionError:
            return _masked(payload, (EVERY,))
        return payload

    def mask(self, payload: Any) -> Mask:
        """What hides this payload's secret values inside other texts."""
        found: dict[str, None] = {}
        for path in self._paths:
            for value in _values(payload, path):
                for text in _texts(value):
                    found[text] = None
            if len(found) > _MOST_TEXTS:
                return Mask((), everything=True)
        return Mask(found)


def _is(step: Step, wildcard: str) -> bool:
    return step == wildcard and not isinstance(step, Key)


def _masked(value: Any, path: Path) -> Any:
    if not path:
        return REDACTED
    step, rest = path[0], path[1:]
    if _is(step, ANYWHERE):
        return _masked_anywhere(value, rest)
    if isinstance(value, dict):
        if isinstance(step, Key):
            return {**value, step: _masked(value[step], rest)} if step in value else value
        return value if isinstance(step, int) else {key: _masked(child, rest) for key, child in value.items()}
    if isinstance(value, list):
        if isinstance(step, int):
            return [_masked(child, rest) if i == step else child for i, child in enumerate(value)]
        return value if isinstance(step, Key) else [_masked(child, rest) for child in value]
    return value


def _masked_anywhere(value: Any, path: Path) -> Any:
    if isinstance(value, dict):
        value = {key: _masked_anywhere(child, path) for key, child in value.items()}
    elif isinstance(value, list):
        value = [_masked_anywhere(child, path) for child in value]
    return _masked(value, path)


def _values(value: Any, path: Path) -> Iterator[Any]:
    """The values that `_masked` would replace; of two inside each other the outer one."""
    pending = [(value, path)]
    masked: set[int] = set()
    while pending:
        value, path = pending.pop()
        if not path:
            masked.add(id(value))
            yield value
            continue
        step, rest = path[0], path[1:]
        if _is(step, ANYWHERE):
            if id(value) not in masked:
                pending.extend((child, path) for child in _children(value))
                pending.append((value, rest))
        elif isinstance(step, Key):
            if isinstance(value, dict) and step in value:
                pending.append((value[step], rest))
        elif isinstance(step, int):
            if isinstance(value, list) and step < len(value):
                pending.append((value[step], rest))
        else:
            pending.extend((child, rest) for child in _children(value))


def _children(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _texts(value: Any) -> Iterator[str]:
    """Every spelling under which the leaves of a masked value may turn up in rendered text."""
    pending = [value]
    while pending:
        leaf = pending.pop()
        if isinstance(leaf, str):
            if len(leaf) >= _SHORTEST:
                yield from _spellings(leaf)
        elif isinstance(leaf, dict | list):
            pending.extend(_children(leaf))
        elif isinstance(leaf, int | float) and not isinstance(leaf, bool) and len(str(leaf)) >= _SHORTEST:
            yield str(leaf)


def _spellings(value: str) -> Iterator[str]:
    """As it is, trimmed, and as JSON, Python, HTML and Jinja's tojson write it."""
    yield value
    yield value.strip()
    if value.isalnum() and value.isascii():
        return
    escaped = json.dumps(value)[1:-1]
    yield escaped
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield html.escape(value)
    yield str(escape(value))
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("'", "\\u0027")):
        escaped = escaped.replace(character, code)
    yield escaped


class Mask:
    """Hides the secret values of one payload inside texts."""

    __slots__ = ("_everything", "_sorted", "_texts")

    def __init__(self, texts: Iterable[str], *, everything: bool = False) -> None:
        self._texts = sorted((text for text in texts if len(text) >= _SHORTEST), key=len, reverse=True)
        self._everything = everything
        self._sorted: list[str] = []

    def __bool__(self) -> bool:
        return self._everything or bool(self._texts)

    def text(self, text: str) -> str:
        if self._everything:
            return REDACTED if text else text
        for secret in self._texts:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return text

    def message(self, text: str) -> str:
        """As `text`, for messages that were cut to a length already: the cut may have gone through a secret."""
        text = self.text(text)
        if len(text) < _CUT_FROM or not self._texts:
            return text
        bare = text.rstrip(".\u2026 '\"")
        if not self._sorted:
            self._sorted = sorted(self._texts)
        for size in range(min(len(bare), _CUT_FROM), _SHORTEST - 1, -1):
            tail = bare[-size:]
            at = bisect_left(self._sorted, tail)
            if at < len(self._sorted) and self._sorted[at].startswith(tail):
                return bare[:-size] + REDACTED
        return text

    def hides(self, text: str) -> bool:
        return self._everything or any(secret in text for secret in self._texts)

    def labels(self, labels: Mapping[str, str]) -> dict[str, str]:
        """The labels with masked values; a label whose key holds a secret is left out."""
        return {key: self.text(value) for key, value in labels.items() if not self.hides(key)}


NO_MASK = Mask(())
