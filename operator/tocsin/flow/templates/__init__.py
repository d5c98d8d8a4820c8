"""Tocsin's template engine: Jinja2 syntax, bounded work, no clock."""

from tocsin.flow.templates.comparison import Condition, comparison
from tocsin.flow.templates.meter import LIMIT, STEPS
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.template import Template, is_true, parse
from tocsin.flow.templates.variables import Variables

__all__ = [
    "LIMIT",
    "STEPS",
    "Condition",
    "Template",
    "TemplateProblem",
    "Variables",
    "comparison",
    "is_true",
    "parse",
]
