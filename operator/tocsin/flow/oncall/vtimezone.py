"""Time zones as calendars name them: IANA names, Windows names, names behind a vendor's prefix, and VTIMEZONE.

A name that is an IANA one means that zone, whatever a VTIMEZONE of the same name says: calendars carry outdated
definitions. A VTIMEZONE counts from its first observance to 2100, with yearly rules.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta, tzinfo

from tocsin.flow.oncall.lines import Component, moment, moments
from tocsin.flow.recurrence import Frequency, InvalidRecurrence, Recurrence, parse_rule
from tocsin.flow.zones import load_zone, zone_names

MAX_OBSERVANCES = 12
_MAX_TRANSITIONS = 1_000
_FIRST, _LAST = date(1970, 1, 1), date(2100, 12, 31)
_OFFSET = re.compile(r"([-+])(\d{2})(\d{2})(\d{2})?", re.ASCII)
_ZERO = timedelta(0)


class Zones:
    """The zones of one calendar, by the TZID of its lines."""

    __slots__ = ("_defined", "_known")

    def __init__(self, defined: Mapping[str, Component]) -> None:
        self._defined = defined
        self._known: dict[str, tzinfo] = {}

    def find(self, tzid: str) -> tzinfo:
        """Raises ValueError where nobody says what the name means."""
        if tzid not in self._known:
            self._known[tzid] = self._find(tzid)
        return self._known[tzid]

    def _find(self, tzid: str) -> tzinfo:
        for name in _names(tzid):
            if name in zone_names():
                return load_zone(name)
        if tzid not in self._defined:
            raise ValueError(f"time zone {tzid[:64]!r} is unknown")
        return DefinedZone(self._defined[tzid])


def _names(tzid: str) -> Iterator[str]:
    from icalendar.timezone.windows_to_olson import WINDOWS_TO_OLSON

    clean = tzid.strip("/ ")
    yield clean
    if clean in WINDOWS_TO_OLSON:
        yield WINDOWS_TO_OLSON[clean]
    parts = clean.split("/")
    if tzid.startswith("/"):
        yield from ("/".join(parts[start:]) for start in range(1, len(parts)))


class DefinedZone(tzinfo):
    """A zone as a VTIMEZONE defines it. Raises ValueError where that cannot be read."""

    def __init__(self, component: Component) -> None:
        observances = [part for part in component.parts if part.kind in ("STANDARD", "DAYLIGHT")]
        if not 0 < len(observances) <= MAX_OBSERVANCES:
            raise ValueError(f"a VTIMEZONE needs one to {MAX_OBSERVANCES} observances")
        found = sorted({change for part in observances for change in _changes(part)})
        self._utc = [at for at, _, _ in found]
        self._offsets = [offset for _, _, offset in found]
        self._before = found[0][1]

    def utcoffset(self, dt: datetime | None, /) -> timedelta:
        """PEP 495: of a repeated time `fold` chooses; in a gap `fold` 0 is the offset before it."""
        if dt is None:
            return _ZERO
        wall = dt.replace(tzinfo=None, fold=0)
        near = {self._at(wall - timedelta(days=1)), self._at(wall + timedelta(days=1)), self._at(wall)}
        fitting = sorted((wall - offset, offset) for offset in near if self._at(wall - offset) == offset)
        if fitting:
            return fitting[-1 if dt.fold else 0][1]
        return self._at(wall + timedelta(days=1) if dt.fold else wall - timedelta(days=1))

    def fromutc(self, dt: datetime, /) -> datetime:
        return dt + self._at(dt.replace(tzinfo=None, fold=0))

    def dst(self, _dt: datetime | None, /) -> timedelta | None:
        return None

    def tzname(self, _dt: datetime | None, /) -> str | None:
        return None

    def _at(self, utc: datetime) -> timedelta:
        index = bisect_right(self._utc, utc)
        return self._offsets[index - 1] if index else self._before


def _changes(part: Component) -> Iterator[tuple[datetime, timedelta, timedelta]]:
    """(moment in UTC, offset before, offset after) of each onset of an observance."""
    start, before, after = part.one("DTSTART"), _offset(part, "TZOFFSETFROM"), _offset(part, "TZOFFSETTO")
    if start is None:
        raise ValueError("an observance of a VTIMEZONE has no DTSTART")
    first = moment(start).wall
    walls = [first, *(written.wall for line in part.all("RDATE") for written in moments(line))]
    for line in part.all("RRULE"):
        walls.extend(datetime.combine(day, first.time()) for day in _onsets(line.value, first.date()))
    if len(walls) > _MAX_TRANSITIONS:
        raise ValueError("a VTIMEZONE changes too often")
    for wall in walls:
        yield max(wall, datetime(1900, 1, 1)) - before, before, after  # noqa: DTZ001 - wall time by name


def _onsets(rule: str, first: date) -> Iterator[date]:
    try:
        parsed = parse_rule(rule)
    except InvalidRecurrence as problem:
        raise ValueError(f"a rule of a VTIMEZONE is not taken: {problem}") from None
    if parsed.frequency is not Frequency.YEARLY or (parsed.by_day and not parsed.by_month):
        raise ValueError("a rule of a VTIMEZONE has to be FREQ=YEARLY with BYMONTH")
    last = _LAST if parsed.until is None else min(_LAST, parsed.until.moment.date())
    return Recurrence(parsed, first).between(_FIRST, last)


def _offset(part: Component, name: str) -> timedelta:
    line = part.one(name)
    match = None if line is None else _OFFSET.fullmatch(line.value.strip())
    if match is None:
        raise ValueError(f"{name} of a VTIMEZONE cannot be read")
    size = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0))
    if size >= timedelta(hours=24):
        raise ValueError(f"{name} of a VTIMEZONE cannot be read")
    return -size if match[1] == "-" else size
