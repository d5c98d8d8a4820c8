"""Templates as linked: parsed once, with the place they fill; and what is checked on every rendered text."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from weakref import WeakValueDictionary

from tocsin.flow.decision import TemplateError
from tocsin.flow.model import TemplateText
from tocsin.flow.templates import Template, TemplateProblem, Variables, parse

REPLACEMENT = "\ufffd"
"""Stands for characters that no database or terminal takes: NUL and lone surrogates."""

_ADDRESS = re.compile(r"<[^<>\n]{1,200} at 0x[0-9a-fA-F]{6,16}>")
_MOST_VALUES = 100_000


Render = Callable[[Variables], str]


class _Parsed:
    """A parsed text, shared by all places that hold the same one. Lives as long as one of them does."""

    __slots__ = ("__weakref__", "render", "template")

    def __init__(self, source: TemplateText) -> None:
        self.template: Template | None = None
        try:
            self.template = parse(source)
        except TemplateProblem as problem:
            self.render = _always_fails(problem)
        else:
            self.render = self.template.render


_parsed: WeakValueDictionary[tuple[str, tuple[str, str]], _Parsed] = WeakValueDictionary()


class Prepared:
    """One template in its place. `render` raises TemplateProblem and nothing else; a broken text raises always."""

    __slots__ = ("_parsed", "render", "source")

    def __init__(self, source: TemplateText) -> None:
        """Never raises: a template that does not parse counts as one that always fails (DESIGN section 4)."""
        key = (source.text, source.delimiters)
        parsed = _parsed.get(key)
        if parsed is None:
            parsed = _parsed[key] = _Parsed(source)
        self._parsed = parsed
        self.source = source
        self.render: Render = parsed.render

    @property
    def template(self) -> Template | None:
        """None if the text does not parse."""
        return self._parsed.template


def _always_fails(problem: TemplateProblem) -> Render:
    kind, message, line, column = problem.kind, problem.message, problem.line, problem.column

    def render(_variables: Variables) -> str:
        raise TemplateProblem(kind, message, line=line, column=column)

    return render


def render_text(template: Prepared, variables: Variables) -> str:
    """Render and check: text that can be stored, and no memory address in place of a value.

    `{{ payload.get }}` prints a method with the address it has in this process: as grouping id it would differ
    after every restart. Raises TemplateProblem.
    """
    text = template.render(variables)
    if text.isalnum():
        return text
    if " at 0x" in text:
        _refuse_address(text, variables.payload)
    return text if text.isascii() and "\0" not in text else clean(text)


def clean(text: str) -> str:
    """The text without NUL and lone surrogates."""
    if "\0" in text:
        text = text.replace("\0", REPLACEMENT)
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def failure_of(slot: str, problem: TemplateProblem) -> TemplateError:
    return TemplateError(slot=slot, kind=problem.kind, message=clean(problem.message), line=problem.line)


def _refuse_address(text: str, payload: Any) -> None:
    """A payload may well report a crash `<...> at 0x7f...`: what stands in it literally is no address of ours."""
    for found in _ADDRESS.finditer(text):
        if not _occurs(found.group(), payload):
            raise TemplateProblem(
                "type", "the result is a method or object, not a value: use payload[...] or call the method"
            )


def _occurs(fragment: str, payload: Any) -> bool:
    pending = [payload]
    for _ in range(_MOST_VALUES):
        if not pending:
            return False
        value = pending.pop()
        if isinstance(value, str):
            if fragment in value:
                return True
        elif isinstance(value, dict):
            pending.extend(value)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return False
