"""Rules give the dates that RFC 5545 gives, from any point in time, in bounded work."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st
from window_cases import at, schedule, starts

from tocsin.flow.recurrence import MAX_PERIODS, Recurrence, parse_rule


def test_weekly_window_opens_every_week() -> None:
    """A weekly window is open in the first, second and third week, and years later (BUG-071)."""
    sunday = schedule("2026-01-04T02:00", hours=2, rule="FREQ=WEEKLY;BYDAY=SU")
    for moment in ("2026-01-04", "2026-01-11", "2026-01-18", "2031-06-29"):
        assert sunday.occurrence_at(at(f"{moment}T03:00+00:00")) is not None
        assert sunday.occurrence_at(at(f"{moment}T04:00+00:00")) is None


def test_changed_duration_keeps_the_start_of_the_running_occurrence() -> None:
    """An occurrence is known by its start, so a longer duration continues the one that runs (BUG-071)."""
    short = schedule("2026-01-04T02:00", hours=2, rule="FREQ=WEEKLY;BYDAY=SU")
    long = schedule("2026-01-04T02:00", hours=5, rule="FREQ=WEEKLY;BYDAY=SU")
    now = at("2026-01-18T03:00+00:00")
    before, after = short.occurrence_at(now), long.occurrence_at(now)
    assert before is not None
    assert after is not None
    assert (before.start, before.end < after.end) == (after.start, True)


@pytest.mark.parametrize(
    ("start", "rule", "expected"),
    [
        ("2026-01-01", "FREQ=MONTHLY;BYDAY=1TU", ["2026-01-06", "2026-02-03", "2026-03-03"]),
        ("2026-01-01", "FREQ=MONTHLY;BYDAY=-1FR", ["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("2026-01-31", "FREQ=MONTHLY", ["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("2026-01-01", "FREQ=MONTHLY;BYMONTHDAY=-1", ["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("2024-02-29", "FREQ=YEARLY", ["2028-02-29"]),
        ("2026-01-01", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", ["2026-11-26", "2027-11-25"]),
        ("2026-01-05", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,WE", ["2026-01-05", "2026-01-07", "2026-01-19"]),
        ("2026-01-01", "FREQ=DAILY;INTERVAL=10", ["2026-01-01", "2026-01-11", "2026-01-21"]),
        ("2026-01-01", "FREQ=DAILY;COUNT=2", ["2026-01-01", "2026-01-02"]),
        ("2026-01-01", "FREQ=DAILY;UNTIL=20260103", ["2026-01-01", "2026-01-02", "2026-01-03"]),
        ("2026-01-01", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-01-30", "2026-02-27"]),
        ("2026-01-01", "FREQ=MONTHLY;BYDAY=MO,1TU", ["2026-01-05", "2026-01-06", "2026-01-12"]),
    ],
)
def test_dates_of_a_rule(start: str, rule: str, expected: list[str]) -> None:
    """The first dates of common rules; the start counts only where the rule yields it."""
    if start == "2024-02-29":
        found = schedule(f"{start}T10:00", rule=rule)
        assert starts(found, "2026-03-01T00:00+00:00", 1) == ["2028-02-29T10:00:00Z"]
    else:
        found = schedule(f"{start}T10:00", rule=rule)
        after = date.fromisoformat(start) - timedelta(days=1)
        assert [t[:10] for t in starts(found, f"{after}T00:00+00:00", len(expected))] == expected


def test_until_is_inclusive_in_local_time_and_in_utc() -> None:
    """UNTIL without Z is wall time of the zone, with Z a moment; both include a start at that very time."""
    zone = "America/New_York"
    for until, last in (
        ("20260702T190000", "2026-07-02T23:00:00Z"),
        ("20260702T185959", "2026-07-01T23:00:00Z"),
        ("20260702T230000Z", "2026-07-02T23:00:00Z"),
        ("20260702T225959Z", "2026-07-01T23:00:00Z"),
        ("20260702", "2026-07-02T23:00:00Z"),
    ):
        found = schedule("2026-07-01T19:00", zone=zone, rule=f"FREQ=DAILY;UNTIL={until}")
        assert starts(found, "2026-06-01T00:00+00:00", 9)[-1] == last, until


def test_exceptions_by_date_and_by_time() -> None:
    """An exception drops the occurrence that starts on the date, or at the time, in the window's zone."""
    found = schedule(
        "2026-12-23T22:00",
        zone="Europe/Berlin",
        rule="FREQ=DAILY",
        exceptions=("2026-12-24", "2026-12-26T22:00", "2026-12-27T21:00"),
    )
    assert [t[:10] for t in starts(found, "2026-12-22T23:00+00:00", 4)] == [
        "2026-12-23",
        "2026-12-25",
        "2026-12-27",
        "2026-12-28",
    ]


def test_exceptions_do_not_use_up_the_count() -> None:
    """COUNT counts what the rule yields; an exception takes one of those away and adds none."""
    found = schedule("2026-01-01T10:00", rule="FREQ=DAILY;COUNT=3", exceptions=("2026-01-02",))
    assert [t[:10] for t in starts(found, "2025-12-31T00:00+00:00", 9)] == ["2026-01-01", "2026-01-03"]


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2;COUNT=5000",
        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1;COUNT=10",
    ],
)
def test_rule_that_never_matches_ends(rule: str) -> None:
    """A rule without a single date is answered in bounded work, also far ahead of its start."""
    found = schedule("2026-01-01T10:00", rule=rule)
    assert found.next_occurrence(at("2026-01-01T00:00+00:00")) is None
    assert found.next_boundary(at("2190-01-01T00:00+00:00")) is None


BY_PARTS = {
    "DAILY": ["BYMONTH=1,6,12", "BYMONTHDAY=1,15,-1", "BYDAY=MO,SA"],
    "WEEKLY": ["BYDAY=TU,SU", "BYMONTH=2,3,12", "WKST=SU"],
    "MONTHLY": [
        "BYDAY=1TU,-1FR",
        "BYDAY=MO,TH",
        "BYMONTHDAY=29,31,-2",
        "BYMONTH=1,2,7",
        "BYDAY=MO,TU;BYSETPOS=1,-1",
    ],
    "YEARLY": [
        "BYMONTH=2,11;BYDAY=2WE",
        "BYDAY=20MO,-1SU",
        "BYYEARDAY=1,60,-1",
        "BYWEEKNO=1,20,52;BYDAY=MO,SU",
        "BYWEEKNO=10;WKST=SU",
        "BYMONTHDAY=29",
        "BYMONTH=2;BYMONTHDAY=29",
        "BYMONTH=3,9;BYDAY=FR;BYSETPOS=2",
    ],
}


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_same_dates_as_dateutil(data: st.DataObject) -> None:
    """Over random rules, starts and moments the dates equal those that python-dateutil yields."""
    frequency = data.draw(st.sampled_from(sorted(BY_PARTS)))
    parts = [f"FREQ={frequency}", f"INTERVAL={data.draw(st.integers(1, 5))}"]
    parts += data.draw(st.lists(st.sampled_from(BY_PARTS[frequency]), max_size=1))
    parts += data.draw(st.sampled_from([[], ["COUNT=7"], ["UNTIL=20271231"]]))
    rule = ";".join(parts)
    start = data.draw(st.dates(date(2020, 1, 1), date(2026, 12, 31)))
    if "BYSETPOS" in rule:
        start = start.replace(month=1, day=1)
    first = data.draw(st.dates(date(2019, 1, 1), date(2028, 1, 1)))
    last = first + timedelta(days=800)
    ours = Recurrence(parse_rule(rule), start)
    theirs = rrulestr(rule, dtstart=datetime.combine(start, datetime.min.time()))
    expected = [
        moment.date()
        for moment in theirs.between(
            datetime.combine(first, datetime.min.time()),
            datetime.combine(last, datetime.min.time()),
            inc=True,
        )
    ]
    limit = date(2027, 12, 31) if "UNTIL" in rule else date.max
    assert [day for day in ours.between(first, last) if day <= limit] == expected, rule
    assert [day for day in ours.backwards(last, first) if day <= limit] == expected[::-1], rule


def test_search_is_bounded() -> None:
    """Looking back over centuries of days that do not match stops after the stated number of periods."""
    ours = Recurrence(parse_rule("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"), date(1970, 1, 1))
    assert MAX_PERIODS == 5_000
    assert list(ours.backwards(date(2199, 12, 31), date(1970, 1, 1))) == []
