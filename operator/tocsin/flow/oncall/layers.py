"""Whose turn it is in a layer, and when an override holds: wall time of the schedule's zone as moments.

A handover is at the wall time of the layer's start: a skipped local time is the end of the gap, a repeated one its
first. Hourly rotations count elapsed time. A month without the start's day hands over on its last day.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tocsin.api.common import ObjectRef
from tocsin.api.oncallschedule import Frequency, Layer, Override, Restriction
from tocsin.flow.model import Micros
from tocsin.flow.oncall.spans import Shift, clip, within
from tocsin.flow.schedule import InvalidSchedule, normalize_start, parse_wall
from tocsin.flow.zones import UnknownTimeZone, instant_of, load_zone, wall_time

HOUR = 3_600_000_000
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DAY = timedelta(days=1)


def zone_of(name: str) -> ZoneInfo:
    """Raises InvalidSchedule (`timeZone`)."""
    try:
        return load_zone(name)
    except UnknownTimeZone:
        raise InvalidSchedule(
            "timeZone", f"unknown time zone {name!r}: write an IANA name such as Europe/Berlin"
        ) from None


def check_layer(layer: Layer) -> None:
    """Raises InvalidSchedule, whose `field` is relative to the layer, where its times cannot be read."""
    start = parse_wall("start", layer.start)
    if layer.until is not None and parse_wall("until", layer.until) <= start:
        raise InvalidSchedule("until", f"{layer.until!r} is not after start: the layer has nobody")


def check_override(override: Override, zone: ZoneInfo) -> None:
    """Raises InvalidSchedule, whose `field` is relative to the override."""
    start = moment_of("start", override.start, zone)
    if moment_of("end", override.end, zone) <= start:
        raise InvalidSchedule("end", f"{override.end!r} is not after start: the override does nothing")


def moment_of(field: str, text: str, zone: ZoneInfo) -> Micros:
    """A local time of `zone`, or one with an offset. Raises InvalidSchedule."""
    wall, name = normalize_start(text, zone.key or "UTC", recurring=False)
    return instant_of(parse_wall(field, wall), zone_of(name))


def layer_shifts(layer: Layer, zone: ZoneInfo, start: Micros, end: Micros) -> Iterator[Shift]:
    """The turns of a layer within `[start, end)`, ascending. Raises InvalidSchedule."""
    first = instant_of(parse_wall("start", layer.start), zone)
    until = end if layer.until is None else instant_of(parse_wall("until", layer.until), zone)
    since, until = max(start, first), min(end, until)
    if since >= until:
        return
    turns = clip(_turns(layer, zone, since, until), since, until)
    if layer.restrictions:
        turns = within(turns, _windows(layer.restrictions, zone, since, until))
    yield from turns


def override_shift(override: Override, zone: ZoneInfo) -> Shift:
    """Raises InvalidSchedule."""
    return Shift(
        start=moment_of("start", override.start, zone),
        end=moment_of("end", override.end, zone),
        responders=_names(override.responder_refs),
    )


def _names(refs: Iterable[ObjectRef]) -> tuple[str, ...]:
    return tuple(sorted({f"{ref.namespace}/{ref.name}" for ref in refs}))


def _turns(layer: Layer, zone: ZoneInfo, since: Micros, until: Micros) -> Iterator[Shift]:
    handovers = _Handovers(layer, zone)
    people = [_names(turn.responder_refs) for turn in layer.participants]
    index = handovers.index_at(since)
    start = handovers.moment(index)
    while start < until:
        end = handovers.moment(index + 1)
        yield Shift(start=start, end=end, responders=people[index % len(people)])
        index, start = index + 1, end


class _Handovers:
    """The n-th handover of a layer, and which was the last one before a moment, without walking there."""

    def __init__(self, layer: Layer, zone: ZoneInfo) -> None:
        self._zone = zone
        self._start = parse_wall("start", layer.start)
        self._first = instant_of(self._start, zone)
        self._frequency, self._interval = layer.rotation.frequency, layer.rotation.interval

    def moment(self, index: int) -> Micros:
        steps = index * self._interval
        match self._frequency:
            case Frequency.HOURLY:
                return Micros(self._first + steps * HOUR)
            case Frequency.DAILY:
                wall = self._start + steps * _DAY
            case Frequency.WEEKLY:
                wall = self._start + 7 * steps * _DAY
            case Frequency.MONTHLY:
                wall = _plus_months(self._start, steps)
        return instant_of(wall, self._zone)

    def index_at(self, moment: Micros) -> int:
        """The last handover at or before `moment`, which is not before the first."""
        index = self._about(moment)
        while index > 0 and self.moment(index) > moment:
            index -= 1
        while self.moment(index + 1) <= moment:
            index += 1
        return index

    def _about(self, moment: Micros) -> int:
        wall = wall_time(moment, self._zone)
        match self._frequency:
            case Frequency.HOURLY:
                steps = (moment - self._first) // HOUR
            case Frequency.DAILY:
                steps = (wall.date() - self._start.date()).days
            case Frequency.WEEKLY:
                steps = (wall.date() - self._start.date()).days // 7
            case Frequency.MONTHLY:
                steps = (wall.year - self._start.year) * 12 + wall.month - self._start.month
        return max(0, steps // self._interval)


def _plus_months(wall: datetime, months: int) -> datetime:
    year, month = divmod(wall.year * 12 + wall.month - 1 + months, 12)
    day = min(wall.day, calendar.monthrange(year, month + 1)[1])
    return wall.replace(year=year, month=month + 1, day=day)


def _windows(
    restrictions: tuple[Restriction, ...], zone: ZoneInfo, since: Micros, until: Micros
) -> list[tuple[Micros, Micros]]:
    """When any of the restrictions lets the layer have somebody: sorted, without overlap."""
    first = wall_time(since, zone).date() - 2 * _DAY
    last = wall_time(until, zone).date() + _DAY
    days = [first + _DAY * offset for offset in range((last - first).days + 1)]
    found = sorted(_window(one, day, zone) for one in restrictions for day in days if _applies(one, day))
    merged: list[tuple[Micros, Micros]] = []
    for opens, closes in found:
        if merged and opens <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], closes))
        else:
            merged.append((opens, closes))
    return merged


def _applies(restriction: Restriction, day: date) -> bool:
    return not restriction.days or WEEKDAYS[day.weekday()] in restriction.days


def _window(restriction: Restriction, day: date, zone: ZoneInfo) -> tuple[Micros, Micros]:
    opens, closes = time.fromisoformat(restriction.from_), time.fromisoformat(restriction.to)
    last_day = day if opens < closes else day + _DAY
    return (
        instant_of(datetime.combine(day, opens), zone),
        instant_of(datetime.combine(last_day, closes), zone),
    )
