"""Messages in flight: bounded in all and per channel, so that a channel that hangs delays nobody but itself."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

from tocsin.dispatch.deliveries.parcels import Parcel, Result
from tocsin.notify.channel import FailureReason

IN_FLIGHT = 64
PER_CHANNEL = 4
WHEN_SLOW = 1
"""Of a channel whose last attempt got no answer in time."""

HELD_PER_CHANNEL = 8
HELD = 512
"""In flight or waiting for their turn; more are not claimed."""

BEGIN_WITHIN = 10.0
"""Seconds after the claim. What did not get its turn by then is given back, before its lease ends."""

Send = Callable[[Parcel], Awaitable[Result]]


@dataclass(slots=True)
class _Lane:
    """One channel. `waiting` are parcels with the moment of their claim."""

    waiting: deque[tuple[Parcel, float]] = field(default_factory=deque)
    flying: int = 0
    slow: bool = False

    @property
    def held(self) -> int:
        return len(self.waiting) + self.flying

    @property
    def may_fly(self) -> bool:
        return bool(self.waiting) and self.flying < (WHEN_SLOW if self.slow else PER_CHANNEL)


class Traffic:
    """Calls `send` for each parcel in its turn and `done` with each result, on one event loop. `send` never raises."""

    def __init__(self, send: Send, done: Callable[[Result], None]) -> None:
        self._send = send
        self._done = done
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._flying = 0

    @property
    def full(self) -> frozenset[str]:
        """Channels that hold as many as they may."""
        return frozenset(name for name, lane in self._lanes.items() if lane.held >= HELD_PER_CHANNEL)

    @property
    def room(self) -> int:
        return HELD - sum(lane.held for lane in self._lanes.values())

    @property
    def idle(self) -> bool:
        return not self._flying and not any(lane.waiting for lane in self._lanes.values())

    def add(self, parcels: Iterable[Parcel]) -> None:
        now = time.monotonic()
        for parcel in parcels:
            lane = self._lanes.setdefault(parcel.delivery.channel, _Lane())
            lane.waiting.append((parcel, now))
        self._launch()

    def give_back(self, channel: str | None = None, *, again: int = 0) -> None:
        """What has not begun (in one channel, or at all) is done with for now, to be tried `again` (microseconds)."""
        names = list(self._lanes) if channel is None else [channel]
        for name in names:
            lane = self._lanes.get(name)
            while lane is not None and lane.waiting:
                parcel, _ = lane.waiting.popleft()
                self._not_tried(parcel, again)

    async def any_landed(self) -> None:
        """Waits until one more of those in flight has arrived."""
        if self._tasks:
            await asyncio.wait(set(self._tasks), return_when=asyncio.FIRST_COMPLETED)

    async def settle(self, seconds: float) -> None:
        """Waits for what is in flight; what takes longer is cut off and comes again when its lease ends."""
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _launch(self) -> None:
        """Channels in turns, one parcel each, until nothing more may begin."""
        begun = True
        while begun and self._flying < IN_FLIGHT:
            begun = False
            for lane in list(self._lanes.values()):
                if lane.may_fly and self._flying < IN_FLIGHT:
                    self._begin(lane, *lane.waiting.popleft())
                    begun = True
        for name in [name for name, lane in self._lanes.items() if not lane.held and not lane.slow]:
            del self._lanes[name]

    def _begin(self, lane: _Lane, parcel: Parcel, claimed: float) -> None:
        if time.monotonic() - claimed > BEGIN_WITHIN:
            self._not_tried(parcel, 0)
            return
        lane.flying += 1
        self._flying += 1
        task = asyncio.create_task(self._fly(lane, parcel), name=f"send {parcel.delivery.kind}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fly(self, lane: _Lane, parcel: Parcel) -> None:
        try:
            result = await self._send(parcel)
        finally:
            lane.flying -= 1
            self._flying -= 1
        lane.slow = result.failure is not None and result.failure.reason is FailureReason.TIMEOUT
        self._done(result)
        self._launch()

    def _not_tried(self, parcel: Parcel, again: int) -> None:
        self._done(
            Result(delivery=parcel.delivery, type=parcel.way.fragment.type, parcel=parcel, again=again)
        )
