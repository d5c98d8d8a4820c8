"""What every loop in the background of a process does: it can be woken from any thread, waits for an unreachable store,
survives surprises, and ends once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from tocsin.dispatch.dispatcher import hide_parameters
from tocsin.store.errors import StoreUnavailable

T = TypeVar("T")

STORE_PAUSE = 0.5
"""Seconds until the next try after one that failed."""


class Background:
    """`what` is what the loop is about, in the plural: it is named in the log."""

    def __init__(self, what: str, log: FilteringBoundLogger) -> None:
        self._what = what
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        self.woken = asyncio.Event()
        self.stopping = False

    def begin(self) -> asyncio.AbstractEventLoop:
        """The loop runs from now on, on this event loop."""
        self._loop = asyncio.get_running_loop()
        return self._loop

    def end(self) -> None:
        self._loop = None

    def wake(self) -> None:
        """Look now. From any thread; without effect before `begin` and after `end`."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.woken.set)

    def stop(self) -> None:
        self.stopping = True
        self.woken.set()

    async def patiently(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """What `work` returns; None, after a pause, if it could not be done now."""
        try:
            return await work()
        except Exception as error:  # noqa: BLE001 - whatever goes wrong, the loop must go on
            self.report(error)
        await asyncio.sleep(STORE_PAUSE)
        return None

    def report(self, error: Exception) -> None:
        """An unreachable store is a warning, everything else a fault of ours."""
        if isinstance(error, StoreUnavailable):
            self._log.warning(f"{self._what} wait for the store", reason=str(error))
            return
        hide_parameters(error)
        self._log.error(f"{self._what} stumbled and go on", exc_info=error)

    async def wait(self, seconds: float) -> None:
        """Until it is woken, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self.woken.wait()
        except TimeoutError:
            return
