"""Mistakes in templates that Jinja2 takes without a word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Literal

import msgspec
from jinja2 import nodes

from tocsin.flow.model import TemplateText
from tocsin.flow.templates.filters_data import FUNCTIONS
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.templates.regex import compiled
from tocsin.flow.templates.syntax import Positions, environment, parse_tree

KNOWN_NAMES = frozenset(
    {
        "payload",
        "labels",
        "source_link",
        "integration_name",
        "grafana_oncall_link",
        "grafana_oncall_alert_group_id",
        "grafana_oncall_incident_id",
        "web_title",
        "web_message",
        "web_image_url",
        "heartbeat",
    }
)
"""Variables that some template has."""

_SPECIAL = frozenset({"loop", "self", "caller", "varargs", "kwargs", "super"}) | FUNCTIONS.keys()
_REGEX_FILTERS = frozenset({"regex_match", "regex_search", "regex_replace"})


Kind = Literal[
    "stray-brace", "half-escaped", "constant", "no-delimiter", "prints-nothing", "unknown-name", "regex"
]


class Remark(msgspec.Struct, frozen=True, kw_only=True):
    """A probable mistake, with its 1-based position.

    `kind`: `stray-brace` (a sign of a delimiter too many), `half-escaped` (a delimiter that is printed),
    `constant` (no payload can change the result), `no-delimiter` (a constant that names the payload),
    `prints-nothing` (statements only), `unknown-name`, `regex` (RE2 does not take the pattern).
    """

    kind: Kind
    message: str
    line: int
    column: int


def lint(text: TemplateText, *, names: Iterable[str] = KNOWN_NAMES) -> tuple[Remark, ...]:
    """Remarks in order of position; none for a template that does not parse, which `parse` reports.

    `names` are the variables that this template has.
    """
    try:
        tree = parse_tree(text)
    except TemplateProblem:
        return ()
    scan = _Scan(text)
    found = [
        *scan.delimiters(),
        *_whole(tree, scan),
        *_unknown(tree, scan, frozenset(names)),
        *_patterns(tree, scan),
    ]
    return tuple(sorted(found, key=lambda remark: (remark.line, remark.column)))


class _Scan:
    """The text as the lexer sees it."""

    def __init__(self, text: TemplateText) -> None:
        self._open, self._close = text.delimiters
        self._positions = Positions(text.text)
        self.source = self._positions.text
        self._tokens: list[tuple[str, str, int]] = []
        raw = environment(text.delimiters).lexer.tokeniter(text.text, None)
        for _, kind, value in self._positions.follow(iter(raw)):
            self._tokens.append((kind, value, self._positions.position - len(value)))

    def remark(self, kind: Kind, message: str, position: int) -> Remark:
        line, column = self._positions.place(position)
        return Remark(kind=kind, message=message, line=line, column=column)

    def find(self, word: str, line: int) -> int:
        """Where a word stands in a line, else where the line begins."""
        start = sum(len(text) + 1 for text in self.source.split("\n")[: line - 1])
        found = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)").search(self.source, start)
        return found.start() if found else start

    def delimiters(self) -> Iterator[Remark]:
        """Signs of delimiters in the text between the expressions."""
        sign_open, sign_close = self._open[0], self._close[-1]
        depth, raw, after = 0, False, False
        for kind, value, position in self._tokens:
            if kind in ("raw_begin", "raw_end"):
                raw = kind == "raw_begin"
            if kind == "data" and not raw:
                yield from self._data(value, position, stray=after and depth <= 0)
                depth += value.count(sign_open) - value.count(sign_close)
            if kind == "string" and value[1:-1].strip() in (self._open, self._close):
                yield self.remark(
                    "half-escaped",
                    f"this prints {value[1:-1].strip()} itself: text that was escaped for another tool; write the "
                    "template plainly, or choose other delimiters for it",
                    position,
                )
            after = kind == "variable_end" and not value.startswith(("-", " ")) and value == self._close

    def _data(self, value: str, position: int, *, stray: bool) -> Iterator[Remark]:
        if stray and value.startswith(self._close[-1]):
            sign = self._close[-1]
            yield self.remark(
                "stray-brace",
                f"{sign!r} after {self._close} is printed with every result; remove it if it is one too many",
                position,
            )
            return
        found = value.find(self._close)
        if found >= 0:
            yield self.remark(
                "half-escaped",
                f"{self._close} closes nothing: {self._open} is missing before it",
                position + found,
            )
        half = re.search(rf"{re.escape(self._open[0])}\s*(payload|labels)\b[.\[]", value)
        if half and found < 0:
            yield self.remark(
                "half-escaped",
                f"{half[1]} is not evaluated here: write it between {self._open} and {self._close}",
                position + half.start(),
            )


def _whole(tree: nodes.Template, scan: _Scan) -> Iterator[Remark]:
    """What the template as a whole cannot do."""
    outputs = [child for output in tree.find_all(nodes.Output) for child in output.nodes]
    speaks = any(not isinstance(child, nodes.TemplateData) or child.data.strip() for child in outputs)
    statements = [node for node in tree.body if not isinstance(node, nodes.Output)]
    if statements and not speaks and not tree.find(nodes.Block):
        yield scan.remark(
            "prints-nothing", "the template sets or asks something, but never prints a result", 0
        )
        return
    if tree.find(nodes.Name) is not None or tree.find(nodes.Call) is not None:
        return
    named = re.search(r"\b(payload|labels)\s*[.\[]\s*\w", scan.source)
    if named and not statements and all(isinstance(child, nodes.TemplateData) for child in outputs):
        start, end = "{{", "}}"
        yield scan.remark(
            "no-delimiter",
            f"{named[1]} is plain text here: nothing stands between delimiters such as {start} and {end}",
            named.start(),
        )
    elif scan.source.strip():
        yield scan.remark("constant", "the result is the same for every alert", 0)


def _unknown(tree: nodes.Template, scan: _Scan, known: frozenset[str]) -> Iterator[Remark]:
    """Names that no template sets and no alert has."""
    used: dict[str, int] = {}
    set_here = {macro.name for macro in tree.find_all(nodes.Macro)}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load":
            used.setdefault(name.name, name.lineno)
        else:
            set_here.add(name.name)
    for word, line in used.items():
        if word not in known and word not in set_here and word not in _SPECIAL:
            near = get_close_matches(word, known, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            yield scan.remark(
                "unknown-name",
                f"there is no variable {word!r} here: it is always empty{hint}",
                scan.find(word, line),
            )


def _patterns(tree: nodes.Template, scan: _Scan) -> Iterator[Remark]:
    """Constant regular expressions that RE2 does not take."""
    for node in tree.find_all(nodes.Filter):
        if node.name in _REGEX_FILTERS and node.args and isinstance(node.args[0], nodes.Const):
            try:
                compiled(node.args[0].value)
            except TemplateProblem as problem:
                yield scan.remark("regex", problem.message, scan.find(node.name, node.lineno))
