"""Parse a template once, render it for every alert."""

from __future__ import annotations

from jinja2 import ChainableUndefined, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from tocsin.flow.model import TemplateText
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.variables import Variables

LIMIT = 50_000
"""Characters of a template's source and of its result (alert-flow R-TPL-9, R-TPL-10)."""

_TRUE = frozenset({"1", "true", "ok"})


class Template:
    """A parsed template, safe to share between threads."""

    def __init__(self, source: TemplateText) -> None:
        self.source = source
        start, end = source.delimiters
        environment = ImmutableSandboxedEnvironment(
            variable_start_string=start,
            variable_end_string=end,
            block_start_string=start[0] + "%",
            block_end_string="%" + end[-1],
            comment_start_string=start[0] + "#",
            comment_end_string="#" + end[-1],
            undefined=ChainableUndefined,
        )
        try:
            self._jinja = environment.from_string(source.text)
        except TemplateSyntaxError as error:
            raise TemplateProblem("syntax", error.message or "", line=error.lineno) from None

    def render(self, variables: Variables, *, limit: int = LIMIT) -> str:
        try:
            text = self._jinja.render(payload=variables.payload, labels=variables.labels, **variables.extra)
        except Exception as error:
            raise TemplateProblem("other", f"{type(error).__name__}: {error}") from None
        return text if len(text) <= limit else text[:limit] + ".."


def parse(text: TemplateText) -> Template:
    """Raises TemplateProblem of kind `syntax` with line and column, or `limit` for more than 50,000 characters."""
    if len(text.text) > LIMIT:
        raise TemplateProblem(
            "limit", f"the template has {len(text.text)} characters; at most {LIMIT} are allowed"
        )
    return Template(text)


def is_true(text: str) -> bool:
    """Whether a condition holds: trimmed, any case, `true`, `1` or `ok` (alert-flow R-TPL-15)."""
    return text.strip().lower() in _TRUE
