"""Random schedules against a plain second opinion, and against themselves."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st
from rotas import DAY, HOUR, PEOPLE, at, hours, layer, override, schedule

from tocsin.api.oncallschedule import Layer
from tocsin.flow import oncall
from tocsin.flow.model import Micros, ScheduleFragment
from tocsin.flow.oncall import parse

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
START = at("2026-03-01")

walls = st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2026-11-30")).map(
    lambda d: d.replace(minute=d.minute // 30 * 30, second=0, microsecond=0).isoformat()[:16]
)
turns = st.lists(st.sampled_from(["ann", "bob", "cat+dan", "gone"]), min_size=1, max_size=4).map(" ".join)
clock = st.sampled_from(["00:00", "02:30", "09:00", "17:30"])
restrictions = st.lists(
    st.builds(hours, st.lists(st.sampled_from(DAYS), max_size=3, unique=True).map(" ".join), clock, clock),
    max_size=2,
).map(tuple)
layers = st.builds(
    layer,
    turns,
    walls,
    st.sampled_from(["Hourly", "Daily", "Weekly", "Monthly"]),
    st.integers(1, 9),
    until=st.none() | walls,
    restrictions=restrictions,
)
overrides = st.lists(st.builds(override, turns.map(lambda t: t.split()[0]), walls, walls), max_size=3)
schedules = st.builds(
    lambda several, zone, over: schedule(*several, zone=zone, overrides=tuple(over)),
    st.lists(layers, max_size=3),
    st.sampled_from(ZONES),
    overrides,
)
moments = st.integers(0, 9 * 30 * 48).map(lambda half_hours: Micros(START + half_hours * HOUR // 2))


def wall_at(moment: Micros, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(moment // 1_000_000, UTC).astimezone(zone)


def utc_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Minute by minute: the first moment at which the clock of the zone shows `wall` or later than a gap around it."""
    local = wall.replace(tzinfo=zone)
    if local.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall:
        return local.astimezone(UTC)
    moment = (wall - timedelta(hours=3)).replace(tzinfo=zone).astimezone(UTC)
    while moment.astimezone(zone).replace(tzinfo=None) < wall:
        moment += timedelta(minutes=1)
    return moment


def plainly_on(one: Layer, zone: ZoneInfo, moment: Micros) -> tuple[str, ...]:
    """Walks from the first handover, turn by turn."""
    now = datetime.fromtimestamp(moment // 1_000_000, UTC)
    start = datetime.fromisoformat(one.start)
    if now < utc_of(start, zone) or (
        one.until is not None and now >= utc_of(datetime.fromisoformat(one.until), zone)
    ):
        return ()
    index = 0
    while handover(one, start, zone, index + 1) <= now:
        index += 1
    if one.restrictions and not any(is_open(r, now, zone) for r in one.restrictions):
        return ()
    people = one.participants[index % len(one.participants)].responder_refs
    return tuple(sorted(f"ops/{ref.name}" for ref in people if f"ops/{ref.name}" in PEOPLE))


def handover(one: Layer, start: datetime, zone: ZoneInfo, index: int) -> datetime:
    steps = index * one.rotation.interval
    match one.rotation.frequency.value:
        case "Hourly":
            return utc_of(start, zone) + timedelta(hours=steps)
        case "Daily":
            return utc_of(start + timedelta(days=steps), zone)
        case "Weekly":
            return utc_of(start + timedelta(weeks=steps), zone)
    month = start.month - 1 + steps
    for day in (start.day, 30, 29, 28):
        try:
            moved = start.replace(year=start.year + month // 12, month=month % 12 + 1, day=day)
        except ValueError:
            continue
        return utc_of(moved, zone)
    raise AssertionError


def is_open(one, now: datetime, zone: ZoneInfo) -> bool:
    opens, closes = time.fromisoformat(one.from_), time.fromisoformat(one.to)
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        if one.days and DAYS[day.weekday()] not in one.days:
            continue
        last = day if opens < closes else day + timedelta(days=1)
        if utc_of(datetime.combine(day, opens), zone) <= now < utc_of(datetime.combine(last, closes), zone):
            return True
    return False


def plainly(one: ScheduleFragment, moment: Micros) -> tuple[str, ...]:
    zone = ZoneInfo(one.time_zone)
    now = datetime.fromtimestamp(moment // 1_000_000, UTC)
    for over in reversed(one.overrides):
        first, last = (datetime.fromisoformat(text) for text in (over.start, over.end))
        people = sorted(f"ops/{ref.name}" for ref in over.responder_refs if f"ops/{ref.name}" in PEOPLE)
        if people and utc_of(first, zone) <= now < utc_of(last, zone):
            return tuple(people)
    for each in reversed(one.layers):
        people = plainly_on(each, zone, moment)
        if people:
            return people
    return ()


@settings(deadline=None, max_examples=120)
@given(schedules, moments)
def test_who_is_on_call_equals_a_walk_from_the_first_handover(one: ScheduleFragment, moment: Micros) -> None:
    """Layers, restrictions, overrides, zones and their changes, at any half hour of nine months."""
    assert oncall.on_call(one, PEOPLE, None, moment).responders == plainly(one, moment)


@settings(deadline=None, max_examples=80)
@given(schedules, moments, st.integers(1, 40), st.integers(0, 40 * 48))
def test_shifts_gaps_and_the_next_handover_say_what_on_call_says(
    one: ScheduleFragment, start: Micros, days: int, offset: int
) -> None:
    """Every moment of a range lies in exactly one shift or gap; the handover after it is the next bound."""
    end = Micros(start + days * DAY)
    shifts = oncall.shifts(one, PEOPLE, None, start, end)
    gaps = oncall.gaps(one, PEOPLE, None, start, end)
    pieces = sorted([(s.start, s.end, s.responders) for s in shifts] + [(a, b, ()) for a, b in gaps])
    assert [piece[0] for piece in pieces] == [start, *(piece[1] for piece in pieces[:-1])]
    assert pieces[-1][1] == end
    moment = Micros(start + offset * HOUR // 2 % (days * DAY))
    people = next(who for since, until, who in pieces if since <= moment < until)
    assert oncall.on_call(one, PEOPLE, None, moment).responders == people
    following = oncall.next_handover(one, PEOPLE, None, moment)
    bound = next((a for a, _, who in pieces if a > moment and who != people), None)
    if bound is not None:
        assert following is not None
        assert following.at == bound
    elif following is not None:
        assert following.at >= end


rules = st.builds(
    lambda frequency, interval, by, ends: f"FREQ={frequency};INTERVAL={interval}{by}{ends}",
    st.sampled_from(["DAILY", "WEEKLY", "MONTHLY"]),
    st.integers(1, 4),
    st.sampled_from(["", ";BYDAY=MO,WE,SU", ";BYDAY=FR"]),
    st.sampled_from(["", ";COUNT=7", ";UNTIL=20260601T000000Z"]),
)


@settings(deadline=None, max_examples=80)
@given(rules, walls, st.integers(1, 60), moments, st.sampled_from(ZONES[:3]))
def test_repetitions_are_those_of_dateutil(
    rule: str, start: str, hours_long: int, moment: Micros, zone: str
) -> None:
    """Starts by an independent implementation on the wall clock; the end keeps its wall time, too."""
    begins = datetime.fromisoformat(start)
    ends = begins + timedelta(hours=hours_long)
    text = (
        "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:ann\n"
        f"DTSTART;TZID={zone}:{begins:%Y%m%dT%H%M%S}\nDTEND;TZID={zone}:{ends:%Y%m%dT%H%M%S}\n"
        f"RRULE:{rule}\nEND:VEVENT\nEND:VCALENDAR\n"
    )
    one = ZoneInfo(zone)
    now = datetime.fromtimestamp(moment // 1_000_000, UTC)
    until = rule.partition("UNTIL=")[2]
    plain = rrulestr(rule.partition(";UNTIL")[0], dtstart=begins)
    expected = False
    for wall in plain.between(
        now.replace(tzinfo=None) - timedelta(days=9), now.replace(tzinfo=None) + timedelta(days=2), inc=True
    ):
        if until and utc_of(wall, one) > datetime(2026, 6, 1, tzinfo=UTC):
            continue
        if utc_of(wall, one) <= now < utc_of(wall + timedelta(hours=hours_long), one):
            expected = True
    found = oncall.on_call(schedule(ical=True), PEOPLE, parse(text), moment)
    assert bool(found.responders) is expected


@settings(deadline=None, max_examples=120)
@given(
    st.lists(
        st.sampled_from(
            [
                "BEGIN:VCALENDAR",
                "END:VCALENDAR",
                "BEGIN:VEVENT",
                "END:VEVENT",
                "SUMMARY:ann",
                "DTSTART:20260105T080000Z",
                "DTSTART;TZID=X:20260105T080000",
                "DTEND:20260105",
                "DURATION:P",
                "RRULE:FREQ=DAILY",
                "RRULE:;",
                "EXDATE:,",
                "RDATE;VALUE=PERIOD:20260105T080000Z/PT1H",
                "BEGIN:VTIMEZONE",
                "END:VTIMEZONE",
                "TZID:X",
                " folded",
                ":",
                "\x00",
                ";=",
            ]
        ),
        max_size=24,
    ),
    st.text(max_size=40),
)
def test_no_text_breaks_the_reader(lines: list[str], tail: str) -> None:
    """Whatever a calendar host sends is a calendar, or refused as InvalidCalendar; asking it raises nothing."""
    text = "BEGIN:VCALENDAR\n" + "\n".join(lines) + "\n" + tail
    try:
        found = parse(text)
    except oncall.InvalidCalendar:
        return
    oncall.on_call(schedule(ical=True), PEOPLE, found, at("2026-01-05T09:00"))
