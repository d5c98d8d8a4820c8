"""Sending messages in the background of a process: the worker, and the watchdog if a URL was given."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tocsin.dispatch import presence
from tocsin.dispatch.clock import StoreClock
from tocsin.dispatch.deliveries.watchdog import Watchdog, Watched
from tocsin.dispatch.deliveries.worker import STOP_WITHIN, Means, Worker
from tocsin.notify.tools import Tools
from tocsin.store import wakeups
from tocsin.store.database import Store
from tocsin.store.replica import LiveFlow
from tocsin.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """`watchdog_url` is a secret; "" is none. `receives`: this process is a receiver, too."""

    tools: Tools
    watchdog_url: str = field(default="", repr=False)
    receives: bool = True


async def start_deliveries(
    store: Store, live: LiveFlow, telemetry: Telemetry, sending: Sending
) -> Callable[[], Awaitable[None]]:
    """Sends what waits in the background of this loop; the result ends that."""
    clock = StoreClock()
    means = Means(tools=sending.tools, keys=store.keys, sole=store.dialect == "sqlite")
    worker = Worker(store, live, means, clock=clock, telemetry=telemetry)
    tasks = [asyncio.create_task(worker.run(), name="send messages")]
    live.on_change.append(worker.follow)
    deaf = store.wakeups.listen(wakeups.DELIVERIES, worker.wake)
    watched = Watched(
        url=sending.watchdog_url,
        receiving=presence.here if sending.receives else presence.receivers_are_live,
        busy=lambda: worker.busy,
        turning=lambda: worker.turning,
    )
    watchdog = Watchdog(store, sending.tools.http, watched, clock=clock, telemetry=telemetry)
    if sending.watchdog_url:
        tasks.append(asyncio.create_task(watchdog.run(), name="watchdog"))

    async def stop() -> None:
        deaf()
        live.on_change.remove(worker.follow)
        worker.stop()
        for task in tasks[1:]:
            task.cancel()
        _, late = await asyncio.wait(tasks, timeout=2 * STOP_WITHIN)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    return stop
