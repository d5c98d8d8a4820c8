"""Rotations: whose turn it is, when they hand over, when nobody has it."""

from __future__ import annotations

import pytest
from rotas import PEOPLE, at, hours, layer, now_on, override, plan, schedule, text_of

from tocsin.flow import oncall

WEEKLY = schedule(layer("ann bob cat", "2026-01-05T08:00"))


def test_turns_follow_each_other_and_start_over() -> None:
    """Three people a week each: the fourth week is the first one's again."""
    assert plan(WEEKLY, "2026-01-01T00:00", "2026-02-01T00:00") == [
        "2026-01-05T08:00Z 2026-01-12T08:00Z ann",
        "2026-01-12T08:00Z 2026-01-19T08:00Z bob",
        "2026-01-19T08:00Z 2026-01-26T08:00Z cat",
        "2026-01-26T08:00Z 2026-02-01T00:00Z ann",
    ]


def test_a_shift_includes_its_start_and_not_its_end() -> None:
    assert now_on(WEEKLY, "2026-01-12T07:59:59") == "ann"
    assert now_on(WEEKLY, "2026-01-12T08:00:00") == "bob"


def test_nobody_before_start_and_after_until() -> None:
    short = schedule(layer("ann bob", "2026-01-05T08:00", until="2026-01-13T12:00"))
    assert now_on(short, "2026-01-05T07:59") == "nobody is on call"
    assert now_on(short, "2026-01-13T11:59") == "bob"
    assert now_on(short, "2026-01-13T12:00") == "nobody is on call"


def test_people_of_one_turn_are_on_call_together() -> None:
    pair = schedule(layer("ann+bob cat", "2026-01-05T08:00", "Daily", 2))
    assert plan(pair, "2026-01-05T08:00", "2026-01-10T08:00") == [
        "2026-01-05T08:00Z 2026-01-07T08:00Z ann bob",
        "2026-01-07T08:00Z 2026-01-09T08:00Z cat",
        "2026-01-09T08:00Z 2026-01-10T08:00Z ann bob",
    ]


def test_months_without_the_day_hand_over_on_their_last() -> None:
    """From 31 January: 28 February, 31 March, 30 April: never drifting to the 28th."""
    monthly = schedule(layer("ann bob", "2026-01-31T09:00", "Monthly"))
    assert plan(monthly, "2026-01-31T09:00", "2026-05-31T09:00") == [
        "2026-01-31T09:00Z 2026-02-28T09:00Z ann",
        "2026-02-28T09:00Z 2026-03-31T09:00Z bob",
        "2026-03-31T09:00Z 2026-04-30T09:00Z ann",
        "2026-04-30T09:00Z 2026-05-31T09:00Z bob",
    ]


@pytest.mark.parametrize(
    ("frequency", "start", "expected"),
    [
        ("Daily", "2026-03-28T02:30", "2026-03-29T01:00Z"),
        ("Daily", "2026-10-24T02:30", "2026-10-25T00:30Z"),
        ("Weekly", "2026-03-22T02:30", "2026-03-29T01:00Z"),
        ("Hourly", "2026-03-29T00:30", "2026-03-29T00:30Z"),
    ],
)
def test_handover_on_the_night_of_a_change(frequency: str, start: str, expected: str) -> None:
    """Berlin: a skipped time is the end of the gap (03:00 summer time), a repeated one its first; hours pass."""
    one = schedule(layer("ann bob", start, frequency), zone="Europe/Berlin")
    first = oncall.shifts(one, PEOPLE, None, at("2026-01-01"), at("2027-01-01"))[0]
    assert text_of(first.end) == expected


def test_wall_time_keeps_the_handover_in_summer_and_winter() -> None:
    """Monday 08:00 in Berlin is 07:00Z in winter and 06:00Z in summer."""
    berlin = schedule(layer("ann bob", "2026-03-23T08:00"), zone="Europe/Berlin")
    assert plan(berlin, "2026-03-23T00:00", "2026-04-06T00:00") == [
        "2026-03-23T07:00Z 2026-03-30T06:00Z ann",
        "2026-03-30T06:00Z 2026-04-06T00:00Z bob",
    ]


def test_restrictions_leave_nobody_outside() -> None:
    """Working hours on two days, and a night that reaches into the next morning."""
    office = layer(
        "ann",
        "2026-01-05T00:00",
        restrictions=(hours("Mon Tue", "09:00", "17:00"), hours("Fri", "22:00", "06:00")),
    )
    assert plan(schedule(office), "2026-01-05T00:00", "2026-01-12T00:00") == [
        "2026-01-05T09:00Z 2026-01-05T17:00Z ann",
        "2026-01-06T09:00Z 2026-01-06T17:00Z ann",
        "2026-01-09T22:00Z 2026-01-10T06:00Z ann",
    ]


def test_a_whole_day_joins_the_next() -> None:
    """Weekends: two whole days are one shift."""
    weekend = layer("ann", "2026-01-05T00:00", restrictions=(hours("Sat Sun"),))
    assert plan(schedule(weekend), "2026-01-05T00:00", "2026-01-13T00:00") == [
        "2026-01-10T00:00Z 2026-01-12T00:00Z ann"
    ]


def test_a_later_layer_covers_earlier_ones_where_it_has_somebody() -> None:
    base = layer("ann", "2026-01-05T00:00")
    nights = layer("bob", "2026-01-05T00:00", restrictions=(hours("", "20:00", "08:00"),))
    assert plan(schedule(base, nights), "2026-01-05T08:00", "2026-01-06T09:00") == [
        "2026-01-05T08:00Z 2026-01-05T20:00Z ann",
        "2026-01-05T20:00Z 2026-01-06T08:00Z bob",
        "2026-01-06T08:00Z 2026-01-06T09:00Z ann",
    ]


def test_overrides_win_over_every_layer() -> None:
    """An override may name a moment with an offset; of two overrides the later one in the list wins."""
    one = schedule(
        layer("ann", "2026-01-05T00:00"),
        overrides=(
            override("bob", "2026-01-06T10:00", "2026-01-06T14:00"),
            override("cat", "2026-01-06T12:00+01:00", "2026-01-06T12:00"),
        ),
    )
    assert plan(one, "2026-01-06T09:00", "2026-01-06T15:00") == [
        "2026-01-06T09:00Z 2026-01-06T10:00Z ann",
        "2026-01-06T10:00Z 2026-01-06T11:00Z bob",
        "2026-01-06T11:00Z 2026-01-06T12:00Z cat",
        "2026-01-06T12:00Z 2026-01-06T14:00Z bob",
        "2026-01-06T14:00Z 2026-01-06T15:00Z ann",
    ]


def test_unknown_people_cover_nobody() -> None:
    """A deleted Responder's turn leaves the layer below visible; an override of nobody changes nothing."""
    one = schedule(
        layer("ann", "2026-01-05T00:00"),
        layer("gone", "2026-01-05T00:00"),
        overrides=(override("gone", "2026-01-06T10:00", "2026-01-06T14:00"),),
    )
    assert now_on(one, "2026-01-06T11:00") == "ann"


def test_next_handover_is_when_other_people_come() -> None:
    """The same person twice in a row is no handover; the end of a schedule is one to nobody."""
    one = schedule(layer("ann ann bob", "2026-01-05T08:00", until="2026-01-27T08:00"))

    def following(moment: str) -> tuple[str, tuple[str, ...]] | None:
        found = oncall.next_handover(one, PEOPLE, None, at(moment))
        return None if found is None else (text_of(found.at), found.responders)

    assert following("2026-01-01T00:00") == ("2026-01-05T08:00Z", ("ops/ann",))
    assert following("2026-01-06T00:00") == ("2026-01-19T08:00Z", ("ops/bob",))
    assert following("2026-01-26T09:00") == ("2026-01-27T08:00Z", ())
    assert following("2026-01-28T00:00") is None


def test_gaps_are_what_shifts_leave() -> None:
    office = schedule(layer("ann", "2026-01-05T00:00", restrictions=(hours("", "09:00", "17:00"),)))
    found = oncall.gaps(office, PEOPLE, None, at("2026-01-04T12:00"), at("2026-01-06T10:00"))
    assert [(text_of(a), text_of(b)) for a, b in found] == [
        ("2026-01-04T12:00Z", "2026-01-05T09:00Z"),
        ("2026-01-05T17:00Z", "2026-01-06T09:00Z"),
    ]


def test_no_such_schedule() -> None:
    """What is not declared, suspended or refused is no schedule: it says so."""
    assert oncall.on_call(None, PEOPLE, None, at("2026-01-01")).error == "there is no such schedule"


def test_what_cannot_be_read_harms_only_itself() -> None:
    """A layer with an impossible start is left out; a zone that does not exist leaves nobody, and raises nothing."""
    one = schedule(layer("ann", "2026-01-05T00:00"), layer("bob", "2026-02-30T00:00"))
    assert now_on(one, "2026-01-06T11:00") == "ann"
    assert now_on(schedule(layer("ann", "2026-01-05T00:00"), zone="Mars/Olympus"), "2026-01-06") == (
        "nobody is on call"
    )
