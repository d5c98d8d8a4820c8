"""Who is on call, as statuses say it: right at the moment, and worked out no more often than needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace

from tocsin.api.common import Identity, ObjectRef
from tocsin.api.oncallschedule import Frequency, Layer, Participants, Rotation
from tocsin.control.kubernetes.duties import Duties
from tocsin.flow.compiler import Report
from tocsin.flow.model import (
    AnyFragment,
    CalendarFragment,
    Flow,
    Micros,
    ResponderFragment,
    ScheduleFragment,
    digest_of,
    encode_fragment,
    manifest_digest,
)
from tocsin.flow.status import Circumstances, Duty, status_of
from tocsin.store import calendars
from tocsin.store.calendars import Fetched
from tocsin.store.database import Store
from tocsin.store.keys import KeyRing

HOUR = 3_600_000_000
DAY = 24 * HOUR
NOON = Micros(1_782_907_200_000_000)
"""Wednesday, 2026-07-01T12:00Z."""
SCHEDULE = Identity("OnCallSchedule", "ns", "s")
ICAL = """BEGIN:VCALENDAR
BEGIN:VEVENT
UID:1
DTSTART:20260701T000000Z
DTEND:20260702T000000Z
SUMMARY:%s
END:VEVENT
END:VCALENDAR
"""


def person(name: str) -> ResponderFragment:
    return ResponderFragment(namespace="ns", name=name, display_name=name, username=name)


def turn(name: str) -> Participants:
    return Participants(responder_refs=(ObjectRef(name=name, namespace="ns"),))


DAILY = Layer(
    name="daily",
    start="2026-07-01T00:00",
    rotation=Rotation(frequency=Frequency.DAILY),
    participants=(turn("ada"), turn("eve")),
)
LAYERED = ScheduleFragment(namespace="ns", name="s", layers=(DAILY,))


def flow(*fragments: AnyFragment) -> Flow:
    by_digest = {digest_of(encode_fragment(fragment)): fragment for fragment in fragments}
    manifest = {fragment.identity: digest for digest, fragment in by_digest.items()}
    return Flow(manifest=manifest, fragments=by_digest, digest=manifest_digest(manifest))


def names(duty: Duty) -> Sequence[Sequence[str]]:
    return duty.on_call, duty.following


def test_on_call_next_and_handover() -> None:
    """The people as `namespace/name`; a status gets them as they are."""
    duties = Duties()
    assert duties.refresh(flow(LAYERED, person("ada"), person("eve")), NOON) == {SCHEDULE}
    duty = duties.of(SCHEDULE)
    assert duty == Duty(on_call=("ns/ada",), following=("ns/eve",), handover=Micros(NOON + 12 * HOUR))
    status = status_of(Report(identity=SCHEDULE), Circumstances(now=NOON, duty=duty))
    assert (status.on_call, status.next, status.next_handover) == (
        ("ns/ada",),
        ("ns/eve",),
        "2026-07-02T00:00:00Z",
    )


def test_nothing_is_said_until_a_handover() -> None:
    """Then the new people, at the moment of the handover."""
    duties, given = Duties(), flow(LAYERED, person("ada"), person("eve"))
    duties.refresh(given, NOON)
    assert duties.refresh(given, Micros(NOON + 11 * HOUR)) == set()
    assert duties.refresh(given, Micros(NOON + 12 * HOUR - 1)) == set()
    assert duties.refresh(given, Micros(NOON + 12 * HOUR)) == {SCHEDULE}
    assert names(duties.of(SCHEDULE)) == (("ns/eve",), ("ns/ada",))


def test_a_schedule_that_changes_is_worked_out_at_once_and_one_that_goes_is_forgotten() -> None:
    duties, people = Duties(), (person("ada"), person("eve"))
    duties.refresh(flow(LAYERED, *people), NOON)
    later = replace(LAYERED, layers=(replace(DAILY, participants=(turn("eve"),)),))
    assert duties.refresh(flow(later, *people), NOON) == {SCHEDULE}
    assert duties.of(SCHEDULE) == Duty(on_call=("ns/eve",))
    duties.refresh(flow(*people), NOON)
    assert duties.of(SCHEDULE) == Duty()


def test_somebody_who_leaves_is_not_on_call() -> None:
    """Whoever names the schedule as changed has it worked out anew; others learn of it within the hour."""
    duties = Duties()
    duties.refresh(flow(LAYERED, person("ada"), person("eve")), NOON)
    without = flow(LAYERED, person("eve"))
    assert duties.refresh(without, NOON) == set()
    assert duties.refresh(without, NOON, changed={SCHEDULE}) == {SCHEDULE}
    assert duties.of(SCHEDULE).on_call == ()
    assert duties.of(SCHEDULE).following == ("ns/eve",)


def test_handovers_by_the_second_are_worked_out_once_a_minute() -> None:
    """However often a plan changes, its status is not written more often."""
    duties = Duties()
    given = flow(LAYERED, person("ada"), person("eve"))
    duties.refresh(given, Micros(NOON + 12 * HOUR - 5_000_000))
    assert duties.refresh(given, Micros(NOON + 12 * HOUR)) == set()
    assert duties.refresh(given, Micros(NOON + 12 * HOUR + 55_000_000)) == {SCHEDULE}


def test_a_calendar_of_a_config_map_counts() -> None:
    calendar = CalendarFragment(text=ICAL % "Ada")
    duties = Duties()
    duties.refresh(flow(ScheduleFragment(namespace="ns", name="s", calendar=calendar), person("ada")), NOON)
    assert duties.of(SCHEDULE).on_call == ("ns/ada",)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/t.db", keys=KeyRing.from_file(tmp_path / "key"))
    yield opened
    await opened.close()


async def test_a_fetched_calendar_counts_once_it_is_in_the_store(store: Store) -> None:
    """What went wrong with the last try is told, while the last good text stays in force."""
    by_url = ScheduleFragment(
        namespace="ns", name="s", calendar=CalendarFragment(url="https://example.com/c")
    )
    duties, given = Duties(), flow(by_url, person("ada"), person("eve"))
    duties.refresh(given, NOON)
    assert await store.read(duties.fetched) == {}
    assert duties.of(SCHEDULE) == Duty()

    good = Fetched(source="u", checked_at=NOON, read_at=NOON, digest="1")
    await store.write(lambda c: calendars.put(c, "ns/s", good, ICAL % "eve"))
    assert await store.read(duties.fetched) == {}
    assert duties.refresh(given, NOON) == {SCHEDULE}
    assert duties.of(SCHEDULE).on_call == ("ns/eve",)

    failed = replace(good, problem="the host does not answer")
    await store.write(lambda c: calendars.put(c, "ns/s", failed))
    assert await store.read(duties.fetched) == {SCHEDULE: "the host does not answer"}
    duties.refresh(given, Micros(NOON + HOUR))
    assert duties.of(SCHEDULE).on_call == ("ns/eve",)


async def test_a_calendar_that_its_host_has_not_confirmed_for_a_week_counts_no_more(store: Store) -> None:
    """No dispatcher goes by it, so no status may claim that somebody is on call."""
    by_url = ScheduleFragment(
        namespace="ns", name="s", calendar=CalendarFragment(url="https://example.com/c")
    )
    old = Fetched(source="u", checked_at=NOON, read_at=Micros(NOON - 8 * DAY), digest="1", problem="gone")
    await store.write(lambda c: calendars.put(c, "ns/s", old, ICAL % "eve"))
    duties, given = Duties(), flow(by_url, person("eve"))
    duties.refresh(given, NOON)
    await store.read(duties.fetched)
    duties.refresh(given, NOON)
    assert duties.of(SCHEDULE) == Duty()


async def test_a_calendar_of_a_schedule_that_is_gone_is_nothing(store: Store) -> None:
    await store.write(
        lambda c: calendars.put(c, "ns/gone", Fetched(source="u", checked_at=NOON, problem="no"), "x")
    )
    duties = Duties()
    duties.refresh(flow(LAYERED), NOON)
    assert await store.read(duties.fetched) == {}
