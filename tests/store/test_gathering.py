"""Calls of a burst go into one transaction; nothing that is gathered is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from tocsin.store.commit import GroupCommit
from tocsin.store.errors import StoreUnavailable
from tocsin.store.gathering import MOST


class Recorder:
    """Stands for the backend: remembers the batches, and what else was done between them."""

    def __init__(self) -> None:
        self.done: list[Any] = []

    def run(self, calls: Sequence[Any]) -> Sequence[Any]:
        self.done.append(tuple(calls))
        return [("stored", call) for call in calls]


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def commit(recorder: Recorder) -> Iterator[GroupCommit]:
    made = GroupCommit(recorder.run)
    yield made
    made.close()


async def test_calls_of_several_turns_of_a_busy_loop_are_one_batch(
    commit: GroupCommit, recorder: Recorder
) -> None:
    """As long as each turn brings a new call the loop is not at rest; then all go together, each with its own answer."""
    futures = []
    for number in range(20):
        futures.append(commit.ingest((number,)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
    answers = await asyncio.gather(*futures)
    assert answers == [("stored", (number,)) for number in range(20)]
    assert len(recorder.done) <= 5, (
        "one batch; more only where the machine paused for longer than a call may wait"
    )


async def test_a_full_gathering_goes_at_once(commit: GroupCommit, recorder: Recorder) -> None:
    futures = [commit.ingest((number,)) for number in range(MOST + 1)]  # type: ignore[arg-type]
    await asyncio.gather(*futures)
    assert sum(len(batch) for batch in recorder.done) == MOST + 1


async def test_a_lone_call_waits_for_nobody(commit: GroupCommit, recorder: Recorder) -> None:
    assert await commit.ingest((1,)) == ("stored", (1,))  # type: ignore[arg-type, comparison-overlap]
    assert recorder.done == [((1,),)]


async def test_order_is_kept_between_calls_and_other_writes(commit: GroupCommit, recorder: Recorder) -> None:
    """A write that is asked for after a call happens after it."""
    future = commit.ingest((1,))  # type: ignore[arg-type]
    await asyncio.wrap_future(commit.perform(lambda: recorder.done.append("write")))
    await future
    assert recorder.done == [((1,),), "write"]


async def test_closing_stores_what_is_gathered_and_refuses_the_rest(recorder: Recorder) -> None:
    commit = GroupCommit(recorder.run)
    future = commit.ingest((1,))  # type: ignore[arg-type]
    await asyncio.to_thread(commit.close)
    assert await future == ("stored", (1,))  # type: ignore[comparison-overlap]
    with pytest.raises(StoreUnavailable):
        await commit.ingest((2,))  # type: ignore[arg-type]


def test_every_loop_gathers_by_itself(commit: GroupCommit, recorder: Recorder) -> None:
    """Loops come and go; each gets its answers."""

    async def one(number: int) -> Any:
        return await commit.ingest((number,))  # type: ignore[arg-type]

    for number in range(5):
        assert asyncio.run(one(number)) == ("stored", (number,))
    assert len(commit._gatherings) <= 2
