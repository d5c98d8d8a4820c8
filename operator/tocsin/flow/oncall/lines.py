"""The lines of an iCalendar text that say who is on call, grouped by component; dates, times and durations in them.

icalendar unfolds and splits the lines. Its typed values are not used: they keep time zones of one calendar for the
next one, and expand whatever a calendar asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tocsin.flow.oncall.events import Length

if TYPE_CHECKING:
    from icalendar.parser import Contentline

_NAME = re.compile(r"[-A-Za-z0-9]+")
_MOMENT = re.compile(r"(\d{4})(\d{2})(\d{2})(?:T(\d{2})(\d{2})(\d{2})(Z)?)?", re.ASCII)
_DURATION = re.compile(
    r"\+?P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,6})M)?(?:(\d{1,7})S)?)?", re.ASCII
)
_DEEPEST = 8
_KEPT = frozenset(
    {
        *("BEGIN", "END", "SUMMARY", "UID", "STATUS", "DTSTART", "DTEND", "DURATION"),
        *("RRULE", "RDATE", "EXDATE", "EXRULE", "RECURRENCE-ID", "TZID", "TZOFFSETFROM", "TZOFFSETTO"),
    }
)


class Line(NamedTuple):
    """`value` is as written: text in it is still escaped."""

    params: Mapping[str, str]
    value: str


@dataclass(slots=True)
class Component:
    """`lines` by name in upper case. `problem`: a line that cannot be read."""

    kind: str
    lines: dict[str, list[Line]] = field(default_factory=dict)
    parts: list[Component] = field(default_factory=list)
    problem: str = ""

    def one(self, name: str) -> Line | None:
        found = self.lines.get(name)
        return found[0] if found else None

    def all(self, name: str) -> list[Line]:
        return self.lines.get(name, [])


class Written(NamedTuple):
    """A date or time as written. `all_day`: only a date. `utc`: written with Z. `tzid`: the zone that it names."""

    wall: datetime
    all_day: bool = False
    utc: bool = False
    tzid: str = ""


def components(text: str) -> Iterator[Component]:
    """The components directly inside each VCALENDAR, in order. Raises ValueError where their nesting is broken."""
    open_ones: list[Component] = []
    for name, line in _kept(text):
        if name == "BEGIN":
            open_ones.append(Component(kind=line[6:].strip().upper()))
            if len(open_ones) > _DEEPEST:
                raise ValueError("components are nested too deep")
        elif name == "END":
            closed = _closed(open_ones, line)
            if len(open_ones) == 1 and open_ones[0].kind == "VCALENDAR":
                yield closed
        elif open_ones:
            _read(open_ones[-1], name, line)
    if open_ones:
        raise ValueError(f"{open_ones[-1].kind} does not end: the text is cut off")


def _kept(text: str) -> Iterator[tuple[str, Contentline]]:
    from icalendar.parser import Contentlines

    for line in Contentlines.from_ical(text):  # type: ignore[no-untyped-call]
        match = _NAME.match(line)
        if match is not None and match[0].upper() in _KEPT:
            yield match[0].upper(), line


def _closed(open_ones: list[Component], line: str) -> Component:
    if not open_ones or open_ones[-1].kind != line[4:].strip().upper():
        raise ValueError(f"{line[:60]!r} ends what did not begin")
    closed = open_ones.pop()
    if len(open_ones) > 1:
        open_ones[-1].parts.append(closed)
    return closed


def _read(component: Component, name: str, line: Contentline) -> None:
    try:
        _, params, value = line.raw_parts()
    except ValueError:
        component.problem = component.problem or f"a line {name} cannot be read"
        return
    known = {str(key).upper(): item for key, item in params.items() if isinstance(item, str)}
    component.lines.setdefault(name, []).append(Line(known, value))


def moments(line: Line) -> list[Written]:
    """The dates and times of a line, which may be a list; of periods their starts. Raises ValueError."""
    tzid = line.params.get("TZID", "")
    return [_moment(value.partition("/")[0], tzid) for value in line.value.split(",") if value.strip()]


def moment(line: Line) -> Written:
    """Raises ValueError."""
    return _moment(line.value, line.params.get("TZID", ""))


def _moment(text: str, tzid: str) -> Written:
    match = _MOMENT.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text[:40]!r} is no date or time")
    day = date(int(match[1]), int(match[2]), int(match[3]))
    if match[4] is None:
        return Written(datetime.combine(day, time.min), all_day=True)
    at = time(int(match[4]), int(match[5]), min(int(match[6]), 59))
    utc = match[7] is not None
    return Written(datetime.combine(day, at), utc=utc, tzid="" if utc else tzid)


def duration(text: str) -> Length:
    """Weeks and days of the clock, then hours, minutes and seconds that pass. Raises ValueError."""
    match = _DURATION.fullmatch(text.strip().upper())
    if match is None or not any(match.groups()):
        raise ValueError(f"{text[:40]!r} is no duration")
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    return Length(
        wall=timedelta(weeks=weeks, days=days),
        elapsed=timedelta(hours=hours, minutes=minutes, seconds=seconds),
    )
