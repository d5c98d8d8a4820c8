"""Runs what happened and what is due: batches of events, escalations and responders' rules, each batch one transaction.

Any number of engines may work on one store: a batch holds the locks of its rows until its effects are committed, and
what another one holds is passed over. What a batch writes for others (deliveries) they find after the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from tocsin.dispatch.background import Background
from tocsin.dispatch.clock import SECOND, Clock
from tocsin.dispatch.dispatcher import DispatchStore, describe, hide_parameters
from tocsin.dispatch.live import Live, catching_up
from tocsin.dispatch.meters import EngineMeters
from tocsin.dispatch.scene import Calendars, set_scene
from tocsin.dispatch.works import WORKS, Work
from tocsin.flow.model import Micros
from tocsin.store import agenda, dialects
from tocsin.store.agenda import Agenda
from tocsin.store.errors import StoreUnavailable
from tocsin.telemetry import Telemetry

BATCH = 100
LONGEST_WAIT = SECOND
"""For how long at most an alert that joins a paused escalation is not noticed."""

LONGEST_WAIT_FOR_OTHERS = SECOND // 5
"""The same for what other processes write."""


TURN = 0.03
"""Seconds from one turn to the next at least: what happens meanwhile shares the cost of a transaction."""


class Engine:
    """`run` until `stop`; or `run_due` and `next_due` one step at a time, under a clock of one's own."""

    def __init__(
        self, store: DispatchStore, live: Live, *, clock: Clock, calendars: Calendars, telemetry: Telemetry
    ) -> None:
        self._store = store
        self._live = live
        self._clock = clock
        self._premises = _Premises(clock=clock, live=live, calendars=calendars)
        self._log = telemetry.log
        self._meters = EngineMeters(telemetry.registry)
        self._background = Background("escalations", telemetry.log)

    def wake(self) -> None:
        """Look now: something happened. From any thread; without effect before `run`."""
        self._background.wake()

    def stop(self) -> None:
        """`run` returns once the batch in hand is done."""
        self._background.stop()

    async def run(self) -> None:
        """An unreachable store is waited for; nothing else ends it but `stop`."""
        background = self._background
        loop = background.begin()
        while not background.stopping:
            background.woken.clear()
            began = loop.time()
            try:
                wait = await self._turn()
            except Exception as error:  # noqa: BLE001 - whatever it is, escalations must go on
                background.report(error)
                wait = LONGEST_WAIT
            await self._clock.wait(wait, background.woken)
            await asyncio.sleep(max(0, began + TURN - loop.time()))

    async def run_due(self) -> int:
        """Everything that happened or is due by now; how many items. Nothing before the current flow is loaded."""
        done = 0
        while not self._background.stopping:
            seen = await self._store.read(self._look)
            some = await self._work(seen)
            done += some
            if not some:
                break
        return done

    async def next_due(self) -> Micros | None:
        return (await self._store.read(agenda.look)).next_due

    async def _turn(self) -> int:
        """One batch of each kind that waits; for how long there is nothing more to do."""
        seen = await self._store.read(self._look)
        if await self._work(seen):
            return 0
        due = seen.agenda.next_due
        return seen.longest if due is None or due <= seen.now else min(seen.longest, due - seen.now)

    async def _work(self, seen: _Seen) -> int:
        done = 0
        for work in WORKS:
            if work.waits(seen.agenda, seen.now):
                done += await self._run(work)
        return done

    def _look(self, connection: Connection) -> _Seen:
        longest = LONGEST_WAIT_FOR_OTHERS if dialects.is_postgresql(connection) else LONGEST_WAIT
        return _Seen(agenda=agenda.look(connection), now=self._clock.now(connection), longest=longest)

    async def _run(self, work: Work[Any]) -> int:
        batch = _Batch(self._premises, work, BATCH)
        try:
            await self._store.write(batch)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one item's fault: find out whose, and do the others
            hide_parameters(error)
            self._log.error("a batch failed and is tried item by item", work=work.name, exc_info=error)
            return await self._one_by_one(work)
        self._count(batch)
        return len(batch.items)

    async def _one_by_one(self, work: Work[Any]) -> int:
        for done in range(BATCH):
            batch = _Batch(self._premises, work, 1)
            try:
                await self._store.write(batch)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - this one's fault
                hide_parameters(error)
                self._log.error("an item failed", work=work.name, exc_info=error)
                self._meters.failed(work.name)
                await self._set_aside(batch, describe(error))
                continue
            if not batch.items:
                return done
            self._count(batch)
        return BATCH

    async def _set_aside(self, batch: _Batch, reason: str) -> None:
        def write(connection: Connection) -> None:
            for item in batch.items:
                batch.work.set_aside(connection, item, reason, self._clock.now(connection))

        await self._store.write(write)

    def _count(self, batch: _Batch) -> None:
        for item in batch.items:
            self._meters.ran(batch.work.name, max(0, batch.now - batch.work.since(item, batch.now)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    agenda: Agenda
    now: Micros
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Premises:
    clock: Clock
    live: Live
    calendars: Calendars


class _Batch:
    """One transaction. `items`: what it is about, also after it failed."""

    def __init__(self, premises: _Premises, work: Work[Any], limit: int) -> None:
        self.work = work
        self.items: Sequence[Any] = ()
        self.now = Micros(0)
        self._premises = premises
        self._limit = limit

    def __call__(self, connection: Connection) -> None:
        self.now = now = self._premises.clock.now(connection)
        self.items = ()
        program = self._premises.live.program
        if catching_up(connection, program, now) is not None:
            return
        self.items = self.work.take(connection, now, self._limit)
        if self.items:
            numbers = {item.group for item in self.items}
            scene = set_scene(connection, now, program, self._premises.calendars, numbers)
            self.work.act(scene, self.items)
            scene.ledger.write(connection, now)
