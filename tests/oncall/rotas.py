"""Schedules in a few words, and their answers as text."""

from __future__ import annotations

from datetime import UTC, datetime

from tocsin.api.common import ObjectRef
from tocsin.api.escalationchain import Weekday
from tocsin.api.oncallschedule import Frequency, Layer, Override, Participants, Restriction, Rotation
from tocsin.flow import oncall
from tocsin.flow.model import CalendarFragment, Micros, ResponderFragment, ScheduleFragment
from tocsin.flow.oncall import Calendar

HOUR = 3_600_000_000
DAY = 24 * HOUR
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def at(text: str) -> Micros:
    moment = datetime.fromisoformat(text)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Micros(int((moment - _EPOCH).total_seconds()) * 1_000_000)


def text_of(moment: int) -> str:
    return datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%MZ")


def person(name: str, namespace: str = "ops", **more: object) -> tuple[str, ResponderFragment]:
    values = {"display_name": name.title(), "username": name} | more
    return f"{namespace}/{name}", ResponderFragment(namespace=namespace, name=name, **values)


PEOPLE = dict(person(name) for name in ("ann", "bob", "cat", "dan"))


def refs(names: str) -> tuple[ObjectRef, ...]:
    """`ann+bob`: two people; in namespace ops unless they have one."""
    parts = [name.rpartition("/") for name in names.split("+")]
    return tuple(ObjectRef(namespace=namespace or "ops", name=name) for namespace, _, name in parts)


def layer(people: str, start: str, frequency: str = "Weekly", interval: int = 1, **more: object) -> Layer:
    """`people`: turns separated by blanks."""
    return Layer(
        name="a",
        start=start,
        rotation=Rotation(frequency=Frequency(frequency), interval=interval),
        participants=tuple(Participants(responder_refs=refs(turn)) for turn in people.split()),
        **more,
    )


def hours(days: str = "", begin: str = "00:00", to: str = "00:00") -> Restriction:
    return Restriction(days=tuple(Weekday(day) for day in days.split()), from_=begin, to=to)


def override(people: str, start: str, end: str) -> Override:
    return Override(start=start, end=end, responder_refs=refs(people))


def schedule(
    *layers: Layer, zone: str = "UTC", overrides: tuple[Override, ...] = (), ical: bool = False
) -> ScheduleFragment:
    return ScheduleFragment(
        namespace="ops",
        name="rota",
        time_zone=zone,
        layers=layers,
        overrides=overrides,
        calendar=CalendarFragment(url="https://calendar.example/a.ics") if ical else None,
    )


def plan(
    one: ScheduleFragment, start: str, end: str, calendar: Calendar | None = None, people: dict = PEOPLE
) -> list[str]:
    """One line a shift: `2026-01-05T08:00Z 2026-01-12T08:00Z ann bob`."""
    found = oncall.shifts(one, people, calendar, at(start), at(end))
    return [
        f"{text_of(s.start)} {text_of(s.end)} {' '.join(n.removeprefix('ops/') for n in s.responders)}"
        for s in found
    ]


def now_on(one: ScheduleFragment, moment: str, calendar: Calendar | None = None) -> str:
    """The names, or the error."""
    found = oncall.on_call(one, PEOPLE, calendar, at(moment))
    return " ".join(name.removeprefix("ops/") for name in found.responders) or found.error
