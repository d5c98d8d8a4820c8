"""Parse a template once, render it for every alert."""

from __future__ import annotations

from tocsin.flow.model import TemplateText
from tocsin.flow.templates.meter import LIMIT
from tocsin.flow.templates.sandbox import Sandboxed
from tocsin.flow.templates.syntax import parse_tree
from tocsin.flow.templates.variables import Variables

_TRUE = frozenset({"1", "true", "ok"})


class Template:
    """A parsed template, safe to share between threads. Made by `parse`."""

    __slots__ = ("_sandboxed", "source")

    def __init__(self, source: TemplateText) -> None:
        self.source = source
        parse_tree(source)
        self._sandboxed: Sandboxed | None = None

    def render(self, variables: Variables, *, limit: int = LIMIT) -> str:
        """The text, cut to `limit` characters and two dots. Raises TemplateProblem and nothing else."""
        sandboxed = self._sandboxed
        if sandboxed is None:
            sandboxed = self._sandboxed = Sandboxed(self.source)
        return sandboxed.render(variables.names(), variables.meter(limit))


def parse(text: TemplateText) -> Template:
    """Raises TemplateProblem of kind `syntax` with line and column, or `limit` for more than 50,000 characters."""
    return Template(text)


def is_true(text: str) -> bool:
    """Whether a condition holds: trimmed, any case, `true`, `1` or `ok` (alert-flow R-TPL-15)."""
    return text.strip().lower() in _TRUE
