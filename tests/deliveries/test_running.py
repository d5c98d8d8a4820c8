"""The worker as it runs: woken at once, bounded, never held up by one channel; it ends politely, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from delivering import Make, Micros, Sink, World, integration

from tocsin.dispatch.clock import StoreClock
from tocsin.dispatch.deliveries.traffic import PER_CHANNEL
from tocsin.dispatch.deliveries.worker import Worker
from tocsin.store import clock, deliveries, wakeups


@asynccontextmanager
async def running(w: World, *, listening: bool = True, sole: bool = False) -> AsyncIterator[Worker]:
    """A worker on the real clock; `listening`: it hears of what this process writes."""
    w.clock = StoreClock()  # type: ignore[assignment]
    w.worker = w.new_worker(sole=sole)
    task = asyncio.create_task(w.worker.run())
    deaf = w.store.wakeups.listen(wakeups.DELIVERIES, w.worker.wake) if listening else (lambda: None)
    try:
        yield w.worker
    finally:
        deaf()
        w.worker.stop()
        await task


async def now_of(w: World) -> Micros:
    return await w.store.read(clock.now)


async def groups_of(w: World, count: int) -> list[int]:
    """Before the worker runs, in virtual time."""
    return [(await w.alert(n=n)).number for n in range(count)]


async def order(w: World, channel: str, group: int, **more: object) -> str:
    """In the store's own time."""
    moment = await now_of(w)
    key = f"{channel}/{group}/{more}"
    new = deliveries.NewDelivery(
        key=key, kind="group", at=moment, channel=f"default/{channel}", group=group, data="{}"
    )
    await w.store.write(lambda c: deliveries.enqueue(c, [new]))
    return key


async def settled(w: World, count: int, state: str = "delivered") -> None:
    async with asyncio.timeout(20):
        while list((await w.states()).values()).count(state) < count:
            await asyncio.sleep(0.02)


async def test_what_is_written_is_sent_at_once_and_what_others_write_soon(
    world: Make, sink: Sink, engine: str
) -> None:
    """A commit of this process wakes the worker; without that it looks by itself."""
    w = await world(integration(), sink.channel("ops"))
    first, second = await groups_of(w, 2)
    async with running(w):
        await order(w, "ops", first)
        await sink.wait_for(1)
        await settled(w, 1)
    async with running(w, listening=False):
        await order(w, "ops", second)
        await sink.wait_for(2)
        await settled(w, 2)


async def test_a_channel_that_hangs_delays_nobody_else(world: Make, sink: Sink) -> None:
    """A hundred messages wait for a channel that never answers; those of another one arrive, before and behind them.

    Nor does it get more than its share of what is in flight.
    """
    w = await world(integration(), sink.channel("ops"), sink.pager("stuck"))
    sink.always["stuck"] = "hang"
    numbers = await groups_of(w, 105)
    for number in numbers[:100]:
        await order(w, "stuck", number)
    for number in numbers[100:]:
        await order(w, "ops", number)
    async with running(w) as worker:
        async with asyncio.timeout(20):
            while len(sink.at("ops")) < 5:
                await asyncio.sleep(0.01)
        assert len(sink.at("stuck")) <= PER_CHANNEL
        assert "default/stuck" in worker.busy
        sink.always.clear()
        sink.release.set()
        await settled(w, 105)


async def test_what_was_not_begun_is_given_back_at_the_end(world: Make, sink: Sink, engine: str) -> None:
    """Stopping waits for what is in flight; the rest can be taken by another dispatcher at once."""
    w = await world(integration(), sink.pager("ops"))
    sink.always["ops"] = "hang"
    for number in await groups_of(w, 20):
        await order(w, "ops", number)
    async with running(w):
        await sink.wait_for(PER_CHANNEL)
        asyncio.get_running_loop().call_later(0.2, sink.release.set)
    found = await w.deliveries()
    done = [one for one in found if one.state == 1]
    moment = await now_of(w)
    assert len(done) == len(sink.hits) < 20
    assert all(one.due_at <= moment for one in found if one.state == 0)


async def test_two_dispatchers_send_each_message_once(world: Make, sink: Sink, engine: str) -> None:
    """Both claim from the same queue; nothing is sent twice while both live."""
    w = await world(integration(), sink.pager("a"), sink.pager("b"))
    numbers = await groups_of(w, 60)
    async with running(w):
        other = w.new_worker()
        task = asyncio.create_task(other.run())
        for number in numbers:
            await order(w, "a" if number % 2 else "b", number)
        await settled(w, 60)
        other.stop()
        await task
    told = [hit.body[0]["labels"]["tocsin_group"] for hit in sink.hits]
    assert len(told) == len(set(told)) == 60


async def test_claims_of_the_last_run_are_given_back_at_the_start(world: Make, sink: Sink) -> None:
    """Where no other process can be at work, what a process that died had claimed does not wait for its lease."""
    w = await world(integration(), sink.channel("ops"))
    (number,) = await groups_of(w, 1)
    key = await order(w, "ops", number)
    moment = await now_of(w)
    await w.store.write(
        lambda c: deliveries.claim(c, "dead", limit=10, now=moment, lease=3_600_000_000, kinds=("group",))
    )
    async with running(w, sole=True):
        await sink.wait_for(1)
        await settled(w, 1)
    assert sink.hits[0].key == key
