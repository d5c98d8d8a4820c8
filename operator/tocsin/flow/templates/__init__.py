"""Tocsin's template engine: Jinja2 syntax, bounded work, no clock."""

from tocsin.flow.templates.comparison import Condition, comparison
from tocsin.flow.templates.lint import Remark, lint
from tocsin.flow.templates.meter import LIMIT, STEPS
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.template import Template, parse
from tocsin.flow.templates.truth import is_true
from tocsin.flow.templates.variables import Variables

__all__ = [
    "LIMIT",
    "STEPS",
    "Condition",
    "Remark",
    "Template",
    "TemplateProblem",
    "Variables",
    "comparison",
    "is_true",
    "lint",
    "parse",
]
