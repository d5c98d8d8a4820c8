"""When a maintenance window is open: pure arithmetic on a `WindowFragment` and a moment.

Local wall time in the window's zone decides when an occurrence starts, elapsed time how long it lasts. A start
that the clock skips is the first moment after the gap; one that it shows twice is the first of the two.

Occurrences of one window never overlap: one that is still running when the next one starts ends there. So the
window is open for the union of its occurrences, each of them has the start that the rule gives it, and a daily
window of 24 h is one occurrence a day, without a gap. Who acts on an end asks `occurrence_at(end)` first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tocsin.flow.model import Micros, WindowFragment
from tocsin.flow.recurrence import FIRST_YEAR, LAST_YEAR, InvalidRecurrence, Recurrence, Until, parse_rule
from tocsin.flow.zones import UnknownTimeZone, instant_of, load_zone, wall_time, zone_names

SECOND = 1_000_000
DAY = 86_400 * SECOND
HORIZON = 731 * DAY
"""How far ahead a next occurrence is looked for: two years."""
MAX_DURATION = 366 * DAY

_WALL = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:T(\d{2}):(\d{2})(?::(\d{2}))?)?", re.ASCII)
_OFFSET = re.compile(r"(.*\d)(?:Z|([-+])(\d{2}):(\d{2}))", re.ASCII)
_MARGIN = timedelta(days=2)
"""A zone may skip a whole day: an occurrence starts up to a day after the date that the rule gives it."""


class InvalidSchedule(ValueError):
    """`field` is the part at fault, relative to `spec.schedule`: `start`, `timeZone`, `exceptions[2]`."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class Occurrence(NamedTuple):
    """One time that a window is open: from `start` up to and without `end`."""

    start: Micros
    end: Micros


class Span(NamedTuple):
    """What holds from `since` up to and without `until`: one occurrence, or none.

    With an occurrence the bounds are its own. Without one, `until` is `boundary`, the next start; where there is
    none within two years, `boundary` is None and `until` the end of the search.
    """

    since: Micros
    until: Micros
    occurrence: Occurrence | None
    boundary: Micros | None


class Schedule:
    """A window's schedule, parsed. Immutable but for a memory of the last answer, which never changes an answer."""

    __slots__ = ("_duration", "_exceptions", "_last", "_recurrence", "_start", "_until", "_zone")

    def __init__(self, fragment: WindowFragment) -> None:
        """Raises InvalidSchedule."""
        self._zone = _zone(fragment.time_zone)
        self._start = parse_wall("start", fragment.start)
        self._duration = fragment.duration
        if not SECOND <= fragment.duration <= MAX_DURATION:
            raise InvalidSchedule("duration", "has to be from 1s to 366d")
        self._exceptions = _exceptions(fragment.exceptions)
        self._recurrence = _recurrence(fragment.recurrence, self._start)
        self._until: Until | None = None if self._recurrence is None else self._recurrence.rule.until
        self._last: Span | None = None

    def span_at(self, now: Micros) -> Span:
        """The span that holds `now`: ask again only when `now` leaves it."""
        last = self._last
        if last is None or not last.since <= now < last.until:
            last = self._span(now)
            self._last = last
        return last

    def occurrence_at(self, now: Micros) -> Occurrence | None:
        return self.span_at(now).occurrence

    def next_occurrence(self, after: Micros) -> Occurrence | None:
        """The first occurrence that starts later than `after`, if there is one within two years."""
        return next(self.upcoming(after), None)

    def next_boundary(self, after: Micros) -> Micros | None:
        """The first start or end later than `after`, if there is one within two years."""
        return self.span_at(after).boundary

    def upcoming(self, after: Micros) -> Iterator[Occurrence]:
        """All occurrences that start later than `after`, for two years."""
        starts = self._starts_after(after)
        start = next(starts, None)
        while start is not None:
            following = next(starts, None)
            yield self._occurrence(start, following)
            start = following

    def starts_on(self, day: date) -> bool:
        """Whether the rule names this date at all, exceptions left aside."""
        return any(self._dates(day, day))

    def nominal_start(self, day: date) -> datetime:
        """The wall time at which an occurrence of this date is to start, before any gap of the clock."""
        return datetime.combine(day, self._start.time())

    def _span(self, now: Micros) -> Span:
        start = next(self._starts_until(now), None)
        following = next(self._starts_after(now), None)
        if start is not None:
            running = self._occurrence(start, following)
            if now < running.end:
                return Span(running.start, running.end, running, running.end)
        return Span(now, Micros(now + HORIZON) if following is None else following, None, following)

    def _occurrence(self, start: Micros, following: Micros | None) -> Occurrence:
        end = start + self._duration
        return Occurrence(start, Micros(end if following is None else min(end, following)))

    def _starts_after(self, moment: Micros) -> Iterator[Micros]:
        """Starts later than `moment`, ascending, each once."""
        limit = moment + HORIZON
        first = wall_time(moment, self._zone).date()
        last = wall_time(Micros(limit), self._zone).date()
        known = moment
        for start in self._starts(self._dates(first - _MARGIN, last + _MARGIN)):
            if start > limit:
                return
            if start > known:
                known = start
                yield start

    def _starts_until(self, moment: Micros) -> Iterator[Micros]:
        """Starts at or before `moment`, descending, back to those that are over in any case."""
        oldest = moment - self._duration
        last = wall_time(moment, self._zone).date() + _MARGIN
        first = wall_time(Micros(oldest), self._zone).date() - _MARGIN
        for start in self._starts(self._dates(first, last, descending=True)):
            if start <= oldest:
                return
            if start <= moment:
                yield start

    def _dates(self, first: date, last: date, *, descending: bool = False) -> Iterator[date]:
        if self._recurrence is None:
            own = self._start.date()
            return iter((own,) if first <= own <= last else ())
        return (
            self._recurrence.backwards(last, first) if descending else self._recurrence.between(first, last)
        )

    def _starts(self, dates: Iterator[date]) -> Iterator[Micros]:
        at = self._start.time()
        for day in dates:
            wall = datetime.combine(day, at)
            if day in self._exceptions or wall in self._exceptions or self._is_late(wall):
                continue
            start = instant_of(wall, self._zone)
            if not self._is_late_utc(start):
                yield start

    def _is_late(self, wall: datetime) -> bool:
        return self._until is not None and not self._until.utc and wall > self._until.moment

    def _is_late_utc(self, start: Micros) -> bool:
        if self._until is None or not self._until.utc:
            return False
        return start > instant_of(self._until.moment, _zone("UTC"))


def parse_schedule(fragment: WindowFragment) -> Schedule:
    """Raises InvalidSchedule, which names the field."""
    return Schedule(fragment)


def occurrence_at(fragment: WindowFragment, now: Micros) -> Occurrence | None:
    """The occurrence that is running at `now`. Raises InvalidSchedule; keep a `Schedule` where this is asked often."""
    return Schedule(fragment).occurrence_at(now)


def next_occurrence(fragment: WindowFragment, after: Micros) -> Occurrence | None:
    return Schedule(fragment).next_occurrence(after)


def next_boundary(fragment: WindowFragment, after: Micros) -> Micros | None:
    return Schedule(fragment).next_boundary(after)


def upcoming(fragment: WindowFragment, after: Micros, limit: int) -> tuple[Occurrence, ...]:
    """At most `limit` occurrences that start later than `after`."""
    return tuple(islice(Schedule(fragment).upcoming(after), limit))


def parse_wall(field: str, text: str) -> datetime:
    """Wall time without offset: `2026-07-01T19:00` or with seconds, as naive datetime. Raises InvalidSchedule."""
    match = _WALL.fullmatch(text)
    if match is None or match[4] is None:
        raise InvalidSchedule(field, f"{text!r} is no local time: write 2026-07-01T19:00")
    if match[4] == "24":
        raise InvalidSchedule(field, f"{text!r}: hours run from 00 to 23; midnight is 00:00 of the next day")
    day = _parse_date(field, text, match)
    try:
        return datetime.combine(day, time(int(match[4]), int(match[5]), int(match[6] or 0)))
    except ValueError:
        raise InvalidSchedule(field, f"{text!r}: there is no such time of day") from None


def normalize_start(text: str, time_zone: str, *, recurring: bool) -> tuple[str, str]:
    """`spec.schedule.start` as (wall time without offset, zone): what a WindowFragment holds.

    A start with offset or Z is a moment, hence wall time in UTC: the zone's own clock could show it twice. It does
    not go with a recurrence, whose starts are wall time. Raises InvalidSchedule.
    """
    match = _OFFSET.fullmatch(text) if "T" in text else None
    if match is None:
        return parse_wall("start", text).isoformat(), time_zone
    if recurring:
        raise InvalidSchedule(
            "start",
            f"{text!r}: a recurring window starts at a local time: leave out the offset and set timeZone",
        )
    wall = parse_wall("start", match[1])
    offset = timedelta(hours=int(match[3] or 0), minutes=int(match[4] or 0))
    if offset >= timedelta(hours=24) or int(match[4] or 0) > 59:
        raise InvalidSchedule("start", f"{text!r}: there is no such offset")
    utc = wall + offset if match[2] == "-" else wall - offset
    return utc.isoformat(), "UTC"


def _parse_date(field: str, text: str, match: re.Match[str]) -> date:
    try:
        day = date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        raise InvalidSchedule(field, f"{text!r}: there is no such date") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise InvalidSchedule(field, f"{text!r}: the year has to be from {FIRST_YEAR} to {LAST_YEAR}")
    return day


def _exceptions(texts: tuple[str, ...]) -> frozenset[date | datetime]:
    return frozenset(parse_exception(f"exceptions[{index}]", text) for index, text in enumerate(texts))


def parse_exception(field: str, text: str) -> date | datetime:
    """A date, or a wall time. Raises InvalidSchedule."""
    match = _WALL.fullmatch(text)
    if match is None:
        raise InvalidSchedule(
            field, f"{text!r} is neither a date (2026-12-24) nor a local time (2026-12-24T19:00)"
        )
    return parse_wall(field, text) if match[4] is not None else _parse_date(field, text, match)


def _recurrence(text: str, start: datetime) -> Recurrence | None:
    if not text:
        return None
    try:
        return Recurrence(parse_rule(text), start.date())
    except InvalidRecurrence as problem:
        raise InvalidSchedule("recurrence", str(problem)) from None


def _zone(name: str) -> ZoneInfo:
    try:
        return load_zone(name)
    except UnknownTimeZone:
        raise InvalidSchedule("timeZone", _unknown_zone(name)) from None


def _unknown_zone(name: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(name, sorted(zone_names()), n=1, cutoff=0.7)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"unknown time zone {name!r}: write an IANA name such as Europe/Berlin{hint}"
