"""The dispatcher of one process, put together: every kind of timer with its handler, and the standing timers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from tocsin.dispatch import announcements, heartbeats, lapses, presence, sweeping, windows
from tocsin.dispatch.clock import Clock, StoreClock
from tocsin.dispatch.deliveries import announcing
from tocsin.dispatch.dispatcher import Dispatcher, DispatchStore, Handler
from tocsin.dispatch.engine import Engine
from tocsin.dispatch.live import Live
from tocsin.dispatch.reminders import Reminders
from tocsin.dispatch.scene import Calendars, NoCalendars
from tocsin.flow.model import Digest
from tocsin.store import claims, timers
from tocsin.store.errors import StoreUnavailable
from tocsin.store.retention import Policy
from tocsin.telemetry import Telemetry

PRESENCE = "presence"
SUBJECT = "all"

AT_START = (PRESENCE, windows.KIND, heartbeats.PLAN, sweeping.KIND)
AT_A_NEW_FLOW = (windows.KIND, heartbeats.PLAN)


Alone = Callable[[Connection], bool]
"""Whether no other process receives, so that the start of this one ends a downtime of the whole."""


def always_alone(_connection: Connection) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`receiving` tells whether anybody receives at a moment. `calendars`: those that on-call schedules refer to."""

    alone: Alone = always_alone
    calendars: Calendars = field(default_factory=NoCalendars)
    receiving: presence.Receiving = presence.here
    retention: Policy = field(default_factory=Policy)


class Dispatch:
    """`start`, then `run` until `stop`. Safe to have in any number of processes on one store."""

    def __init__(
        self,
        store: DispatchStore,
        live: Live,
        *,
        telemetry: Telemetry,
        clock: Clock | None = None,
        options: Options | None = None,
    ) -> None:
        self._store = store
        self._live = live
        self._clock = StoreClock() if clock is None else clock
        self._options = Options() if options is None else options
        self._seen: Digest | None = None
        self.dispatcher = Dispatcher(
            store,
            handlers(live, telemetry, self._options),
            clock=self._clock,
            telemetry=telemetry,
        )
        self.engine = Engine(
            store, live, clock=self._clock, calendars=self._options.calendars, telemetry=telemetry
        )

    async def start(self) -> None:
        """Tells a downtime that just ended from everybody else's silence, and sets the standing timers. Raises
        StoreUnavailable.
        """
        self._seen = self._live.program.digest
        await self._store.write(self._begin)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.engine.run(), name="escalations")
            tasks.create_task(self.dispatcher.run(self.follow), name="timers")

    async def run_due(self) -> None:
        """Everything that is due by now, and what falls due because of it."""
        while await self.dispatcher.run_due() + await self.engine.run_due():
            continue

    async def follow(self) -> None:
        """A flow that took effect since the last call is compared with what runs. Raises StoreUnavailable."""
        digest = self._live.program.digest
        if digest != self._seen:
            await self._store.write(self._look_again)
            self._seen = digest

    def wake(self) -> None:
        """Something was scheduled, or the flow has changed: look now. To be called on the dispatcher's loop."""
        self.dispatcher.wake()
        self.engine.wake()

    def stop(self) -> None:
        self.dispatcher.stop()
        self.engine.stop()

    async def renew(self) -> None:
        """Moves the mark of presence once more, before a planned stop, so that the downtime is known exactly."""
        try:
            await self._store.write(self._mark)
        except StoreUnavailable:
            return

    def _begin(self, connection: Connection) -> None:
        now = self._clock.now(connection)
        alone = self._options.alone(connection)
        if alone or self._options.receiving(connection, now):
            presence.renew(connection, now, longest_pause=0 if alone else presence.LONGEST_PAUSE)
        for kind in AT_START:
            claims.schedule_earlier(connection, kind, SUBJECT, now)

    def _look_again(self, connection: Connection) -> None:
        now = self._clock.now(connection)
        for kind in AT_A_NEW_FLOW:
            claims.schedule_earlier(connection, kind, SUBJECT, now)

    def _mark(self, connection: Connection) -> None:
        now = self._clock.now(connection)
        if self._options.receiving(connection, now):
            presence.renew(connection, now)


def handlers(live: Live, telemetry: Telemetry, options: Options) -> Mapping[str, Handler]:
    """Kind of timer -> what runs it. Kinds that are not here wait for whoever handles them."""
    beats = heartbeats.Heartbeats(live, telemetry, options.receiving)
    return {
        PRESENCE: Handler(run=beats.renew, standing=True),
        heartbeats.PLAN: Handler(run=beats.plan, standing=True),
        timers.HEARTBEAT: Handler(run=beats.check, standing=True),
        windows.KIND: Handler(run=windows.Reconciler(live, telemetry).run, standing=True),
        sweeping.KIND: Handler(run=sweeping.Sweeper(telemetry, options.retention).run, standing=True),
        timers.UNSILENCE: Handler(run=lapses.end_silence),
        timers.EXPIRE: Handler(run=lapses.expire),
        announcements.KIND: Handler(run=announcing.run),
        timers.REMIND: Handler(run=Reminders(live, options.calendars).run),
    }
