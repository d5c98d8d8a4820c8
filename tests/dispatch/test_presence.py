"""Tocsin's own downtime: how it is noticed, and what it does to deadlines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from dispatching import World, integration, shown
from hypothesis import given
from hypothesis import strategies as st

from tocsin.dispatch.presence import (
    MOST_GAPS,
    Gap,
    Presence,
    advanced,
    deadline,
    last_gap,
    receivers_are_live,
)
from tocsin.flow.model import Micros
from tocsin.store import replicas

Make = Callable[..., Awaitable[World]]


def gaps(*pairs: tuple[int, int]) -> tuple[Gap, ...]:
    return tuple(Gap(Micros(a), Micros(b)) for a, b in pairs)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((), 100),
        (gaps((10, 20)), 120),
        (gaps((10, 500)), 600),
        (gaps((-50, -10)), 100),
        (gaps((-50, 10)), 110),
        (gaps((100, 200)), 100),
        (gaps((99, 200)), 300),
        (gaps((90, 91), (180, 181)), 202),
        (gaps((90, 91), (180, 181), (190, 900)), 912),
    ],
)
def test_a_deadline_of_100_counts_observed_time(found: tuple[Gap, ...], expected: int) -> None:
    """100 in one piece, or 200 in pieces, whichever comes first."""
    assert deadline(Micros(0), 100, found) == expected


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 50)), max_size=8), st.integers(1, 100))
def test_a_deadline_is_never_early_and_never_lost(pieces: list[tuple[int, int]], span: int) -> None:
    """At least one span after the start, never inside a gap, at most two spans of observed time later."""
    found: list[Gap] = []
    at = 0
    for observed, down in pieces:
        found.append(Gap(Micros(at + observed), Micros(at + observed + down)))
        at = found[-1].end
    due = deadline(Micros(0), span, found)
    down = sum(min(g.end, due) - min(g.start, due) for g in found)
    assert due >= span
    assert not any(g.start < due < g.end for g in found)
    assert due - down <= 2 * span


def test_the_mark_notes_gaps_and_forgets_old_ones() -> None:
    """A late mark is a gap, a clock that goes back is nothing, and only the latest gaps are kept."""
    mark = advanced(None, Micros(0), 10)
    assert mark == Presence(seen=Micros(0))
    assert advanced(mark, Micros(10), 10).gaps == ()
    assert advanced(mark, Micros(11), 10).gaps == gaps((0, 11))
    assert advanced(Presence(seen=Micros(5)), Micros(3), 10) == Presence(seen=Micros(5))
    for n in range(200):
        mark = advanced(mark, Micros((n + 1) * 100), 10)
    assert len(mark.gaps) == MOST_GAPS
    assert last_gap(mark.gaps, Micros(10**9)) == mark.gaps[-1]
    assert last_gap(mark.gaps, Micros(0)) is None


async def test_without_a_live_receiver_nothing_is_observed(world: Make) -> None:
    """Split roles: while no receiver renews, no signal can come, and no heartbeat expires."""
    w = await world(integration())
    assert not await w.store.read(lambda c: receivers_are_live(c, w.now))
    await w.store.write(lambda c: replicas.register(c, "d", "dispatcher", "1"))
    live = await w.store.read(replicas.live_replicas)
    assert not await w.store.read(lambda c: receivers_are_live(c, live[0].renewed_at))
    await w.store.write(lambda c: replicas.register(c, "r", "receiver", "1"))
    live = await w.store.read(replicas.live_replicas)
    assert await w.store.read(lambda c: receivers_are_live(c, live[0].renewed_at))


async def test_receivers_down_hold_every_heartbeat(world: Make) -> None:
    """An hour without receivers under a running dispatcher: no outage, and one full interval after their return."""
    receiving = [True]
    w = await world(integration(heartbeat={"interval": "60s"}))
    w.options = type(w.options)(receiving=lambda _c, _n: receiving[0])
    w._present = lambda _c: None
    await w.restart()
    await w.beat()
    receiving[0] = False
    for _ in range(60):
        await w.after(minutes=1)
    assert (await w.groups(), await w.heartbeat()) == ([], "alive")
    receiving[0] = True
    for _ in range(11):
        await w.after(seconds=5)
    assert await w.groups() == []
    back = w.now
    for _ in range(6):
        await w.after(seconds=5)
    (group,) = await w.groups()
    assert shown(group.started_at) > shown(back)
