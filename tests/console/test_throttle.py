"""The rate limit of the API."""

from __future__ import annotations

from tocsin.console.api.throttle import Throttle

MINUTE = 60_000_000


def test_300_requests_a_minute_then_a_wait_in_seconds() -> None:
    """A burst of the whole minute's requests is let through; the next one is told when to come back."""
    throttle = Throttle(300)
    assert [throttle.take("a", 0) for _ in range(300)] == [0] * 300
    assert throttle.take("a", 0) == 1
    assert throttle.take("a", MINUTE // 300) == 0
    assert throttle.take("a", MINUTE // 300) > 0


def test_callers_do_not_share() -> None:
    """One caller's burst costs another nothing, and a pause refills up to the minute's number only."""
    throttle = Throttle(2)
    assert [throttle.take("a", 0) for _ in range(3)] == [0, 0, 31]
    assert throttle.take("b", 0) == 0
    assert [throttle.take("a", 60 * MINUTE) for _ in range(3)] == [0, 0, 31]


def test_a_clock_that_goes_back_gives_nothing() -> None:
    """Setting the clock back neither refills nor blocks."""
    throttle = Throttle(2)
    assert [throttle.take("a", MINUTE), throttle.take("a", 0), throttle.take("a", 0)] == [0, 0, 31]
