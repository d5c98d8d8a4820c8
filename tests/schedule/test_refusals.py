"""What is refused names its field and says what to write."""

from __future__ import annotations

import pytest
from window_cases import schedule, window

from tocsin.flow.recurrence import InvalidRecurrence, parse_rule
from tocsin.flow.schedule import InvalidSchedule, Schedule, normalize_start


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("2026-07-01T24:00", "00:00 of the next day"),
        ("2026-07-01T23:60", "no such time"),
        ("2026-13-01T10:00", "no such date"),
        ("2026-02-29T10:00", "no such date"),
        ("1066-10-14T10:00", "1970 to 2199"),
        ("2026-07-01", "no local time"),
        ("next Sunday", "no local time"),
        ("2026-07-01T10:00+99:00", "no such offset"),
    ],
)
def test_bad_start_names_the_field(start: str, words: str) -> None:
    """24:00, dates and times that do not exist, and far years are refused under `start` (BUG-070)."""
    with pytest.raises(InvalidSchedule, match=words) as refusal:
        normalize_start(start, "UTC", recurring=False)
    assert refusal.value.field == "start"


def test_start_with_offset_does_not_recur() -> None:
    """A recurring window has a local start; an offset would be right for half of the year only."""
    with pytest.raises(InvalidSchedule, match="leave out the offset"):
        normalize_start("2026-07-01T10:00+02:00", "Europe/Berlin", recurring=True)


@pytest.mark.parametrize(
    "zone", ["Mars/Base", "localtime", "../etc/passwd", "europe/berlin", "", "Factory", "+02:00"]
)
def test_unknown_zone_names_the_field(zone: str) -> None:
    """Only the names of the packaged IANA data count; the machine's own zone is none."""
    with pytest.raises(InvalidSchedule, match="unknown time zone") as refusal:
        schedule("2026-07-01T10:00", zone=zone)
    assert refusal.value.field == "timeZone"


def test_old_zone_names_work_and_typing_errors_get_a_suggestion() -> None:
    """EST5EDT is a zone; Europe/Berln is not, and the message names the likely one."""
    schedule("2026-07-01T10:00", zone="EST5EDT")
    with pytest.raises(InvalidSchedule, match="did you mean Europe/Berlin"):
        schedule("2026-07-01T10:00", zone="Europe/Berln")


@pytest.mark.parametrize("exception", ["2026-02-30", "2026-02-28T24:00", "Christmas"])
def test_bad_exception_names_its_position(exception: str) -> None:
    """The field of a bad exception has its index."""
    with pytest.raises(InvalidSchedule) as refusal:
        Schedule(window("2026-01-01T10:00", rule="FREQ=DAILY", exceptions=("2026-01-02", exception)))
    assert refusal.value.field == "exceptions[1]"


@pytest.mark.parametrize("hours", [0, -1, 367 * 24])
def test_duration_has_bounds(hours: int) -> None:
    """A window is open for a second at least and a leap year at most."""
    with pytest.raises(InvalidSchedule) as refusal:
        schedule("2026-01-01T10:00", hours=hours)
    assert refusal.value.field == "duration"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("BYDAY=MO", "FREQ is missing"),
        ("FREQ=HOURLY", "DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=DAILY;BYHOUR=1,2", "BYHOUR is not taken"),
        ("FREQ=DAILY;BYMINUTE=5", "BYMINUTE is not taken"),
        ("FREQ=DAILY;BYSECOND=5", "BYSECOND is not taken"),
        ("RRULE:FREQ=DAILY", "without RRULE:"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0"),
        ("FREQ=DAILY;COUNT=9999", "COUNT=9999"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20261231", "exclude each other"),
        ("FREQ=DAILY;UNTIL=tomorrow", "no date"),
        ("FREQ=WEEKLY;BYDAY=1TU", "needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY"),
        ("FREQ=MONTHLY;BYWEEKNO=1", "need FREQ=YEARLY"),
        ("FREQ=MONTHLY;BYDAY=XX", "no weekday"),
        ("FREQ=MONTHLY;BYMONTH=13", "from 1 to 12"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "cannot hold 0"),
        ("FREQ=DAILY;BYSETPOS=1", "add one"),
        ("FREQ=DAILY;FREQ=WEEKLY", "given twice"),
        ("FREQ=DAILY;BYEASTER=0", "unknown part BYEASTER"),
        ("every day", "not NAME=VALUE"),
    ],
)
def test_rule_outside_the_taken_part_is_refused_with_words(rule: str, words: str) -> None:
    """Whatever cannot be taken is named; nothing is ignored."""
    with pytest.raises(InvalidRecurrence, match=words):
        parse_rule(rule)
