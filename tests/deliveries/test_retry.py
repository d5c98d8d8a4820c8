"""When to try again: pure, so every moment can be asked for."""

from __future__ import annotations

import pytest
from delivering import MINUTE, SECOND
from hypothesis import given
from hypothesis import strategies as st

from tocsin.dispatch.deliveries.retry import FALL_BACK_AFTER, GIVE_UP_AFTER, LONGEST_PAUSE, Tries, next_try
from tocsin.flow.model import Micros
from tocsin.notify.channel import DeliveryFailed, FailureReason

DOWN = DeliveryFailed(FailureReason.SERVER_ERROR, "down")


def tries(attempts: int = 1, **more: object) -> Tries:
    return Tries(**({"kind": "group", "attempts": attempts, "first_at": Micros(0)} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(("attempts", "pause"), [(1, 1), (2, 2), (5, 16), (6, 32), (7, 60), (50, 60)])
def test_pauses_double_up_to_a_minute(attempts: int, pause: int) -> None:
    """Half a pause to one and a half, so that what failed together does not come back together."""
    for chance in (0.0, 0.5, 1.0):
        at = next_try(DOWN, tries(attempts), Micros(0), chance=chance)
        assert at == pause * SECOND // 2 + int(pause * SECOND * chance)


def test_a_vendor_that_asks_for_too_much_is_given_up() -> None:
    """Waiting longer than the budget is no second chance: the second way is taken at once."""
    patient = DeliveryFailed(FailureReason.RATE_LIMITED, "slow", retry_after=600)
    at = next_try(patient, tries(), Micros(0), chance=0)
    assert at == 600 * SECOND
    assert next_try(patient, tries(second_way=True), Micros(0), chance=0) is None


@pytest.mark.parametrize(
    ("given_tries", "budget"),
    [
        (tries(9), GIVE_UP_AFTER),
        (tries(9, second_way=True), FALL_BACK_AFTER),
        (tries(9, kind="update"), 15 * MINUTE),
    ],
)
def test_the_budget_counts_from_the_first_attempt(given_tries: Tries, budget: int) -> None:
    """An hour; five minutes where there is a second way; a quarter of an hour for an edit."""
    assert next_try(DOWN, given_tries, Micros(budget - LONGEST_PAUSE), chance=0) is not None
    assert next_try(DOWN, given_tries, Micros(budget), chance=0) is None


@given(
    st.integers(1, 10_000), st.integers(0, 2 * GIVE_UP_AFTER), st.floats(0, 1), st.none() | st.floats(0, 1e6)
)
def test_never_before_what_was_asked_and_never_after_the_deadline(
    attempts: int, now: int, chance: float, retry_after: float | None
) -> None:
    """Whatever the numbers: later than now, not before Retry-After, not after the deadline; nothing for what is final."""
    failure = DeliveryFailed(FailureReason.RATE_LIMITED, "slow", retry_after=retry_after)
    at = next_try(failure, tries(attempts), Micros(now), chance=chance)
    if at is not None:
        assert now + (retry_after or 0) * SECOND - 1 <= at <= tries().deadline
        assert at > now
    final = DeliveryFailed(FailureReason.CLIENT_ERROR, "no", retry_after=retry_after, permanent=True)
    assert next_try(final, tries(attempts), Micros(now), chance=chance) is None
