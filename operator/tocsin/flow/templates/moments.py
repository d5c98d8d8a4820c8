"""Times and durations: parsing and formatting without the machine's clock, zone or locale."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from tocsin.flow.templates.meter import Meter
from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.problem import TemplateProblem
from tocsin.flow.zones import UnknownTimeZone, load_zone

DEFAULT_FORMAT = "%H:%M / %d-%m-%Y"

_FORMAT_LENGTH = 1_000
_LONGEST = 100
"""Characters of the longest text that is read as a time."""
_DIRECTIVE = re.compile(r"%([-_0^#]*)(.?)", re.DOTALL)
_DIRECTIVES = frozenset("aAbBcdfHIjmMpSUwWxXyYzZGuVFTDRehnt%")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION = re.compile(r"([+-]?)([0-9]{1,9})([smhdw])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment_of(micros: int) -> datetime:
    """Raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + timedelta(microseconds=micros)


def format_moment(meter: Meter, value: date | time, template: str) -> str:
    """strftime, for the directives that mean the same everywhere; widths are refused, they could grow without end."""
    if len(template) > _FORMAT_LENGTH:
        raise TemplateProblem("limit", f"a time format has at most {_FORMAT_LENGTH} characters")
    for flags, directive in _DIRECTIVE.findall(template):
        if directive not in _DIRECTIVES or len(flags) > 1 or not directive:
            raise TemplateProblem("other", f"%{flags}{directive} is not a directive of a time format")
    meter.spend(len(template) * 30)
    return value.strftime(template)


def unix_time(value: Any) -> datetime | None:
    """Seconds since 1970 (number or text) as UTC; None for anything else. Never the server's own zone."""
    if isinstance(value, str) and len(value) > _LONGEST:
        return None
    try:
        return (
            _EPOCH + timedelta(seconds=float(value))
            if not isinstance(value, int)
            else _EPOCH + timedelta(seconds=value)
        )
    except (TypeError, ValueError, OverflowError, TemplateProblem):
        return None


def parse_iso(value: Any) -> datetime | None:
    """ISO 8601 text; aware if the text has an offset, else naive. None for anything else."""
    if not isinstance(value, str) or len(value) > _LONGEST:
        return None
    try:
        return datetime.fromisoformat(value.strip())
    except ValueError:
        return None


def parse_with(value: Any, template: Any) -> datetime | None:
    """strptime; None for what does not fit."""
    if not isinstance(value, str) or not isinstance(template, str):
        return None
    if len(value) > _FORMAT_LENGTH or len(template) > _FORMAT_LENGTH // 5:
        return None
    if "%d" in template and "%Y" not in template and "%y" not in template:
        # a day without a year: parsed in a leap year, so that 29 February is one, then as year 1900 like Python's
        value, template = f"1904 {value}", f"%Y {template}"
        parsed = parse_with(value, template)
        try:
            return None if parsed is None else parsed.replace(year=1900)
        except ValueError:
            return None
    try:
        return datetime.strptime(value, template)  # noqa: DTZ007 - naive where the format has no zone, by contract
    except (ValueError, re.error, OverflowError):
        return None


def in_zone(value: datetime, zone: str) -> datetime | None:
    """The same moment in another zone; naive values are UTC. None outside the years 1 to 9999 (BUG-080).

    An unknown zone is a problem of kind `other`.
    """
    aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    target = _zone(zone)
    try:
        return aware.astimezone(target)
    except OverflowError:
        return None


def _zone(name: Any) -> ZoneInfo:
    if isinstance(name, Missing):
        name.note()
    try:
        return load_zone(name if isinstance(name, str) else "")
    except UnknownTimeZone:
        raise TemplateProblem(
            "other", f"{str(name)[:60]!r} is no time zone; use a name such as Europe/Berlin"
        ) from None


def parse_duration(value: Any) -> timedelta | None:
    """`-5m`, `2h`, `1w`: optional sign, digits, one unit of s m h d w. None for anything else."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    try:
        span = timedelta(**{_UNITS[found[3]]: int(found[2])})
    except OverflowError:
        return None
    return -span if found[1] == "-" else span
