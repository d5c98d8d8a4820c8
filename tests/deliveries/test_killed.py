"""kill -9 of a process that sends, at random points: every message arrives, and a repeated one says so by its key."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from delivering import KEYS, Make, Sink, World, integration

from tocsin.dispatch.deliveries.traffic import IN_FLIGHT
from tocsin.store import Store, clock, deliveries
from tocsin.store.deliveries import DeliveryState, NewDelivery

SENDER = Path(__file__).with_name("sender.py")
CHANNELS = 20
PER_CHANNEL = 4
"""Fewer than would be bundled."""

KILLS = 5


async def enqueue(w: World, sink: Sink) -> None:
    numbers = [(await w.alert(n=n)).number for n in range(CHANNELS * PER_CHANNEL)]

    def write(connection: deliveries.Connection) -> None:
        now = clock.now(connection)
        orders = [
            NewDelivery(
                key=f"group/{number}", kind="group", at=now, channel=f"default/c{at % CHANNELS}", group=number
            )
            for at, number in enumerate(numbers)
        ]
        deliveries.enqueue(connection, orders)

    await w.store.write(write)


async def end_of_leases(url: str) -> Counter[str]:
    """As if their time were over: what the killed process held is free. How many there are of each state."""
    store = await Store.open(url, keys=KEYS)
    await store.write(lambda c: deliveries.release(c, clock.now(c), kinds=("group",)))
    found = await store.read(lambda c: deliveries.list_deliveries(c, limit=10_000))
    await store.close()
    return Counter(DeliveryState(one.state).name for one in found)


async def run_until(url: str, sink: Sink, count: int, chance: random.Random) -> None:
    """Starts a sender; kills it a moment after so many messages have arrived."""
    process = subprocess.Popen([sys.executable, str(SENDER), url])
    try:
        await sink.wait_for(count, seconds=60)
        await asyncio.sleep(chance.random() * 0.06)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


@pytest.mark.timeout(280)
async def test_each_message_arrives_at_least_once(world: Make, sink: Sink, engine: str) -> None:
    """The process dies five times, between claiming, sending and recording. What was sent but not recorded is sent again
    under the same key, so that the far end can tell; that is few. Nothing is missing, nothing is made up.
    """
    w = await world(integration(), *(sink.channel(f"c{n}") for n in range(CHANNELS)))
    await enqueue(w, sink)
    await w.store.close()
    chance = random.Random(11)
    sink.delay = 0.02
    for kill in range(1, KILLS + 1):
        await run_until(w.url, sink, min(kill * 9, CHANNELS * PER_CHANNEL), chance)
        await end_of_leases(w.url)
    process = subprocess.Popen([sys.executable, str(SENDER), w.url])
    expected = {f"group/{n}" for n in {hit.number for hit in sink.hits}}
    try:
        async with asyncio.timeout(60):
            while len({hit.key for hit in sink.hits}) < CHANNELS * PER_CHANNEL:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.5)
    finally:
        process.terminate()
        process.wait()
    states = await end_of_leases(w.url)
    times = Counter(hit.key for hit in sink.hits)
    assert len(times) == CHANNELS * PER_CHANNEL
    assert times.keys() >= expected
    assert all(hit.key == f"group/{hit.number}" for hit in sink.hits)
    repeated = sum(times.values()) - len(times)
    assert repeated <= KILLS * 2 * IN_FLIGHT, f"{repeated} of {len(times)} were sent again"
    assert states["DELIVERED"] + states["PENDING"] == CHANNELS * PER_CHANNEL
    await w.open()
