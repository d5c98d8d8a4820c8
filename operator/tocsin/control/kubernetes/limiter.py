"""At most so many requests a second, evenly after a burst; times are those of the running loop."""

from __future__ import annotations

import asyncio


class Limiter:
    """`wait` returns when the next request may go out. Callers are served in turn."""

    def __init__(self, rate: float, *, burst: int) -> None:
        self._interval = 1.0 / rate
        self._burst = burst
        self._next = float("-inf")

    async def wait(self) -> None:
        now = asyncio.get_running_loop().time()
        # The moment at which this request would be due if all before had come evenly.
        self._next = max(self._next, now - self._burst * self._interval) + self._interval
        if self._next > now:
            await asyncio.sleep(self._next - now)

    def pause(self, seconds: float) -> None:
        """Nobody goes for so long: the server asked for it."""
        self._next = max(self._next, asyncio.get_running_loop().time() + seconds)
