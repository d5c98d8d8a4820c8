"""iCalendar text as a `Calendar`: who is named when. Bounded in size, events and repetitions.

One event that cannot be read is left out and named in `Calendar.skipped`; the others count. Taken of RFC 5545: VEVENT with
DTSTART, DTEND or DURATION, SUMMARY, STATUS, RRULE (as in `flow.recurrence`), RDATE, EXDATE, RECURRENCE-ID, TZID, VTIMEZONE.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import islice

from tocsin.flow.model import Micros
from tocsin.flow.oncall.events import Event, Length, span_of
from tocsin.flow.oncall.lines import Component, Written, components, duration, moment, moments
from tocsin.flow.oncall.names import Directory, read_summary
from tocsin.flow.oncall.spans import Shift, clip, cover, together
from tocsin.flow.oncall.vtimezone import Zones
from tocsin.flow.recurrence import FIRST_YEAR, LAST_YEAR, InvalidRecurrence, Recurrence, Rule, parse_rule
from tocsin.flow.zones import instant_of, wall_time

MAX_BYTES = 5 * 1024 * 1024
MAX_EVENTS = 10_000
MAX_REPEATING = 300
MAX_COUNTED = 50
"""Rules with COUNT that choose among days: each is searched from its first start."""
MAX_DATES = 5_000
MAX_OCCURRENCES = 5_000
"""Occurrences that one question looks at, over all events."""
MAX_SKIPPED = 20
_LONGEST_REPEATED = timedelta(days=366)
_TIMES = {"BYHOUR": "hour", "BYMINUTE": "minute", "BYSECOND": "second"}


class InvalidCalendar(ValueError):
    """The text is no calendar that can be read; the message says why and quotes at most a few words of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """`problem`: why there is none; such a calendar has no events. `skipped`: events left out, and why, at most 20."""

    events: tuple[Event, ...] = ()
    problem: str = ""
    skipped: tuple[str, ...] = ()

    def shifts(self, people: Directory, zone: tzinfo, start: Micros, end: Micros) -> list[Shift]:
        """Who is named within `[start, end)`. Where events run at once, all of the highest level; see `names`."""
        levels: dict[int, list[Shift]] = {}
        for event, (since, until) in self._occurrences(zone, start, end):
            named = people.people(event.summary)
            if named:
                shift = Shift(start=since, end=until, responders=named)
                levels.setdefault(event.summary.level, []).append(shift)
        found: list[Shift] = []
        for _, shifts in sorted(levels.items()):
            found = cover(found, together(clip(shifts, start, end)))
        return found

    def strangers(self, people: Directory, zone: tzinfo, start: Micros, end: Micros) -> tuple[str, ...]:
        """Names in events within `[start, end)` that are no Responder's, sorted, at most 20."""
        occurrences = self._occurrences(zone, start, end)
        found = {name for event, _ in occurrences for name in people.strangers(event.summary)}
        return tuple(sorted(found)[:MAX_SKIPPED])

    def _occurrences(
        self, zone: tzinfo, start: Micros, end: Micros
    ) -> Iterator[tuple[Event, tuple[Micros, Micros]]]:
        every = ((event, span) for event in self.events for span in event.occurrences(zone, start, end))
        return islice(every, MAX_OCCURRENCES)


def unreadable(problem: str) -> Calendar:
    """What a schedule has instead of a calendar that could not be had."""
    return Calendar(problem=problem)


def parse(text: str) -> Calendar:
    """Raises InvalidCalendar."""
    if len(text) > MAX_BYTES:
        raise InvalidCalendar(f"it has more than {MAX_BYTES // 1024 // 1024} MiB")
    if "BEGIN:VCALENDAR" not in text[:10_000].upper():
        raise InvalidCalendar("it is no iCalendar text: BEGIN:VCALENDAR is missing")
    try:
        found = list(components(text))
    except ValueError as problem:
        raise InvalidCalendar(str(problem)[:200]) from None
    events = [one for one in found if one.kind == "VEVENT"]
    if len(events) > MAX_EVENTS:
        raise InvalidCalendar(f"it has {len(events)} events; at most {MAX_EVENTS} are read")
    return _Reader(found).calendar(events)


class _Reader:
    """Reads the events of one calendar. Raises InvalidCalendar where it repeats more than is looked at."""

    def __init__(self, found: list[Component]) -> None:
        defined = {
            line.value.strip(): one
            for one in found
            if one.kind == "VTIMEZONE" and (line := one.one("TZID")) is not None
        }
        self._zones = Zones(defined)
        self._repeating = self._counted = self._dates = 0

    def calendar(self, found: list[Component]) -> Calendar:
        events: list[Event] = []
        skipped: list[str] = []
        replaced = self._replaced(found)
        for one in found:
            try:
                event = self._event(one, replaced.get(_uid(one), frozenset()))
            except (ValueError, OverflowError) as problem:
                if isinstance(problem, InvalidCalendar):
                    raise
                skipped.append(f"{_shown(one)}: {problem}"[:200])
            else:
                if event is not None:
                    events.append(event)
        return Calendar(events=tuple(events), skipped=tuple(skipped[:MAX_SKIPPED]))

    def _replaced(self, found: list[Component]) -> dict[str, frozenset[Written]]:
        """By UID: which repetitions have an event of their own, or none any more."""
        replaced: dict[str, frozenset[Written]] = {}
        for one in found:
            line = one.one("RECURRENCE-ID")
            if line is None:
                continue
            try:
                written = moment(line)
            except ValueError:
                continue
            replaced[_uid(one)] = replaced.get(_uid(one), frozenset()) | {written}
        return replaced

    def _event(self, one: Component, replaced: frozenset[Written]) -> Event | None:
        """None: it is cancelled. Raises ValueError."""
        if one.problem:
            raise ValueError(one.problem)
        status, started = one.one("STATUS"), one.one("DTSTART")
        if status is not None and status.value.strip().upper() == "CANCELLED":
            return None
        if started is None:
            raise ValueError("DTSTART is missing")
        start = moment(started)
        if not FIRST_YEAR <= start.wall.year <= LAST_YEAR:
            raise ValueError(f"the year has to be from {FIRST_YEAR} to {LAST_YEAR}")
        zone = self._zone(start)
        event = Event(
            summary=read_summary(_text(one)),
            start=start.wall,
            zone=zone,
            length=self._length(one, start, zone),
        )
        if one.one("RECURRENCE-ID") is not None:
            return _fixed(event)
        return _fixed(self._repeated(event, one, replaced))

    def _repeated(self, event: Event, one: Component, replaced: frozenset[Written]) -> Event:
        if one.one("EXRULE") is not None:
            raise ValueError("EXRULE is not taken: use EXDATE")
        rules = tuple(self._rule(line.value, event.start) for line in one.all("RRULE"))
        dates = [written for line in one.all("RDATE") for written in moments(line)]
        excluded = [written for line in one.all("EXDATE") for written in moments(line)]
        if not (rules or dates or excluded or replaced):
            return event
        self._count(len(dates) + len(excluded))
        if event.length.total > _LONGEST_REPEATED:
            raise ValueError("it repeats and is longer than 366 days")
        own = (event.start,) if dates and not rules else ()
        return replace(
            event,
            rules=rules,
            dates=(*own, *(self._within(event, written) for written in dates)),
            excluded=frozenset(self._left_out(event, written) for written in (*excluded, *replaced)),
        )

    def _rule(self, text: str, start: datetime) -> Recurrence:
        try:
            rule = parse_rule(_without_times(text, start))
        except InvalidRecurrence as problem:
            raise ValueError(f"its RRULE is not taken: {problem}") from None
        self._weigh(rule)
        return Recurrence(rule, start.date())

    def _weigh(self, rule: Rule) -> None:
        self._repeating += 1
        self._count(rule.count or 0)
        chooses = rule.by_month or rule.by_month_day or rule.by_year_day or rule.by_week_no or rule.by_set_pos
        self._counted += bool(rule.count is not None and chooses)
        if self._repeating > MAX_REPEATING:
            raise InvalidCalendar(f"it has more than {MAX_REPEATING} events that repeat")
        if self._counted > MAX_COUNTED:
            raise InvalidCalendar(f"it has more than {MAX_COUNTED} rules with COUNT that choose among days")

    def _count(self, dates: int) -> None:
        self._dates += dates
        if self._dates > 20 * MAX_DATES:
            raise InvalidCalendar("its events repeat too often: end them with UNTIL instead of COUNT")

    def _zone(self, written: Written) -> tzinfo | None:
        """None: the zone of the schedule."""
        if written.utc:
            return UTC
        return self._zones.find(written.tzid) if written.tzid and not written.all_day else None

    def _length(self, one: Component, start: Written, zone: tzinfo | None) -> Length:
        ends, lasts = one.one("DTEND"), one.one("DURATION")
        if ends is not None:
            length = self._until(moment(ends), start, zone)
        elif lasts is not None:
            length = duration(lasts.value)
        else:
            length = Length(wall=timedelta(days=1 if start.all_day else 0))
        if length.total < timedelta(0):
            raise ValueError("it ends before it starts")
        return length

    def _until(self, end: Written, start: Written, zone: tzinfo | None) -> Length:
        own = self._zone(end)
        if own is zone or (start.all_day and end.all_day):
            return Length(wall=end.wall - start.wall)
        if own is None or zone is None:
            raise ValueError("DTSTART and DTEND are not of one sort: one of them has no time zone")
        elapsed = instant_of(end.wall, own) - instant_of(start.wall, zone)
        return Length(elapsed=timedelta(microseconds=elapsed))

    def _within(self, event: Event, written: Written) -> datetime:
        """The same moment on the clock of the event. A date alone is the event's time on it."""
        if written.all_day:
            return datetime.combine(written.wall.date(), event.start.time())
        zone = self._zone(written)
        if zone is event.zone or zone is None or event.zone is None:
            return written.wall
        return wall_time(instant_of(written.wall, zone), event.zone)

    def _left_out(self, event: Event, written: Written) -> datetime | date:
        return written.wall.date() if written.all_day else self._within(event, written)


def _fixed(event: Event) -> Event:
    """An event that happens once, in a known zone, with its moments: most are."""
    if event.zone is None or event.rules or event.dates or event.excluded:
        return event
    return replace(event, fixed=span_of(event.start, event.length, event.zone))


def _without_times(rule: str, start: datetime) -> str:
    """Without BYHOUR, BYMINUTE and BYSECOND where they only repeat the time of DTSTART."""

    def says_something(part: str) -> bool:
        name, _, value = part.strip().upper().partition("=")
        return name not in _TIMES or value.lstrip("0") != str(getattr(start, _TIMES[name])).lstrip("0")

    return ";".join(part for part in rule.split(";") if says_something(part))


def _uid(one: Component) -> str:
    line = one.one("UID")
    return "" if line is None else line.value


def _text(one: Component) -> str:
    line = one.one("SUMMARY")
    if line is None:
        return ""
    return re.sub(r"\\([nN,;\\])", lambda found: "\n" if found[1] in "nN" else found[1], line.value)


def _shown(one: Component) -> str:
    return f"event {_text(one)[:60]!r}"
