"""iCalendar: who an event names, and when it happens."""

from __future__ import annotations

import pytest
from rotas import PEOPLE, at, layer, now_on, override, person, plan, schedule

from tocsin.flow import oncall
from tocsin.flow.oncall import Calendar, InvalidCalendar, parse

UTC_ROTA = schedule(ical=True)
BERLIN = schedule(zone="Europe/Berlin", ical=True)


def ics(*events: str, zones: str = "") -> str:
    """`events`: their lines, separated by blanks-free line breaks."""
    body = "".join(f"BEGIN:VEVENT\r\n{event}\r\nEND:VEVENT\r\n" for event in events)
    return f"BEGIN:VCALENDAR\r\nVERSION:2.0\r\n{zones}{body}END:VCALENDAR\r\n"


def event(summary: str, start: str, end: str, *more: str) -> str:
    """`start`, `end`: what follows DTSTART and DTEND, from the colon or semicolon on."""
    return "\r\n".join((f"SUMMARY:{summary}", f"DTSTART{start}", f"DTEND{end}", *more))


def calendar(*events: str, zones: str = "") -> Calendar:
    found = parse(ics(*events, zones=zones))
    assert found.skipped == ()
    return found


def test_an_event_names_a_responder() -> None:
    one = calendar(event("ann", ":20260105T080000Z", ":20260105T160000Z"))
    assert plan(UTC_ROTA, "2026-01-05", "2026-01-06", one) == ["2026-01-05T08:00Z 2026-01-05T16:00Z ann"]


@pytest.mark.parametrize(
    ("summary", "expected"),
    [
        ("jane.doe", "jane"),
        ("JANE.DOE ", "jane"),
        ("jane", "jane"),
        ("Jane@Example.org", "jane"),
        ("Doe\\, Jane", "jane"),
        ("Doe\\, jane\\, bob", "bob jane"),
        ("bob\\, jane", "bob jane"),
        ("bob; jane", "bob jane"),
        ("[L1] bob", "bob"),
        ("[l2]bob", "bob"),
        ("On call: bob", "nobody is on call: the calendar names on call: bob, who is no Responder here"),
    ],
)
def test_names_in_a_summary(summary: str, expected: str) -> None:
    """By username, object name, e-mail or display name, in any case; several separated by commas or semicolons. A display
    name with a comma is tried as a whole first; together with others it is not known: its parts are.
    """
    people = dict(
        (
            person("bob"),
            person("jane", username="jane.doe", email="jane@example.org", display_name="Doe, Jane"),
        )
    )
    one = calendar(event(summary, ":20260105T080000Z", ":20260105T160000Z"))
    found = oncall.on_call(UTC_ROTA, people, one, at("2026-01-05T09:00"))
    named = " ".join(name.removeprefix("ops/") for name in found.responders)
    assert (named or found.error) == expected


def test_foreign_text_names_only_people_of_the_namespace() -> None:
    """A calendar cannot reach a Responder of another namespace, unless the schedule itself refers to that one."""
    people = dict((person("eve", "secret"), person("kim", "shared")))
    one = calendar(event("eve,kim", ":20260105T080000Z", ":20260105T160000Z"))
    alone = oncall.on_call(UTC_ROTA, people, one, at("2026-01-05T09:00"))
    assert alone.responders == ()
    referring = schedule(
        ical=True, overrides=(override("shared/kim", "2025-01-01T00:00", "2025-01-02T00:00"),)
    )
    assert oncall.on_call(referring, people, one, at("2026-01-05T09:00")).responders == ("shared/kim",)


def test_two_people_called_the_same_are_both_on_call() -> None:
    """Nobody is lost; usernames tell them apart."""
    people = dict((person("a1", display_name="Sam"), person("a2", display_name="Sam")))
    one = calendar(event("Sam", ":20260105T080000Z", ":20260105T160000Z"))
    assert oncall.on_call(UTC_ROTA, people, one, at("2026-01-05T09:00")).responders == ("ops/a1", "ops/a2")


def test_events_at_once_put_all_on_call_and_the_highest_level_wins() -> None:
    both = calendar(
        event("ann", ":20260105T080000Z", ":20260105T160000Z"),
        event("bob", ":20260105T120000Z", ":20260105T180000Z"),
        event("[L1] cat", ":20260105T150000Z", ":20260105T170000Z"),
    )
    assert plan(UTC_ROTA, "2026-01-05", "2026-01-06", both) == [
        "2026-01-05T08:00Z 2026-01-05T12:00Z ann",
        "2026-01-05T12:00Z 2026-01-05T15:00Z ann bob",
        "2026-01-05T15:00Z 2026-01-05T17:00Z cat",
        "2026-01-05T17:00Z 2026-01-05T18:00Z bob",
    ]


def test_all_day_events_are_days_of_the_schedules_zone() -> None:
    """DTEND is the day after the last; without it the event is one day."""
    days = calendar(
        event("ann", ";VALUE=DATE:20260105", ";VALUE=DATE:20260107"),
        "SUMMARY:bob\r\nDTSTART;VALUE=DATE:20260107",
    )
    assert plan(BERLIN, "2026-01-04", "2026-01-10", days) == [
        "2026-01-04T23:00Z 2026-01-06T23:00Z ann",
        "2026-01-06T23:00Z 2026-01-07T23:00Z bob",
    ]


def test_a_repeated_night_keeps_its_wall_time_over_the_change() -> None:
    """20:00 to 08:00 in Berlin every day: on the night of 29 March it is an hour shorter, and the next joins the day."""
    nights = calendar(
        event(
            "ann",
            ";TZID=Europe/Berlin:20260301T200000",
            ";TZID=Europe/Berlin:20260302T080000",
            "RRULE:FREQ=DAILY",
        )
    )
    assert plan(UTC_ROTA, "2026-03-28T12:00", "2026-03-30T12:00", nights) == [
        "2026-03-28T19:00Z 2026-03-29T06:00Z ann",
        "2026-03-29T18:00Z 2026-03-30T06:00Z ann",
    ]


def test_exceptions_replacements_and_additions() -> None:
    """EXDATE drops, RECURRENCE-ID moves to other people or (cancelled) drops, RDATE adds."""
    one = calendar(
        event(
            "ann",
            ":20260105T080000Z",
            ":20260105T100000Z",
            "UID:1",
            "RRULE:FREQ=DAILY;COUNT=5",
            "EXDATE:20260106T080000Z",
            "RDATE:20260120T080000Z",
        ),
        event("bob", ":20260107T090000Z", ":20260107T110000Z", "UID:1", "RECURRENCE-ID:20260107T080000Z"),
        event(
            "ann",
            ":20260108T080000Z",
            ":20260108T100000Z",
            "UID:1",
            "RECURRENCE-ID;TZID=Europe/Berlin:20260108T090000",
            "STATUS:CANCELLED",
        ),
    )
    assert plan(UTC_ROTA, "2026-01-01", "2026-02-01", one) == [
        "2026-01-05T08:00Z 2026-01-05T10:00Z ann",
        "2026-01-07T09:00Z 2026-01-07T11:00Z bob",
        "2026-01-09T08:00Z 2026-01-09T10:00Z ann",
        "2026-01-20T08:00Z 2026-01-20T10:00Z ann",
    ]


def test_cancelled_and_empty_events_count_for_nothing() -> None:
    one = calendar(
        event("ann", ":20260105T080000Z", ":20260105T100000Z", "STATUS:CANCELLED"),
        "SUMMARY:bob\r\nDTSTART:20260105T080000Z",
    )
    assert plan(UTC_ROTA, "2026-01-01", "2026-02-01", one) == []


def test_until_and_duration() -> None:
    """UNTIL in UTC is a moment, though the event has a zone; P1D is a day of the clock, PT24H are 24 hours."""
    one = calendar(
        "SUMMARY:ann\r\nDTSTART;TZID=Europe/Berlin:20260328T120000\r\nDURATION:P1D\r\n"
        "RRULE:FREQ=DAILY;UNTIL=20260328T110000Z",
        "SUMMARY:bob\r\nDTSTART;TZID=Europe/Berlin:20260328T130000\r\nDURATION:PT24H",
    )
    assert plan(UTC_ROTA, "2026-03-27", "2026-04-02", one) == [
        "2026-03-28T11:00Z 2026-03-28T12:00Z ann",
        "2026-03-28T12:00Z 2026-03-29T10:00Z ann bob",
        "2026-03-29T10:00Z 2026-03-29T12:00Z bob",
    ]


VTIMEZONE = (
    "BEGIN:VTIMEZONE\r\nTZID:Customized Zone\r\n"
    "BEGIN:STANDARD\r\nDTSTART:16010101T030000\r\nTZOFFSETFROM:+0200\r\nTZOFFSETTO:+0100\r\n"
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10\r\nEND:STANDARD\r\n"
    "BEGIN:DAYLIGHT\r\nDTSTART:16010101T020000\r\nTZOFFSETFROM:+0100\r\nTZOFFSETTO:+0200\r\n"
    "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3\r\nEND:DAYLIGHT\r\nEND:VTIMEZONE\r\n"
)


@pytest.mark.parametrize(
    "tzid",
    [
        "Europe/Berlin",
        "W. Europe Standard Time",
        "/freeassociation.sourceforge.net/Europe/Berlin",
        "Customized Zone",
    ],
)
@pytest.mark.parametrize(
    ("wall", "utc"),
    [
        ("20260115T120000", "2026-01-15T11:00Z"),
        ("20260715T120000", "2026-07-15T10:00Z"),
        ("20260329T023000", "2026-03-29T01:00Z"),
        ("20261025T023000", "2026-10-25T00:30Z"),
        ("20261025T033000", "2026-10-25T02:30Z"),
    ],
)
def test_time_zones_of_events(tzid: str, wall: str, utc: str) -> None:
    """IANA names, Windows names, names behind a vendor's prefix and a VTIMEZONE say the same moments."""
    text = f"SUMMARY:ann\r\nDTSTART;TZID={tzid}:{wall}\r\nDURATION:PT10H"
    assert plan(UTC_ROTA, "2026-01-01", "2027-01-01", calendar(text, zones=VTIMEZONE))[0].startswith(utc)


def test_zone_of_one_calendar_means_nothing_in_another() -> None:
    """A VTIMEZONE is known in its own calendar only: nobody can redefine another team's zone."""
    text = "SUMMARY:ann\r\nDTSTART;TZID=Customized Zone:20260115T120000\r\nDURATION:PT1H"
    calendar(text, zones=VTIMEZONE)
    assert parse(ics(text)).skipped == ("event 'ann': time zone 'Customized Zone' is unknown",)


def test_one_bad_event_is_named_and_the_others_count() -> None:
    """An unreadable date, a rule that is not taken, an end before the start."""
    one = parse(
        ics(
            event("ann", ":20260230T080000Z", ":20260105T100000Z"),
            event("bob", ":20260105T080000Z", ":20260105T100000Z", "RRULE:FREQ=SECONDLY"),
            event("cat", ":20260105T080000Z", ":20260105T070000Z"),
            event("dan", ":20260105T080000Z", ":20260105T100000Z"),
        )
    )
    assert [text.split(":")[0] for text in one.skipped] == ["event 'ann'", "event 'bob'", "event 'cat'"]
    assert now_on(UTC_ROTA, "2026-01-05T09:00", one) == "dan"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<html>Sign in</html>", "BEGIN:VCALENDAR is missing"),
        ("", "BEGIN:VCALENDAR is missing"),
        (ics("SUMMARY:ann")[:55], "the text is cut off"),
        (ics() + "END:VEVENT\r\n", "ends what did not begin"),
        ("x" * (5 * 1024 * 1024 + 1), "more than 5 MiB"),
        ("BEGIN:VCALENDAR\n" + "BEGIN:VEVENT\nEND:VEVENT\n" * 10_001 + "END:VCALENDAR\n", "at most 10000"),
        (
            ics(*[event("a", ":20260105T080000Z", ":20260105T100000Z", "RRULE:FREQ=DAILY")] * 301),
            "more than 300",
        ),
    ],
)
def test_what_is_no_calendar_says_why(text: str, problem: str) -> None:
    with pytest.raises(InvalidCalendar, match=problem):
        parse(text)


def test_an_unreadable_calendar_is_an_error_only_where_it_is_needed() -> None:
    """Without it nobody is on call, and the reason is told; layers and overrides above it go on."""
    broken = oncall.unreadable("the server answered 500")
    assert (
        now_on(UTC_ROTA, "2026-01-05T09:00", broken) == "the calendar cannot be read: the server answered 500"
    )
    assert now_on(UTC_ROTA, "2026-01-05T09:00") == "the calendar cannot be read: it has not been read yet"
    above = schedule(layer("ann", "2026-01-05T00:00"), ical=True)
    assert now_on(above, "2026-01-05T09:00", broken) == "ann"


def test_layers_and_overrides_cover_the_calendar() -> None:
    one = calendar(event("ann", ":20260105T080000Z", ":20260105T160000Z"))
    mixed = schedule(
        layer("bob", "2026-01-05T14:00", until="2026-01-05T15:00"),
        ical=True,
        overrides=(override("cat", "2026-01-05T09:00", "2026-01-05T10:00"),),
    )
    assert plan(mixed, "2026-01-05", "2026-01-06", one) == [
        "2026-01-05T08:00Z 2026-01-05T09:00Z ann",
        "2026-01-05T09:00Z 2026-01-05T10:00Z cat",
        "2026-01-05T10:00Z 2026-01-05T14:00Z ann",
        "2026-01-05T14:00Z 2026-01-05T15:00Z bob",
        "2026-01-05T15:00Z 2026-01-05T16:00Z ann",
    ]


def test_names_of_nobody_are_listed() -> None:
    one = calendar(event("ann, Zoe", ":20260105T080000Z", ":20260105T160000Z"))
    assert oncall.strangers(UTC_ROTA, PEOPLE, one, at("2026-01-05"), at("2026-01-06")) == ("zoe",)
