"""Parse a template once, render it for every alert."""

from __future__ import annotations

from tocsin.flow.model import TemplateText
from tocsin.flow.templates.comparison import Condition, condition_of
from tocsin.flow.templates.meter import LIMIT
from tocsin.flow.templates.sandbox import Sandboxed
from tocsin.flow.templates.shortcuts import Leave
from tocsin.flow.templates.specialise import Specialised, specialise
from tocsin.flow.templates.syntax import parse_tree
from tocsin.flow.templates.variables import Variables

_NEVER = 1 << 62
"""A budget that nobody has: of templates that only the sandbox renders."""


def _unspecialised(variables: Variables) -> str:
    del variables
    raise Leave


class Template:
    """A parsed template, safe to share between threads. Made by `parse`.

    Rendering takes the specialised function where there is one, else the sandbox; both are built at the first
    rendering that needs them. The result is the same.
    """

    __slots__ = ("_needs", "_sandboxed", "_specialised", "condition", "source")

    def __init__(self, source: TemplateText) -> None:
        self.source = source
        self.condition: Condition | None = condition_of(parse_tree(source))
        self._specialised: Specialised | None = None
        self._needs = 0
        self._sandboxed: Sandboxed | None = None

    def render(self, variables: Variables, *, limit: int = LIMIT) -> str:
        """The text, cut to `limit` characters and two dots. Raises TemplateProblem and nothing else."""
        specialised = self._specialised or self._specialise()
        if self._needs <= variables.budget:
            try:
                text = specialised(variables)
            except Exception:  # noqa: BLE001, S110 - what fails here fails in the sandbox with its position
                pass
            else:
                if len(text) <= limit:
                    return text
        return self.render_sandboxed(variables, limit=limit)

    def render_sandboxed(self, variables: Variables, *, limit: int = LIMIT) -> str:
        """The same without any short cut."""
        sandboxed = self._sandboxed
        if sandboxed is None:
            sandboxed = self._sandboxed = Sandboxed(self.source)
        return sandboxed.render(variables.names(), variables.meter(limit))

    @property
    def is_specialised(self) -> bool:
        """Whether frequent payloads are rendered without the sandbox."""
        _ = self._specialised or self._specialise()
        return self._needs != _NEVER

    def _specialise(self) -> Specialised:
        function, needs = specialise(parse_tree(self.source)) or (_unspecialised, _NEVER)
        self._needs = needs
        self._specialised = function
        return function


def parse(text: TemplateText) -> Template:
    """Raises TemplateProblem of kind `syntax` with line and column, or `limit` for more than 50,000 characters."""
    return Template(text)
