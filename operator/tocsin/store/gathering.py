"""Calls of one event loop on their way to the commit thread, handed over when the loop has nothing else to do.

Loop and thread share one interpreter lock. A batch that starts while the loop still works on further requests fights with
it for that lock at every statement, which costs both of them more than the batch itself; handed over together, the calls
of a burst are stored while the loop waits for the network. A lone call is handed over within microseconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

QUIET_TURNS = 4
"""Turns of the loop without a new call after which it counts as idle."""

LONGEST = 0.01
"""Seconds that a call waits at most while the loop does not come to rest."""

MOST = 256
"""Calls that are handed over at once, rest or not."""


class Gathering(Generic[T]):
    """Gathers on one loop. `add` is called on it; `flush` may be called from anywhere."""

    __slots__ = ("_hand_over", "_items", "_looking", "_quiet", "_seen", "_since", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, hand_over: Callable[[T], None]) -> None:
        self.loop = loop
        self._hand_over = hand_over
        self._items: deque[T] = deque()
        self._looking = False
        self._seen = 0
        self._quiet = 0
        self._since = 0.0

    def add(self, item: T) -> None:
        self._items.append(item)
        if len(self._items) >= MOST:
            self.flush()
        elif not self._looking:
            self._looking = True
            self._seen = self._quiet = 0
            self._since = self.loop.time()
            self.loop.call_soon(self._look)

    def flush(self) -> None:
        """Hands over what there is, now."""
        while True:
            try:
                item = self._items.popleft()
            except IndexError:
                return
            self._hand_over(item)

    def _look(self) -> None:
        count = len(self._items)
        self._quiet = self._quiet + 1 if count == self._seen else 0
        self._seen = count
        if count and self._quiet < QUIET_TURNS and self.loop.time() - self._since < LONGEST:
            self.loop.call_soon(self._look)
            return
        self._looking = False
        self.flush()
