"""Label matchers and regular expressions of routes and windows, prepared once, tested per alert.

Semantics are Alertmanager's: a missing label has the empty value, `=~` and `!~` are anchored at both ends. Regular
expressions run on RE2, so their time is linear in the text whatever the pattern.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

import re2

from tocsin.api.common import Matcher

REGEX_TEXT_LIMIT = 1_000_000
"""Characters of a payload's JSON text that a route's regex searches; the rest is not looked at."""

_RECENT_VALUES = 64
_LITERAL = re.compile(r"[\w\- :/@,;=<>&%#~!'\"]*", re.ASCII)
_PREFIX = re.compile(r"([\w\- :/@,;=<>&%#~!'\"]+)\.\*", re.ASCII)

Test = Callable[[str], object]
"""Takes a label's value; truthy if the matcher holds."""


class InvalidRegex(ValueError):
    """RE2 does not take this pattern; the message says why."""


@lru_cache(maxsize=4096)
def compile_regex(pattern: str) -> re2._Regexp:
    """A pattern over UTF-8 bytes (so that a text is encoded once, not per pattern). Raises InvalidRegex."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.encode("utf-8", "replace"), options=options)
    except re2.error as error:
        reason = error.args[0] if error.args else "not a valid RE2 expression"
        raise InvalidRegex(
            reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        ) from None


def alternatives(pattern: str) -> tuple[str, ...] | None:
    """The texts that an anchored pattern stands for, if it is nothing but `a|b|c`; else None."""
    parts = pattern.split("|")
    if all(_LITERAL.fullmatch(part) for part in parts):
        return tuple(parts)
    return None


def _full_match(pattern: str) -> Test:
    """Anchored test; the commonest shapes avoid the regex engine and mean the same."""
    texts = alternatives(pattern)
    if texts is not None:
        return frozenset(texts).__contains__
    prefix = _PREFIX.fullmatch(pattern)
    if prefix is not None:
        return _starts_with(prefix.group(1))
    compiled = compile_regex(pattern)

    @lru_cache(maxsize=_RECENT_VALUES)
    def matches(value: str) -> bool:
        return compiled.fullmatch(value.encode("utf-8", "replace")) is not None

    return matches


def _starts_with(prefix: str) -> Test:
    """`prefix.*`: the dot stands for everything but a newline."""
    size = len(prefix)

    def matches(value: str) -> bool:
        return value.startswith(prefix) and "\n" not in value[size:]

    return matches


def _negated(test: Test) -> Test:
    def matches(value: str) -> bool:
        return not test(value)

    return matches


def _never(_value: str) -> bool:
    return False


class LabelMatchers:
    """Matchers that must all hold. `problem` says why the set can never hold: an invalid regex fails as a whole,
    whatever its operator, so that a typing error under `!~` does not match everything.
    """

    __slots__ = ("matchers", "problem", "tests")

    def __init__(self, matchers: tuple[Matcher, ...]) -> None:
        self.matchers = matchers
        self.problem = ""
        tests: list[tuple[str, Test]] = []
        for matcher in matchers:
            try:
                tests.append((matcher.key, _prepare(matcher)))
            except InvalidRegex as error:
                self.problem = f"{matcher.key}{matcher.operator}: {error}"
                tests.append((matcher.key, _never))
        self.tests = tuple(tests)

    def hold(self, labels: Mapping[str, str]) -> bool:
        get = labels.get
        for key, test in self.tests:  # noqa: SIM110 - a generator costs more than the test
            if not test(get(key, "")):
                return False
        return True

    def each(self, labels: Mapping[str, str]) -> Iterator[tuple[Matcher, str, bool]]:
        """(matcher, the label's value, whether it holds) for every matcher, for traces."""
        for matcher, (key, test) in zip(self.matchers, self.tests, strict=True):
            value = labels.get(key, "")
            yield matcher, value, bool(test(value))


def _prepare(matcher: Matcher) -> Test:
    match matcher.operator:
        case "=":
            return cast("Test", matcher.value.__eq__)
        case "!=":
            return cast("Test", matcher.value.__ne__)
        case "=~":
            return _full_match(matcher.value)
        case _:
            return _negated(_full_match(matcher.value))


class PayloadText:
    """The JSON text of one payload, built when the first regex asks for it and never again.

    Keys in order of arrival, `, ` and `: ` between them, non-ASCII characters as they are, at most
    `REGEX_TEXT_LIMIT` characters, as UTF-8.
    """

    __slots__ = ("_payload", "_text", "too_deep")

    def __init__(self, payload: Any) -> None:
        self._payload = payload
        self._text: bytes | None = None
        self.too_deep = False

    def text(self) -> bytes:
        """Empty, with `too_deep` set, if the payload is nested too deeply to be written."""
        if self._text is None:
            try:
                self._text = json_text(self._payload, REGEX_TEXT_LIMIT).encode("utf-8", "replace")
            except RecursionError:
                self._text = b""
                self.too_deep = True
        return self._text


def json_text(payload: Any, limit: int) -> str:
    """JSON as people write it, cut to `limit` characters. The cost is bounded by the limit, not by the payload."""
    parts: list[str] = []
    size = 0
    for part in _json_parts(payload, 4):
        parts.append(part)
        size += len(part)
        if size >= limit:
            break
    return "".join(parts)[:limit]


def _json_parts(value: Any, depth: int) -> Iterator[str]:
    """Pieces of the text: containers near the top are opened, so that a huge one need not be written to its end."""
    if depth and isinstance(value, dict) and value:
        opening = "{"
        for key, child in value.items():
            yield f"{opening}{json.dumps(str(key), ensure_ascii=False)}: "
            yield from _json_parts(child, depth - 1)
            opening = ", "
        yield "}"
    elif depth and isinstance(value, list) and value:
        opening = "["
        for child in value:
            yield opening
            yield from _json_parts(child, depth - 1)
            opening = ", "
        yield "]"
    else:
        yield json.dumps(value, ensure_ascii=False, default=str)
