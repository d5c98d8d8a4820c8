"""The dispatcher's clock. Tests put a virtual one in its place, so that hours of timers run in milliseconds."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

from tocsin.flow.model import Micros

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE


class Clock(Protocol):
    """UTC in microseconds, and a way to wait that a notification can cut short."""

    def now(self) -> Micros: ...

    async def wait(self, until: Micros | None, woken: asyncio.Event) -> None:
        """Returns when `now()` has reached `until` (None: never) or when `woken` is set, whichever is first."""
        ...


class SystemClock:
    """The machine's clock. Waits are cut into pieces, so that a clock that is set forward is noticed."""

    def __init__(self, longest_wait: int = 5 * SECOND) -> None:
        self._longest = longest_wait

    def now(self) -> Micros:
        return Micros(time.time_ns() // 1000)

    async def wait(self, until: Micros | None, woken: asyncio.Event) -> None:
        while not woken.is_set():
            left = self._longest if until is None else min(until - self.now(), self._longest)
            if left <= 0:
                return
            try:
                async with asyncio.timeout(left / SECOND):
                    await woken.wait()
            except TimeoutError:
                continue
