"""When an event of a calendar happens: single times and repetitions, as moments.

The end of an occurrence keeps its wall time, as calendars show it: a shift from 20:00 to 08:00 ends at 08:00 also on
the night on which the clocks change, so that the next one follows without a gap.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

from tocsin.flow.model import Micros
from tocsin.flow.oncall.names import Summary
from tocsin.flow.recurrence import Recurrence, Until
from tocsin.flow.zones import instant_of, micros_of, wall_time

_MARGIN = timedelta(days=2)
_MICROSECOND = timedelta(microseconds=1)

Span = tuple[Micros, Micros]


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """From start to end: `wall` on the clock, then `elapsed`."""

    wall: timedelta = timedelta(0)
    elapsed: timedelta = timedelta(0)

    @property
    def total(self) -> timedelta:
        return self.wall + self.elapsed


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`start` is wall time in `zone`; without a zone (all day, floating) in that of the schedule.

    `rules` empty: it happens once, and at `dates`. `excluded` are wall times in the same zone, or whole dates; those
    that another event replaces are among them. `fixed`: the only occurrence, where it is known.
    """

    summary: Summary
    start: datetime
    zone: tzinfo | None
    length: Length
    rules: tuple[Recurrence, ...] = ()
    dates: tuple[datetime, ...] = ()
    excluded: frozenset[datetime | date] = frozenset()
    fixed: Span | None = None

    def occurrences(self, zone: tzinfo, start: Micros, end: Micros) -> Iterator[Span]:
        """Those that overlap `[start, end)`, each start once, in no certain order. `zone` is that of the schedule."""
        if self.fixed is not None:
            if self.fixed[0] < end and self.fixed[1] > start:
                yield self.fixed
            return
        own = self.zone or zone
        for wall in set(self._walls(own, start, end)):
            if wall in self.excluded or wall.date() in self.excluded:
                continue
            span = span_of(wall, self.length, own)
            if span[0] < end and span[1] > start:
                yield span

    def _walls(self, zone: tzinfo, start: Micros, end: Micros) -> Iterator[datetime]:
        yield from self.dates
        if not self.rules:
            yield self.start
            return
        earliest = (wall_time(start, zone) - self.length.total - _MARGIN).date()
        latest = (wall_time(end, zone) + _MARGIN).date()
        at = self.start.time()
        for rule in self.rules:
            for day in rule.between(earliest, latest):
                wall = datetime.combine(day, at)
                if rule.rule.until is None or _is_in_time(wall, rule.rule.until, zone):
                    yield wall


def span_of(wall: datetime, length: Length, zone: tzinfo) -> Span:
    end = instant_of(wall + length.wall, zone) + length.elapsed // _MICROSECOND
    return instant_of(wall, zone), Micros(end)


def _is_in_time(wall: datetime, until: Until, zone: tzinfo) -> bool:
    return instant_of(wall, zone) <= micros_of(until.moment) if until.utc else wall <= until.moment
