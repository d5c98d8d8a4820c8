"""A schedule's answer: who is on call at a moment, who next, in which shifts, and when nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tocsin.flow.model import Micros, ResponderFragment, ScheduleFragment
from tocsin.flow.oncall.ical import Calendar
from tocsin.flow.oncall.layers import layer_shifts, override_shift, zone_of
from tocsin.flow.oncall.names import Directory
from tocsin.flow.oncall.spans import Shift, between, clip, cover, joined
from tocsin.flow.schedule import InvalidSchedule

NOBODY = "nobody is on call"
NO_SCHEDULE = "there is no such schedule"
DAY = 86_400_000_000
_LOOKED_AHEAD = (2 * DAY, 15 * DAY, 400 * DAY)
"""How far a next handover is looked for, the nearest first: a change is mostly near, and far looks cost more."""

People = Mapping[str, ResponderFragment]


class OnCall(msgspec.Struct, frozen=True, kw_only=True):
    """`responders`: `namespace/name`, sorted, unique. Without any, `error` says why."""

    responders: tuple[str, ...] = ()
    error: str = ""


class Handover(msgspec.Struct, frozen=True, kw_only=True):
    """From `at` on these people are on call; none of them: nobody."""

    at: Micros
    responders: tuple[str, ...]


def on_call(
    schedule: ScheduleFragment | None, responders: People, calendar: Calendar | None, now: Micros
) -> OnCall:
    """`schedule` None: it is not declared (or suspended, or refused). `calendar`: that of the schedule, if it has one."""
    if schedule is None:
        return OnCall(error=NO_SCHEDULE)
    found = shifts(schedule, responders, calendar, now, Micros(now + 1))
    if found:
        return OnCall(responders=found[0].responders)
    return OnCall(error=_why_nobody(schedule, responders, calendar, now))


def next_handover(
    schedule: ScheduleFragment, responders: People, calendar: Calendar | None, now: Micros
) -> Handover | None:
    """The first moment after `now` at which other people are on call, if there is one within 400 days."""
    for ahead in _LOOKED_AHEAD:
        end = Micros(now + ahead)
        found = shifts(schedule, responders, calendar, now, end)
        if not found or found[0].start > now:
            if found:
                return Handover(at=found[0].start, responders=found[0].responders)
            continue
        if found[0].end < end:
            follows = found[1] if len(found) > 1 and found[1].start == found[0].end else None
            return Handover(at=found[0].end, responders=follows.responders if follows else ())
    return None


def shifts(
    schedule: ScheduleFragment, responders: People, calendar: Calendar | None, start: Micros, end: Micros
) -> tuple[Shift, ...]:
    """Who is on call within `[start, end)`: ascending, without overlap, cut at its bounds, each as long as nothing
    changes. Times between them have nobody. What cannot be read of the schedule is left out.
    """
    try:
        zone = zone_of(schedule.time_zone)
    except InvalidSchedule:
        return ()
    found: list[Shift] = []
    if calendar is not None:
        found = calendar.shifts(Directory(schedule, responders), zone, start, end)
    for layer in schedule.layers:
        try:
            top = _present(layer_shifts(layer, zone, start, end), responders)
        except InvalidSchedule:
            continue
        found = cover(found, top) if top else found
    for override in schedule.overrides:
        try:
            shift = override_shift(override, zone)
        except InvalidSchedule:
            continue
        top = _present(clip((shift,), start, end), responders)
        found = cover(found, top) if top else found
    return joined(found)


def gaps(
    schedule: ScheduleFragment, responders: People, calendar: Calendar | None, start: Micros, end: Micros
) -> tuple[tuple[Micros, Micros], ...]:
    """When nobody is on call within `[start, end)`, ascending."""
    found = between(shifts(schedule, responders, calendar, start, end))
    clipped = ((max(since, start), min(until, end)) for since, until in found)
    return tuple((Micros(since), Micros(until)) for since, until in clipped if since < until)


def _present(found: Iterable[Shift], responders: People) -> list[Shift]:
    known = (
        Shift(
            start=shift.start,
            end=shift.end,
            responders=tuple(name for name in shift.responders if name in responders),
        )
        for shift in found
    )
    return [shift for shift in known if shift.responders]


def strangers(
    schedule: ScheduleFragment, responders: People, calendar: Calendar | None, start: Micros, end: Micros
) -> tuple[str, ...]:
    """Names in the calendar within `[start, end)` that are no Responder's, sorted, in lower case."""
    if calendar is None:
        return ()
    try:
        zone = zone_of(schedule.time_zone)
    except InvalidSchedule:
        return ()
    return calendar.strangers(Directory(schedule, responders), zone, start, end)


def _why_nobody(
    schedule: ScheduleFragment, responders: People, calendar: Calendar | None, now: Micros
) -> str:
    if schedule.calendar is None:
        return NOBODY
    problem = "it has not been read yet" if calendar is None else calendar.problem
    if problem:
        return f"the calendar cannot be read: {problem}"
    unknown = strangers(schedule, responders, calendar, now, Micros(now + 1))
    if unknown:
        return f"{NOBODY}: the calendar names {', '.join(unknown)}, who is no Responder here"[:300]
    return NOBODY
