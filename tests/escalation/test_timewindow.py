"""Windows of the wall clock, compared with a walk through every minute."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from escalating import moment
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.api.durations import MINUTE
from tocsin.api.escalationchain import TimeWindowStep, Weekday
from tocsin.flow.escalation.timewindow import inside, next_start
from tocsin.flow.model import Micros
from tocsin.flow.zones import UnknownTimeZone

TIMES = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
WINDOWS = st.builds(
    TimeWindowStep,
    from_=TIMES,
    to=TIMES,
    time_zone=st.sampled_from(
        ["UTC", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]
    ),
    days=st.lists(st.sampled_from(Weekday), max_size=3, unique=True).map(tuple),
)
FIRST = moment("2026-01-01T00:00:00Z")
MOMENTS = st.integers(0, 365 * 86_400).map(lambda second: Micros(FIRST + second * 1_000_000))


@given(WINDOWS, MOMENTS)
@settings(max_examples=300, deadline=None)
def test_the_next_start_is_later_and_inside_and_nothing_before_it_is(
    window: TimeWindowStep, now: Micros
) -> None:
    """From a moment outside, every moment until the next start is outside, and the start itself is inside."""
    start = next_start(window, now)
    assert now < start
    assert inside(window, start)
    if not inside(window, now):
        span = start - now
        assert not any(inside(window, Micros(now + span * part // 20)) for part in range(20))
        assert not inside(window, Micros(start - 1))


@given(WINDOWS, MOMENTS)
@settings(max_examples=300, deadline=None)
def test_on_days_without_a_change_of_clocks_it_is_what_the_wall_clock_says(
    window: TimeWindowStep, now: Micros
) -> None:
    """The oracle knows the standard library's zones and nothing of windows that cross a change."""
    zone = ZoneInfo(window.time_zone)
    local = datetime.fromtimestamp(now / 1_000_000, tz=zone)
    offsets = {(local + timedelta(hours=hours)).utcoffset() for hours in range(-60, 61)}
    if len(offsets) > 1:
        return
    clock, names = local.strftime("%H:%M"), tuple(Weekday)
    today = not window.days or names[local.weekday()] in window.days
    yesterday = not window.days or names[local.weekday() - 1] in window.days
    if window.from_ < window.to:
        expected = today and window.from_ <= clock < window.to
    else:
        expected = (today and clock >= window.from_) or (yesterday and clock < window.to)
    assert inside(window, now) == expected


@pytest.mark.parametrize(
    ("begin", "end", "now", "expected"),
    [
        ("02:30", "05:00", "2026-03-29T00:59:59Z", False),  # 01:59:59, then comes 03:00
        ("02:30", "05:00", "2026-03-29T01:00:00Z", True),
        ("02:15", "02:45", "2026-03-29T01:00:00Z", False),  # the clock swallows all of it
        ("22:00", "02:30", "2026-03-29T00:59:59Z", True),
        ("22:00", "02:30", "2026-03-29T01:00:00Z", False),
        ("02:30", "03:30", "2026-10-25T00:30:00Z", True),  # 02:30 for the first time
        ("02:30", "03:30", "2026-10-25T02:29:59Z", True),  # 03:29:59, two hours later
        ("02:30", "03:30", "2026-10-25T02:30:00Z", False),
        ("01:00", "02:30", "2026-10-25T00:30:00Z", False),  # ends at the first 02:30
        ("01:00", "02:30", "2026-10-25T01:15:00Z", False),  # 02:15 for the second time
    ],
)
def test_when_clocks_change_in_berlin(begin: str, end: str, now: str, expected: bool) -> None:
    """A time that is skipped is the moment after the gap, one that is shown twice is the first."""
    window = TimeWindowStep(from_=begin, to=end, time_zone="Europe/Berlin")
    assert inside(window, moment(now)) is expected


def test_a_window_that_the_clock_swallows_comes_again_a_week_later() -> None:
    """Sundays from 02:15 to 02:45: none on 29 March."""
    window = TimeWindowStep(from_="02:15", to="02:45", time_zone="Europe/Berlin", days=(Weekday.SUNDAY,))
    assert next_start(window, moment("2026-03-28T12:00:00Z")) == moment("2026-04-05T00:15:00Z")


def test_equal_times_are_a_whole_day() -> None:
    """From Saturday at six to Sunday at six."""
    window = TimeWindowStep(from_="06:00", to="06:00", days=(Weekday.SATURDAY,))
    start = moment("2026-07-04T06:00:00Z")
    assert [inside(window, Micros(start + offset)) for offset in (-1, 0, 1440 * MINUTE - 1, 1440 * MINUTE)] == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_zone_that_is_none() -> None:
    """The run logs it and goes on; here it is said."""
    with pytest.raises(UnknownTimeZone):
        inside(TimeWindowStep(from_="06:00", to="07:00", time_zone="Europe/Nowhere"), Micros(0))
