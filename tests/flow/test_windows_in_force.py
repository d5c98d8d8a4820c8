"""Which maintenance windows cover an alert, and which of several counts."""

from __future__ import annotations

import pytest
from flows import NOW, matcher, program, rule, window

from tocsin.flow.model import Micros

HOUR = 3_600_000_000


def covering(*windows, now=NOW, labels=None):
    return program(*windows, rule("l", static=labels or {})).evaluate({}, now)


@pytest.mark.parametrize(("offset", "covered"), [(-HOUR, False), (0, True), (HOUR, False)])
def test_a_window_covers_while_it_is_open(offset: int, covered: bool) -> None:
    """By the moment of arrival; the outcome names it."""
    decision = covering(window("w"), now=Micros(NOW + offset))
    assert [entry.window for entry in decision.windows] == (["ns/w"] if covered else [])
    assert decision.outcome.windows == (("ns/w",) if covered else ())
    if covered:
        assert decision.maintenance is decision.windows[0]
        assert decision.windows[0].end - decision.windows[0].start == HOUR


def test_a_window_for_some_labels() -> None:
    """Tested on the computed labels of the alert."""
    only = window("w", matchers=(matcher("team=core"),))
    assert covering(only, labels={"team": "core"}).windows
    assert not covering(only, labels={"team": "db"}).windows
    assert not covering(only).windows


def test_debug_and_maintenance_overlap() -> None:
    """Both are listed; Maintenance collects the group; the last to end comes first and decides what happens then."""
    decision = covering(
        window("debug", mode="Debug", duration=2 * HOUR, on_end="Keep"),
        window("work", duration=HOUR, on_end="Resolve"),
        window("short", duration=HOUR // 2, on_end="Resume"),
    )
    assert [entry.window for entry in decision.windows] == ["ns/debug", "ns/work", "ns/short"]
    assert decision.windows[0].on_end == "Keep"
    assert decision.maintenance is not None
    assert decision.maintenance.window == "ns/work"


def test_windows_that_end_together() -> None:
    """The order is by name, so that every replica decides alike."""
    decision = covering(window("b"), window("a"))
    assert [entry.window for entry in decision.windows] == ["ns/a", "ns/b"]


def test_debug_alone_collects_nothing() -> None:
    """There is no maintenance group."""
    assert covering(window("w", mode="Debug")).maintenance is None


def test_a_window_that_cannot_be_read_is_never_in_force() -> None:
    """The compiler reports it; alerts pass."""
    assert covering(window("w", time_zone="Mars/Base")).windows == ()
