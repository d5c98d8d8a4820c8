"""`tocsin oncall`: who is on call now and next, and the shifts of a schedule; of a running Tocsin, or of a folder."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

from tocsin.cli.client import call, output_option, print_json, print_table, shown_time, url_option

if TYPE_CHECKING:
    from tocsin.flow.model import CalendarFragment, Micros, ResponderFragment, ScheduleFragment
    from tocsin.flow.oncall import Calendar

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Answer = dict[str, Any]
"""As `GET on_call_schedules/<id>` answers."""


@click.command("oncall")
@url_option
@output_option
@click.argument("schedule", required=False, metavar="[[NAMESPACE/]SCHEDULE]")
@click.option(
    "--folder",
    "roots",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Manifests to ask instead of a running Tocsin (repeatable).",
)
@click.option(
    "--at",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d"]),
    help="Another moment than now, in UTC.",
)
@click.option(
    "--days", type=click.IntRange(1, 366), default=14, show_default=True, help="How many days of shifts."
)
def command(
    url: str, output: str, schedule: str | None, roots: tuple[Path, ...], at: datetime | None, days: int
) -> None:
    """Show who is on call now and next; of one SCHEDULE: its shifts, and when nobody is."""
    start = datetime.now(UTC) if at is None else at.replace(tzinfo=UTC)
    times = (start, start + timedelta(days=days))
    name = schedule if not schedule or "/" in schedule else f"default/{schedule}"
    found = _offline(roots, times) if roots else _online(url, name, times)
    found = [one for one in found if not name or one["resource"] == name]
    if name and not found:
        raise click.ClickException(f"there is no OnCallSchedule {name}")
    if output == "json":
        print_json(found[0] if name else found)
    elif name:
        _show_shifts(found[0])
    else:
        head = ("SCHEDULE", "ON CALL", "UNTIL", "NEXT")
        print_table([head, *(_now(one) for one in found)])


def _online(url: str, name: str | None, times: tuple[datetime, datetime]) -> list[Answer]:
    names = [name] if name else [one["resource"] for one in _pages(url)]
    query = urlencode({"start": times[0].isoformat(), "end": times[1].isoformat()})
    return [call("GET", url, f"/api/v1/on_call_schedules/{one}?{query}") for one in names]


def _pages(url: str) -> list[Answer]:
    return list(call("GET", url, "/api/v1/on_call_schedules?perpage=1000")["results"])


def _now(one: Answer) -> tuple[str, ...]:
    """The first line of its shifts, told as of their start."""
    shifts, start = one["shifts"], one["start"]
    if not shifts or shifts[0]["start"] != start:
        following = shifts[0] if shifts else None
        until, people = (following["start"], following["on_call"]) if following else (None, [])
        return (one["resource"], f"- ({one['error'] or 'nobody'})", shown_time(until), _names(people))
    present = shifts[0]
    after = shifts[1]["on_call"] if len(shifts) > 1 and shifts[1]["start"] == present["end"] else []
    open_end = present["end"] == one["end"]
    until = "-" if open_end else shown_time(present["end"])
    return (one["resource"], _names(present["on_call"]), until, "-" if open_end else _names(after))


def _show_shifts(one: Answer) -> None:
    lines = [(shift["start"], shift["end"], _names(shift["on_call"])) for shift in one["shifts"]]
    lines += [(gap["start"], gap["end"], "- (nobody)") for gap in one["gaps"]]
    rows = [(shown_time(start), shown_time(end), people) for start, end, people in sorted(lines)]
    print_table([("FROM", "TO", "ON CALL"), *rows])
    if one["error"]:
        click.echo(one["error"], err=True)


def _names(people: list[str]) -> str:
    return ", ".join(people) or "- (nobody)"


def _offline(roots: tuple[Path, ...], times: tuple[datetime, datetime]) -> list[Answer]:
    """The same answers by the compiler, without a running Tocsin."""
    from dataclasses import replace

    from tocsin.control.folder import Folder
    from tocsin.flow.compiler import compile_flow
    from tocsin.flow.model import Micros
    from tocsin.flow.program import link
    from tocsin.sources import load_types

    types = load_types()
    contents = Folder(roots, digest=lambda _value: "", last_good={}).read()
    inventory = replace(contents.inventory, secrets_known=False)
    flow = compile_flow(inventory, types=types, now=Micros(time.time_ns() // 1000)).flow
    targets = link(flow, types=types).targets
    start, end = (Micros((one - _EPOCH) // _MICROSECOND) for one in times)
    return [
        _answer(schedule, targets.responders, start, end) for _, schedule in sorted(targets.schedules.items())
    ]


def _answer(
    schedule: ScheduleFragment, people: Mapping[str, ResponderFragment], start: Micros, end: Micros
) -> Answer:
    from tocsin.flow import oncall
    from tocsin.flow.zones import exact_time

    calendar = None if schedule.calendar is None else _calendar(schedule.calendar)
    shifts = oncall.shifts(schedule, people, calendar, start, end)
    gaps = oncall.gaps(schedule, people, calendar, start, end)
    return {
        "resource": f"{schedule.namespace}/{schedule.name}",
        "time_zone": schedule.time_zone,
        "error": oncall.on_call(schedule, people, calendar, start).error or None,
        "start": exact_time(start),
        "end": exact_time(end),
        "shifts": [
            {"start": exact_time(one.start), "end": exact_time(one.end), "on_call": list(one.responders)}
            for one in shifts
        ],
        "gaps": [{"start": exact_time(since), "end": exact_time(until)} for since, until in gaps],
    }


def _calendar(fragment: CalendarFragment) -> Calendar:
    from tocsin.flow.oncall import InvalidCalendar, parse, unreadable

    if not fragment.text:
        return unreadable("it is not fetched for a folder")
    try:
        return parse(fragment.text)
    except InvalidCalendar as problem:
        return unreadable(str(problem))
