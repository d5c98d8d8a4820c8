"""What time brings and what follows from what happens: heartbeats, windows, silences, escalations, retention.

`start_dispatcher` is all that a process needs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from sqlalchemy import Connection

from tocsin.dispatch import presence
from tocsin.dispatch.scene import Calendars, NoCalendars
from tocsin.dispatch.service import Dispatch, Options
from tocsin.store import wakeups
from tocsin.store.database import Store
from tocsin.store.replica import LiveFlow
from tocsin.store.replicas import live_replicas
from tocsin.telemetry import Telemetry

__all__ = ["Dispatch", "Options", "start_dispatcher"]

STOP_DEADLINE = 20.0
"""Seconds that the timer in hand may take when the process ends; its lease gives it to another one after that."""


async def start_dispatcher(
    store: Store,
    live: LiveFlow,
    telemetry: Telemetry,
    *,
    receives: bool = True,
    calendars: Calendars | None = None,
) -> Callable[[], Awaitable[None]]:
    """Runs timers in the background of this loop; the result ends that. Raises StoreUnavailable.

    `receives`: this process is a receiver, too, so while it runs, signals can be heard.
    """

    def alone(connection: Connection) -> bool:
        if store.dialect == "sqlite":
            return True
        others = (r for r in live_replicas(connection) if r.id != live.id)
        return not any(r.role in presence.RECEIVING_ROLES for r in others)

    options = Options(
        alone=alone,
        receiving=presence.here if receives else presence.receivers_are_live,
        calendars=calendars or NoCalendars(),
    )
    dispatch = Dispatch(store, live, telemetry=telemetry, options=options)
    await dispatch.start()
    live.on_change.append(dispatch.wake)
    deaf = store.wakeups.listen(wakeups.EVENTS, dispatch.engine.wake)
    task = asyncio.create_task(dispatch.run(), name="dispatch")

    async def stop() -> None:
        deaf()
        dispatch.stop()
        done, _ = await asyncio.wait({task}, timeout=STOP_DEADLINE)
        if not done:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await dispatch.renew()

    return stop
