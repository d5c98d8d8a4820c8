"""Whether an object may be stored, and what to tell whoever applies it.

Kept out is what could never have effect, or what is plainly invalid in the object itself. Never for what it refers to,
since git applies in any order; and never for a mistake that the stored object has already: it runs, and whoever changes
its labels is not whoever wrote its template.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tocsin.api.common import Finding, Severity
from tocsin.api.objects import KINDS, InvalidObject, parse_object
from tocsin.control.kubernetes.admission.review import Question, Ruling
from tocsin.flow.compiler import Compiled, examine
from tocsin.flow.model import Micros
from tocsin.sources.model import SourceType

_NAME_TO_COME = "x"


@dataclass(frozen=True, slots=True)
class _Said:
    errors: tuple[Finding, ...]
    warnings: tuple[Finding, ...] = ()


class Judge:
    """`among` is everything else as it was last compiled; None while that is not known. May be used in any thread."""

    def __init__(
        self,
        types: Mapping[str, SourceType],
        *,
        among: Callable[[], Compiled | None],
        now: Callable[[], Micros],
    ) -> None:
        self._types = types
        self._among = among
        self._now = now

    def rule(self, question: Question) -> Ruling:
        """Has no effect, so a dry-run gets the same answer. Never raises for anything that a user wrote."""
        if not question.changes_a_spec or question.kind.kind not in KINDS or question.object is None:
            return Ruling()
        found = self._say(question.object, question.old_object)
        old: tuple[Finding, ...] = ()
        if found.errors and question.old_object is not None:
            old = self._say(question.old_object).errors
        known = {_essence(finding) for finding in old}
        stays = tuple(finding for finding in found.errors if _essence(finding) in known)
        return Ruling(
            problems=_texts(finding for finding in found.errors if _essence(finding) not in known),
            warnings=_texts((*stays, *found.warnings)),
        )

    def _say(self, document: Mapping[str, Any], old: Mapping[str, Any] | None = None) -> _Said:
        try:
            declared = parse_object(_named(document), old=old)
        except InvalidObject as invalid:
            return _Said(invalid.findings)
        compiled = self._among()
        found = examine(
            declared, types=self._types, now=self._now(), among=None if compiled is None else compiled.state
        )
        errors = tuple(finding for finding in found.own if finding.severity is Severity.ERROR)
        hints = tuple(finding for finding in found.own if finding.severity is not Severity.ERROR)
        return _Said(errors, (*hints, *found.around))


def _named(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """With `generateName` the API server may ask before it has made up a name."""
    metadata = document.get("metadata")
    if isinstance(metadata, Mapping) and metadata.get("generateName") and not metadata.get("name"):
        return {**document, "metadata": {**metadata, "name": _NAME_TO_COME}}
    return document


def _essence(finding: Finding) -> tuple[str, str, str]:
    """What makes two findings the same mistake: places in lists and in texts move with any edit."""
    field = "".join(part.partition("]")[2] for part in f"]{finding.field}".split("["))
    return field, finding.reason, finding.message


def _texts(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(_text(finding) for finding in findings)


def _text(finding: Finding) -> str:
    """`spec.match.template, line 1, column 9: what is wrong`."""
    position = [f"{name} {at}" for name, at in (("line", finding.line), ("column", finding.column)) if at]
    place = ", ".join([finding.field, *position] if finding.field else position)
    return f"{place}: {finding.message}" if place else finding.message
