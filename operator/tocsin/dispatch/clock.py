"""The dispatcher's clock. Tests put a virtual one in its place, so that hours of timers run in milliseconds."""

from __future__ import annotations

import asyncio
from typing import Protocol

from sqlalchemy import Connection

from tocsin.flow.model import Micros
from tocsin.store import clock

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Clock(Protocol):
    """The moment that timers are compared with, and a way to wait that a notification can cut short."""

    def now(self, connection: Connection) -> Micros:
        """UTC in microseconds; the same for all dispatchers of one store."""
        ...

    async def wait(self, duration: int, woken: asyncio.Event) -> None:
        """Returns after `duration` microseconds, or as soon as `woken` is set."""
        ...


class StoreClock:
    """The store's clock: PostgreSQL's own, so that dispatchers agree whatever their machines say."""

    def now(self, connection: Connection) -> Micros:
        return clock.now(connection)

    async def wait(self, duration: int, woken: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(max(duration, 0) / SECOND):
                await woken.wait()
        except TimeoutError:
            return
