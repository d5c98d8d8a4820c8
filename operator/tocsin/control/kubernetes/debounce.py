"""Many events close together are one change: wait for quiet, but not for long."""

from __future__ import annotations

import asyncio

QUIET = 0.05
LONGEST = 0.3


class Debounce:
    """`touch` says that something changed; `settled` returns when it is time to act on it.

    That is once `quiet` seconds passed without a touch, and at the latest `longest` after the first. Times are those
    of the running loop's clock.
    """

    def __init__(self, *, quiet: float = QUIET, longest: float = LONGEST) -> None:
        self._quiet = quiet
        self._longest = longest
        self._first: float | None = None
        self._last = 0.0
        self._touched = asyncio.Event()

    def touch(self) -> None:
        """To be called on the loop that waits."""
        now = asyncio.get_running_loop().time()
        if self._first is None:
            self._first = now
        self._last = now
        self._touched.set()

    async def settled(self) -> None:
        """Waits for a touch and then for quiet. Touches from then on count for the next call."""
        await self._touched.wait()
        loop = asyncio.get_running_loop()
        while self._first is not None:
            due = min(self._last + self._quiet, self._first + self._longest)
            if (left := due - loop.time()) <= 0:
                break
            await asyncio.sleep(left)
        self._touched.clear()
        self._first = None
