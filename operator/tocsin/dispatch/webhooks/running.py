"""Running webhooks in the background of a process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from tocsin.dispatch.clock import StoreClock
from tocsin.dispatch.webhooks.worker import STOP_WITHIN, Means, WebhookWorker
from tocsin.store import wakeups
from tocsin.store.database import Store
from tocsin.store.replica import LiveFlow
from tocsin.telemetry import Telemetry


async def start_webhooks(
    store: Store, live: LiveFlow, telemetry: Telemetry, means: Means
) -> Callable[[], Awaitable[None]]:
    """Makes the requests that wait in the background of this loop; the result ends that."""
    worker = WebhookWorker(store, live, means, clock=StoreClock(), telemetry=telemetry)
    task = asyncio.create_task(worker.run(), name="run webhooks")
    deaf = store.wakeups.listen(wakeups.DELIVERIES, worker.wake)

    async def stop() -> None:
        deaf()
        worker.stop()
        _, late = await asyncio.wait({task}, timeout=2 * STOP_WITHIN)
        for one in late:
            one.cancel()
        await asyncio.gather(task, return_exceptions=True)

    return stop
