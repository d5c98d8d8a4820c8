"""Collecting the findings of one object while its parts are looked at."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from tocsin.api.common import Finding, Severity
from tocsin.api.conditions import Reason
from tocsin.api.durations import format_duration, parse_duration
from tocsin.flow.zones import zone_names


class Findings:
    """The findings of one object so far."""

    __slots__ = ("_found",)

    def __init__(self, found: Iterable[Finding] = ()) -> None:
        self._found = list(found)

    def error(
        self, field: str, reason: str, message: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        """Part of the object has no effect."""
        self._found.append(Finding(field=field, reason=reason, message=message, line=line, column=column))

    def warn(
        self, field: str, reason: str, message: str, *, line: int | None = None, column: int | None = None
    ) -> None:
        """It works, but probably not as meant."""
        self._found.append(
            Finding(
                field=field,
                reason=reason,
                message=message,
                severity=Severity.WARNING,
                line=line,
                column=column,
            )
        )

    def add(self, findings: Iterable[Finding]) -> None:
        self._found.extend(findings)

    def done(self) -> tuple[Finding, ...]:
        return tuple(self._found)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Errors first, then by field; each once."""
    unique = set(findings)
    return tuple(
        sorted(
            unique,
            key=lambda f: (f.severity is not Severity.ERROR, f.field, f.line or 0, f.reason, f.message),
        )
    )


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean x?`, or nothing."""
    close = get_close_matches(word, sorted(known), n=1, cutoff=0.65)
    return f"; did you mean {close[0]!r}?" if close else ""


def checked_duration(text: str, field: str, bounds: tuple[int, int], findings: Findings) -> int | None:
    """Microseconds within the bounds (both included); None with a finding where it is not."""
    low, high = bounds
    try:
        micros = parse_duration(text)
    except ValueError as problem:
        findings.error(field, Reason.INVALID_VALUE, str(problem))
        return None
    if low <= micros <= high:
        return micros
    findings.error(
        field,
        Reason.INVALID_VALUE,
        f"{text!r} has to be from {format_duration(low)} to {format_duration(high)}",
    )
    return None


def checked_zone(name: str, field: str, findings: Findings, otherwise: str = "") -> str | None:
    """The name of an IANA time zone; None with a finding where it is none. `otherwise` says what happens then."""
    if name in zone_names():
        return name
    hint = did_you_mean(name, zone_names())
    message = f"unknown time zone {name!r}{otherwise}: write an IANA name such as Europe/Berlin{hint}"
    findings.error(field, Reason.INVALID_VALUE, message)
    return None
