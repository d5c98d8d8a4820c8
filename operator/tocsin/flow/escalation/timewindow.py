"""Is it inside a window of the wall clock now, and when does the next one begin? (alert-flow R-ESC-19)

A window begins on each of its days at `from` and ends at the next `to`, so `from` later than `to` is a night that
belongs to the day on which it begins, and equal times are a whole day. A begin or end that the clock skips is the
first moment after the gap, one that it shows twice is the first of the two. The end is not inside any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta

from tocsin.api.escalationchain import TimeWindowStep, Weekday
from tocsin.flow.model import Micros
from tocsin.flow.zones import instant_of, load_zone, wall_time

_DAY = timedelta(days=1)
_AHEAD = 16
"""Days: a window of one weekday that the clock swallows whole comes again a week later."""
_WEEKDAYS = tuple(Weekday)


def inside(window: TimeWindowStep, now: Micros) -> bool:
    """Raises UnknownTimeZone."""
    return any(start <= now < end for start, end in _around(window, now, 1))


def next_start(window: TimeWindowStep, now: Micros) -> Micros:
    """The first begin later than `now`. Raises UnknownTimeZone."""
    return min(start for start, end in _around(window, now, _AHEAD) if now < start < end)


def _around(window: TimeWindowStep, now: Micros, ahead: int) -> Iterator[tuple[Micros, Micros]]:
    """Every window that may run at `now`, and those of the days to come. A zone may skip a whole day."""
    zone = load_zone(window.time_zone)
    begin, end = time.fromisoformat(window.from_), time.fromisoformat(window.to)
    today = wall_time(now, zone).date()
    for offset in range(-2, ahead + 1):
        day = today + offset * _DAY
        if _named(window, day):
            last_day = day if begin < end else day + _DAY
            yield (
                instant_of(datetime.combine(day, begin), zone),
                instant_of(datetime.combine(last_day, end), zone),
            )


def _named(window: TimeWindowStep, day: date) -> bool:
    return not window.days or _WEEKDAYS[day.weekday()] in window.days
