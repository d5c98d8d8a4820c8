"""Spans, boundaries and overlaps: what the evaluator and the dispatcher ask for."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from window_cases import HOUR, at, schedule, span_of, text_of, window

from tocsin.flow.model import Micros
from tocsin.flow.schedule import Schedule, next_boundary, next_occurrence, occurrence_at, upcoming


def test_occurrence_longer_than_its_period_ends_where_the_next_starts() -> None:
    """A daily window of 30 hours is one occurrence a day without gap or overlap."""
    long = schedule("2026-01-01T10:00", hours=30, rule="FREQ=DAILY;COUNT=2")
    assert span_of(long.occurrence_at(at("2026-01-01T11:00+00:00"))) == (
        "2026-01-01T10:00:00Z",
        "2026-01-02T10:00:00Z",
    )
    assert span_of(long.occurrence_at(at("2026-01-02T10:00+00:00"))) == (
        "2026-01-02T10:00:00Z",
        "2026-01-03T16:00:00Z",
    )


def test_end_is_outside_and_start_is_inside() -> None:
    """An occurrence holds its start and not its end."""
    one = window("2026-01-01T10:00", hours=1)
    assert occurrence_at(one, at("2026-01-01T10:00+00:00")) is not None
    assert occurrence_at(one, at("2026-01-01T11:00+00:00")) is None
    assert occurrence_at(one, Micros(at("2026-01-01T11:00+00:00") - 1)) is not None


def test_boundaries_of_a_one_off() -> None:
    """A one-off has a start, an end, and nothing after."""
    one = window("2026-01-01T10:00", hours=1)
    start, end = at("2026-01-01T10:00+00:00"), at("2026-01-01T11:00+00:00")
    assert next_boundary(one, Micros(start - 1)) == start
    assert next_boundary(one, start) == end
    assert next_boundary(one, end) is None
    assert next_occurrence(one, start) is None


def test_window_over_midnight() -> None:
    """22:00 for four hours ends at 02:00 of the next day."""
    night = schedule("2026-01-01T22:00", hours=4, rule="FREQ=DAILY")
    assert night.occurrence_at(at("2026-01-05T01:30+00:00")) is not None
    assert night.occurrence_at(at("2026-01-05T02:30+00:00")) is None


def test_start_with_seconds_and_with_z() -> None:
    """Seconds and a Z are taken as written, the zone then being of no account."""
    assert span_of(
        schedule("2026-01-01T10:00:30Z", zone="Asia/Tokyo").next_occurrence(at("2025-01-01T00:00Z"))
    ) == (
        "2026-01-01T10:00:30Z",
        "2026-01-01T11:00:30Z",
    )


def test_upcoming_lists_at_most_the_wanted_number() -> None:
    """Listing stops at the limit, at the end of the rule, and two years ahead."""
    weekly = window("2026-01-04T02:00", rule="FREQ=WEEKLY")
    now = at("2026-01-01T00:00+00:00")
    assert [text_of(o.start)[:10] for o in upcoming(weekly, now, 2)] == ["2026-01-04", "2026-01-11"]
    assert len(upcoming(weekly, now, 1_000)) == 104


@settings(max_examples=100, deadline=None)
@given(
    rule=st.sampled_from(
        ["", "FREQ=DAILY", "FREQ=WEEKLY;BYDAY=MO,FR", "FREQ=MONTHLY;BYDAY=2SU", "FREQ=DAILY;COUNT=4"]
    ),
    zone=st.sampled_from(["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe"]),
    hours=st.sampled_from([0.5, 5, 24, 60]),
    offsets=st.lists(st.integers(0, 400 * 24 * 60), min_size=1, max_size=8),
)
def test_remembered_spans_never_change_an_answer(
    rule: str, zone: str, hours: float, offsets: list[int]
) -> None:
    """Asked in any order, a kept Schedule answers as a fresh one, and `until` is the first moment of change."""
    fragment = window("2026-02-27T02:30", zone=zone, hours=hours, rule=rule)
    kept = Schedule(fragment)
    for offset in offsets:
        now = Micros(at("2026-02-20T00:00+00:00") + offset * HOUR // 60)
        span, fresh = kept.span_at(now), Schedule(fragment)
        assert span.since <= now < span.until
        assert span.occurrence == fresh.occurrence_at(now)
        assert Schedule(fragment).occurrence_at(Micros(span.until - 1)) == span.occurrence
        assert Schedule(fragment).occurrence_at(span.until) != span.occurrence or span.occurrence is None
