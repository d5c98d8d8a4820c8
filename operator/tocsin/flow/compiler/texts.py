"""Checking users' templates and regular expressions without running them."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from tocsin.api.common import Matcher
from tocsin.api.conditions import Hint, Reason
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.matchers import InvalidRegex, compile_regex
from tocsin.flow.model import TemplateText
from tocsin.flow.templates import Condition, Remark, TemplateProblem, comparison, lint, parse
from tocsin.flow.templates.lint import KNOWN_NAMES

DEFAULT_DELIMITERS = TemplateText(text="").delimiters
"""The very object, so that it is left out of encoded fragments."""

_CONSTANT = re.compile(
    r"""\s*(?P<literal>true|false|True|False|[0-9]{1,9}|"[^"'\\]{0,200}"|'[^"'\\]{0,200}')\s*"""
)


class Problem(NamedTuple):
    """Why a text does not parse, and where inside it."""

    message: str
    line: int | None
    column: int | None


class Examination(NamedTuple):
    """What is known of a template from its text alone.

    `constant` is what it prints whatever the alert, if that is obvious. `condition` is what it compares as a whole.
    `remarks` are probable mistakes; that a text is constant is left to those who know what it is for.
    """

    problem: Problem | None
    constant: str | None = None
    condition: Condition | None = None
    remarks: tuple[Remark, ...] = ()


@lru_cache(maxsize=4096)
def examine(text: str, delimiters: tuple[str, str], names: frozenset[str] = KNOWN_NAMES) -> Examination:
    """Never raises. Remembers recent texts: many objects of one team share theirs. `names`: variables that it has."""
    source = TemplateText(text=text, delimiters=delimiters)
    try:
        condition = comparison(parse(source))
    except TemplateProblem as problem:
        return Examination(Problem(problem.message, problem.line, problem.column))
    if condition is not None and condition.exact and names is KNOWN_NAMES:
        # Nothing but comparisons of payload and labels with constants: there is nothing to remark.
        return Examination(None, condition=condition)
    remarks = tuple(remark for remark in lint(source, names=names) if remark.kind != "constant")
    return Examination(None, _constant(text, delimiters), condition, remarks)


def _constant(text: str, delimiters: tuple[str, str]) -> str | None:
    opening, closing = delimiters
    if opening not in text and "%" not in text and "#" not in text:
        return text
    stripped = text.strip()
    if not (stripped.startswith(opening) and stripped.endswith(closing)):
        return None
    match = _CONSTANT.fullmatch(stripped[len(opening) : -len(closing)])
    if match is None:
        return None
    literal = match["literal"]
    return literal.strip("\"'") if literal[0] in "\"'" else literal.capitalize()


def check_template(
    template: TemplateText,
    field: str,
    findings: Findings,
    *,
    said: str = "",
    names: frozenset[str] = KNOWN_NAMES,
) -> bool:
    """Whether it parses; if not, the finding has the position inside the text. A bad template always fails.

    Remarks of the kind `said` are left out: the caller says it better. `names` are the variables that it has.
    """
    examined = examine(template.text, template.delimiters, names)
    for remark in examined.remarks:
        if remark.kind == said:
            continue
        if remark.kind == "regex":
            findings.error(
                field, Reason.INVALID_REGEX, remark.message, line=remark.line, column=remark.column
            )
        else:
            findings.warn(field, Hint.TEMPLATE_NOTE, remark.message, line=remark.line, column=remark.column)
    problem = examined.problem
    if problem is None:
        return True
    findings.error(field, Reason.INVALID_TEMPLATE, problem.message, line=problem.line, column=problem.column)
    return False


def check_regex(pattern: str, field: str, findings: Findings) -> bool:
    try:
        compile_regex(pattern)
    except InvalidRegex as problem:
        findings.error(
            field,
            Reason.INVALID_REGEX,
            f"{problem}; expressions are RE2: no look-around, no back-references. It never matches",
        )
        return False
    return True


def check_matchers(matchers: tuple[Matcher, ...], field: str, findings: Findings) -> bool:
    """Whether all expressions among the matchers are valid."""
    results = [
        check_regex(matcher.value, f"{field}[{index}].value", findings)
        for index, matcher in enumerate(matchers)
        if matcher.operator in ("=~", "!~")
    ]
    return all(results)


def check_delimiters(delimiters: tuple[str, ...], findings: Findings) -> tuple[str, str]:
    """The pair as the engine takes it; a pair that cannot work is a finding, and each template then fails."""
    opening, closing = delimiters[0], delimiters[1]
    if (opening, closing) == DEFAULT_DELIMITERS:
        return DEFAULT_DELIMITERS
    if opening == closing:
        findings.error(
            "spec.delimiters",
            Reason.INVALID_VALUE,
            f"opening and closing are both {opening!r}: write two different texts such as '[[' and ']]'",
        )
    return opening, closing
