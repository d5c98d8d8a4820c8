"""On-call schedules: who is on call now and next, the shifts of a time, and when nobody is."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from tocsin.api import ids
from tocsin.console.api.context import Document, answer, bad_request, check_query, context_of, missing
from tocsin.console.api.paging import paged
from tocsin.console.api.people import user_id
from tocsin.console.api.shapes import moment
from tocsin.dispatch.calendars import Calendars
from tocsin.flow import oncall
from tocsin.flow.model import Micros, ScheduleFragment
from tocsin.flow.oncall import Calendar
from tocsin.flow.program import Program
from tocsin.store import identities

CALENDARS = web.AppKey("tocsin_calendars", Calendars)
DAY = 86_400_000_000
SHOWN = 14 * DAY
LONGEST = 366 * DAY
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def list_schedules(request: web.Request) -> web.Response:
    check_query(request, frozenset({"name", "page", "perpage"}))
    context, name = context_of(request), request.query.get("name")
    schedules = context.live.program.targets.schedules
    calendars = await _calendars(request)
    program, now = context.live.program, context.now()
    shown = [
        _document(program, schedule, calendars, now)
        for key, schedule in sorted(schedules.items())
        if name in (None, schedule.name, key)
    ]
    return answer(paged(request, shown))


async def get_schedule(request: web.Request) -> web.Response:
    """With `shifts` and `gaps` from `start` to `end` (RFC 3339, UTC if it says nothing): two weeks from now by default."""
    check_query(request, frozenset({"start", "end"}))
    context = context_of(request)
    program, now = context.live.program, context.now()
    schedule = _found(request, program)
    start, end = _range(request, now)
    calendars = await _calendars(request)
    calendar = calendars.get(f"{schedule.namespace}/{schedule.name}")
    people = program.targets.responders
    shifts = oncall.shifts(schedule, people, calendar, start, end)
    gaps = oncall.gaps(schedule, people, calendar, start, end)
    document = _document(program, schedule, calendars, now)
    document["start"], document["end"] = moment(start), moment(end)
    document["shifts"] = [
        {"start": moment(one.start), "end": moment(one.end), **_people(one.responders)} for one in shifts
    ]
    document["gaps"] = [{"start": moment(since), "end": moment(until)} for since, until in gaps]
    if document["calendar"] is not None:
        document["calendar"]["unknown_names"] = list(oncall.strangers(schedule, people, calendar, start, end))
    return answer(document)


async def _calendars(request: web.Request) -> Calendars:
    """With what was fetched last, by whichever process fetches."""
    calendars = request.config_dict[CALENDARS]
    await calendars.refresh()
    return calendars


def _document(program: Program, schedule: ScheduleFragment, calendars: Calendars, now: Micros) -> Document:
    key = f"{schedule.namespace}/{schedule.name}"
    people, calendar = program.targets.responders, calendars.get(key)
    present = oncall.on_call(schedule, people, calendar, now)
    following = oncall.next_handover(schedule, people, calendar, now)
    return {
        "id": identities.public_id(schedule.identity),
        "name": schedule.name,
        "namespace": schedule.namespace,
        "resource": key,
        "type": "web" if schedule.calendar is None else "ical",
        "team_id": ids.derived_id(ids.TEAM, schedule.namespace, schedule.team) if schedule.team else None,
        "team": schedule.team,
        "time_zone": schedule.time_zone,
        "on_call_now": [user_id(one) for one in present.responders],
        "on_call": list(present.responders),
        "error": present.error or None,
        "next": None if following is None else {"at": moment(following.at), **_people(following.responders)},
        "calendar": None if calendar is None else _calendar(key, calendar, calendars),
    }


def _people(responders: tuple[str, ...]) -> Document:
    return {"users": [user_id(one) for one in responders], "on_call": list(responders)}


def _calendar(key: str, calendar: Calendar, calendars: Calendars) -> Document:
    fetched = calendars.state(key)
    return {
        "events": len(calendar.events),
        "problem": (calendar.problem or ("" if fetched is None else fetched.problem)) or None,
        "skipped": list(calendar.skipped),
        "checked_at": None if fetched is None else moment(fetched.checked_at),
        "read_at": None if fetched is None or not fetched.read_at else moment(fetched.read_at),
    }


def _found(request: web.Request, program: Program) -> ScheduleFragment:
    """By public id, or by namespace and name. Raises ProblemError (404)."""
    schedules, match = program.targets.schedules, request.match_info
    if "id" not in match:
        found = schedules.get(f"{match['namespace']}/{match['name']}")
    else:
        known = (one for one in schedules.values() if identities.public_id(one.identity) == match["id"])
        found = next(known, None)
    if found is None:
        raise missing("such OnCallSchedule")
    return found


def _range(request: web.Request, now: Micros) -> tuple[Micros, Micros]:
    start = _moment(request, "start", now)
    end = _moment(request, "end", Micros(start + SHOWN))
    if not start < end <= start + LONGEST:
        raise bad_request("the end has to be later than the start, by at most 366 days", field="end")
    return start, end


def _moment(request: web.Request, name: str, default: Micros) -> Micros:
    text = request.query.get(name, "")
    if not text:
        return default
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise bad_request("write a time such as 2026-07-01T00:00:00Z", field=name) from None
    found = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    if not 1970 <= found.year <= 2199:
        raise bad_request("the year has to be from 1970 to 2199", field=name)
    return Micros((found - _EPOCH) // (datetime.resolution))
