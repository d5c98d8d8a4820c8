"""Wall time decides when a window starts: summer, winter, and the nights in between."""

from __future__ import annotations

import pytest
from window_cases import at, schedule, span_of, starts, text_of

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("moment", "inside"),
    [
        ("2026-07-01T22:30+00:00", False),
        ("2026-07-01T23:00+00:00", True),
        ("2026-07-01T23:30+00:00", True),
        ("2026-07-02T02:59:59+00:00", True),
        ("2026-07-02T03:00+00:00", False),
        ("2026-01-14T23:30+00:00", False),
        ("2026-01-15T00:00+00:00", True),
        ("2026-01-15T00:30+00:00", True),
        ("2026-01-15T04:00+00:00", False),
    ],
)
def test_daily_evening_window_follows_the_zone_in_summer_and_winter(moment: str, inside: bool) -> None:
    """19:00-23:00 New York is 23:00Z-03:00Z in July and 00:00Z-04:00Z in January (BUG-068)."""
    evening = schedule("2025-01-01T19:00", hours=4, zone=NEW_YORK, rule="FREQ=DAILY")
    assert (evening.occurrence_at(at(moment)) is not None) is inside


def test_skipped_local_time_starts_after_the_gap() -> None:
    """On 8 March 2026 New York's clocks jump from 02:00 to 03:00: a window at 02:30 starts at 03:00 = 07:00Z."""
    night = schedule("2026-03-01T02:30", zone=NEW_YORK, rule="FREQ=DAILY")
    assert starts(night, "2026-03-07T00:00+00:00", 3) == [
        "2026-03-07T07:30:00Z",
        "2026-03-08T07:00:00Z",
        "2026-03-09T06:30:00Z",
    ]


def test_repeated_local_time_starts_at_its_first() -> None:
    """On 1 November 2026 New York shows 01:30 twice: the window opens once, at the first (05:30Z)."""
    night = schedule("2026-10-30T01:30", zone=NEW_YORK, rule="FREQ=DAILY")
    assert starts(night, "2026-10-31T12:00+00:00", 2) == ["2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"]
    assert night.occurrence_at(at("2026-11-01T06:30+00:00")) is None


def test_duration_is_elapsed_time_across_a_change() -> None:
    """Four hours from 23:00 on the eve of the change are four hours: they end at 04:00 summer time."""
    night = schedule("2026-03-07T23:00", hours=4, zone=NEW_YORK)
    assert span_of(night.next_occurrence(at("2026-03-01T00:00+00:00"))) == (
        "2026-03-08T04:00:00Z",
        "2026-03-08T08:00:00Z",
    )


def test_half_hour_change() -> None:
    """Lord Howe moves by 30 minutes: 02:15 on 4 October 2026 is skipped, so the window starts at 02:30 local."""
    night = schedule("2026-10-04T02:15", zone="Australia/Lord_Howe")
    occurrence = night.next_occurrence(at("2026-10-01T00:00+00:00"))
    assert occurrence is not None
    assert text_of(occurrence.start) == "2026-10-03T15:30:00Z"


def test_skipped_day_starts_once() -> None:
    """Samoa had no 30 December 2011: its midnight is that of the 31st, and the window opens once for both."""
    night = schedule("2011-12-29T00:00", zone="Pacific/Apia", rule="FREQ=DAILY")
    assert starts(night, "2011-12-28T11:00+00:00", 3) == [
        "2011-12-29T10:00:00Z",
        "2011-12-30T10:00:00Z",
        "2011-12-31T10:00:00Z",
    ]


def test_offset_names_the_second_of_two_equal_times() -> None:
    """A one-off with an offset is a moment, also where the zone's clock shows it a second time."""
    second = schedule("2026-11-01T01:30-05:00", zone=NEW_YORK)
    assert span_of(second.next_occurrence(at("2026-10-01T00:00+00:00"))) == (
        "2026-11-01T06:30:00Z",
        "2026-11-01T07:30:00Z",
    )


def test_machine_zone_has_no_influence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A window without a zone is UTC whatever TZ says in the container (BUG-070)."""
    import time

    expected = ("2026-07-01T12:00:00Z", "2026-07-02T00:00:00Z")
    try:
        for zone in ("Asia/Seoul", "America/New_York", ""):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            noon = schedule("2026-07-01T12:00", hours=12)
            assert span_of(noon.next_occurrence(at("2026-06-01T00:00+00:00"))) == expected
    finally:
        monkeypatch.undo()
        time.tzset()
