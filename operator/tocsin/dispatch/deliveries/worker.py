"""Sends what waits: claims deliveries, prepares them, sends them side by side, records what came of it.

At least once: a message whose process died between sending and recording is sent again, under the same key, when its
lease ends. Claims, readings and records are made for many at once; in between nothing is held but memory.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection

from tocsin.dispatch.background import Background
from tocsin.dispatch.clock import SECOND, Clock
from tocsin.dispatch.deliveries import updates
from tocsin.dispatch.deliveries.bundling import Bundler
from tocsin.dispatch.deliveries.channels import Channels
from tocsin.dispatch.deliveries.loading import load
from tocsin.dispatch.deliveries.meters import DeliveryMeters
from tocsin.dispatch.deliveries.parcels import Parcel, Result
from tocsin.dispatch.deliveries.preparing import KINDS, Preparing
from tocsin.dispatch.deliveries.recording import POSTS, Recording, pause_of
from tocsin.dispatch.deliveries.sending import Sending
from tocsin.dispatch.deliveries.traffic import Traffic
from tocsin.dispatch.dispatcher import DispatchStore, hide_parameters
from tocsin.dispatch.live import Live, catching_up
from tocsin.flow.model import Micros
from tocsin.flow.program import Program
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.tools import Tools
from tocsin.store import channelhealth, deliveries
from tocsin.store.deliveries import Delivery
from tocsin.store.errors import StoreUnavailable
from tocsin.store.keys import KeyRing
from tocsin.telemetry import Telemetry

T = TypeVar("T")

LEASE = 30 * SECOND
"""Longer than a message may wait for its turn and be on its way (`traffic`, `sending`)."""

BATCH = 100
RECORDED_AT_ONCE = 200

LOOK_EVERY = 0.2
"""Seconds. What this process writes wakes it; what others write is seen by looking."""

CLAIM_EVERY = 0.025
RECORD_EVERY = 0.1
"""Seconds between two claims, and two records, at least: under load each is of more messages, and costs the same."""

COUNT_EVERY = 5.0
STOP_WITHIN = 15.0
TURNS_WITHIN = 30.0
"""A loop that has not been round for so long is stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What a worker sends with. `keys` open the credentials in the store.

    `sole`: no other process can hold a claim, so those of the last run are given back at once.
    """

    tools: Tools
    keys: KeyRing = field(repr=False)
    sole: bool = False


class Claimed(NamedTuple):
    """What `prepare` is for, and the flow that it was claimed under."""

    batch: list[Delivery]
    program: Program
    bundled: int


class Worker:
    """`run` until `stop`; or `run_due` to do all that is due now. One event loop; `wake` from anywhere."""

    def __init__(
        self, store: DispatchStore, live: Live, means: Means, *, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._store = store
        self._live = live
        self._means = means
        self._clock = clock
        self._log = telemetry.log
        self.meters = DeliveryMeters(telemetry.registry)
        self._channels = Channels(means.tools)
        self._bundler = Bundler()
        self._recording = Recording(live, clock, self.meters)
        self._traffic = Traffic(Sending(live, self._channels, self.meters, telemetry).send, self._finished)
        self._results: list[Result] = []
        self._in_hand: dict[tuple[int, str], int] = {}
        self._paused: dict[str, Micros] = {}
        self._now = Micros(0)
        self._owner = f"worker-{secrets.token_hex(6)}"
        self._background = Background("messages", telemetry.log)
        self._to_record = asyncio.Event()
        self._hungry = False
        self._told = False
        self._changed = True
        self._turned = time.monotonic()

    # --- from outside ---

    def wake(self) -> None:
        """Look now: something is to be sent. From any thread; without effect before `run`."""
        self._told = True
        self._background.wake()

    def stop(self) -> None:
        """`run` returns once what is in flight has arrived and is recorded; what has not begun is given back."""
        self._background.stop()

    @property
    def turning(self) -> bool:
        return time.monotonic() - self._turned < TURNS_WITHIN

    @property
    def busy(self) -> frozenset[str]:
        """Channels that are kept waiting on purpose: full, or paused by what they answered."""
        return self._traffic.full | {channel for channel, until in self._paused.items() if until > self._now}

    def follow(self) -> None:
        """A new flow is in force: what is not declared any more is forgotten."""
        targets = self._live.program.targets
        self._recording.health.forget(targets.channels)
        self._changed = True
        self.meters.forget_people({person.username for person in targets.responders.values()})
        self._background.woken.set()

    async def run(self) -> None:
        """Sends what is due until `stop`. An unreachable store is waited for."""
        background = self._background
        background.begin()
        recorder = asyncio.create_task(self._record_for_ever(), name="record deliveries")
        chores = asyncio.create_task(self._chores(), name="edits and counts")
        try:
            await self._background.patiently(self._take_over)
            while not background.stopping:
                background.woken.clear()
                self._turned = time.monotonic()
                claimed = await self._background.patiently(self.step) or 0
                await asyncio.sleep(max(self._turned + CLAIM_EVERY - time.monotonic(), 0) if claimed else 0)
                if claimed < BATCH:
                    await background.wait(LOOK_EVERY)
        finally:
            chores.cancel()
            self._traffic.give_back()
            await self._traffic.settle(STOP_WITHIN)
            recorder.cancel()
            await asyncio.gather(recorder, chores, return_exceptions=True)
            await self._background.patiently(self._record)
            background.end()

    async def run_due(self) -> int:
        """Everything that is due now, until it is recorded; how many deliveries were claimed. For tests."""
        done = 0
        while True:
            claimed = await self.step()
            while not self._traffic.idle:
                await self._traffic.any_landed()
            await self._record()
            if not claimed:
                return done
            done += claimed

    async def step(self) -> int:
        """Claims what is due and sets it in motion; how many deliveries that were. Raises StoreUnavailable."""
        busy, paused = self._traffic.full, dict(self._paused)
        self._hungry = bool(busy) or self._traffic.room <= 0
        if self._traffic.room <= 0:
            return 0
        told, self._told = self._told, False
        if not told and not await self._store.read(lambda c: self._is_due(c, busy, paused)):
            return 0
        claimed = await self._store.write(lambda connection: self._claim(connection, busy, paused))
        self.meters.bundled(claimed.bundled)
        await self._set_in_motion(claimed)
        return len(claimed.batch) + claimed.bundled

    # --- claiming ---

    def _is_due(self, connection: Connection, busy: frozenset[str], paused: Mapping[str, Micros]) -> bool:
        self._now = now = self._clock.now(connection)
        without = busy | {channel for channel, until in paused.items() if until > now}
        return deliveries.first_due(connection, now, kinds=KINDS, without=without) is not None

    def _claim(self, connection: Connection, busy: frozenset[str], paused: Mapping[str, Micros]) -> Claimed:
        self._now = now = self._clock.now(connection)
        program = self._live.program
        if catching_up(connection, program, now) is not None:
            return Claimed([], program, 0)
        batch = deliveries.claim(
            connection,
            self._owner,
            limit=min(BATCH, self._traffic.room),
            now=now,
            lease=LEASE,
            kinds=KINDS,
            without=busy | {channel for channel, until in paused.items() if until > now},
        )
        alone = self._bundler.sift(connection, batch, program.targets, now)
        return Claimed(alone, program, len(batch) - len(alone))

    async def _set_in_motion(self, claimed: Claimed) -> None:
        batch, program = self._one_by_one(claimed.batch), claimed.program
        if not batch:
            return
        try:
            ready = await self._prepare(batch, program)
        except BaseException:
            for one in batch:
                self._let_go(one)
            raise
        for outcome in ready:
            if isinstance(outcome, Result):
                self._finished(outcome)
        self._traffic.add(outcome for outcome in ready if isinstance(outcome, Parcel))

    async def _prepare(self, batch: list[Delivery], program: Program) -> list[Parcel | Result]:
        """In the thread that reads: rendering is CPU work that users' templates decide about."""
        to_open = self._channels.missing(program, {one.channel for one in batch})

        def prepare(connection: Connection) -> list[Parcel | Result]:
            loaded = load(connection, self._means.keys, program, batch, tuple(to_open.values()))
            self._channels.open(program, to_open, loaded.values)
            preparing = Preparing(program, self._channels, loaded, self._means.tools.console_url)
            return [preparing.prepare(one, self._log) for one in batch]

        return await self._store.read(prepare)

    def _one_by_one(self, claimed: list[Delivery]) -> list[Delivery]:
        """What posts or edits the message of a group in a channel waits for the one before: so there is one message,
        and what it says last is the latest.
        """
        free: list[Delivery] = []
        for one in claimed:
            message = _message_of(one)
            if message is None or self._in_hand.setdefault(message, one.id) == one.id:
                free.append(one)
            else:
                self._finished(Result(delivery=one, again=SECOND))
        return free

    def _let_go(self, one: Delivery) -> None:
        message = _message_of(one)
        if message is not None and self._in_hand.get(message) == one.id:
            del self._in_hand[message]

    # --- recording ---

    def _finished(self, result: Result) -> None:
        self._results.append(result)
        pause = pause_of(result)
        if pause:
            channel = result.delivery.channel
            self._paused[channel] = Micros(max(self._paused.get(channel, 0), self._now + pause))
            self._traffic.give_back(channel, again=pause)
        self._to_record.set()

    async def _record(self) -> None:
        while self._results:
            some = self._results[:RECORDED_AT_ONCE]
            try:
                await self._record_together(some)
            except StoreUnavailable:
                raise
            except Exception as error:  # noqa: BLE001 - one result's fault: the others must not be sent again for it
                hide_parameters(error)
                self._log.error("results could not be recorded together", exc_info=error)
                for result in some:
                    await self._record_alone(result)

    async def _record_alone(self, result: Result) -> None:
        try:
            await self._record_together([result])
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - sent again and again is worse than given up and seen
            hide_parameters(error)
            self._log.error("a result could not be recorded", delivery=result.delivery.id, exc_info=error)
            failure = DeliveryFailed(
                FailureReason.OTHER, "what came of it could not be recorded: see Tocsin's log", permanent=True
            )
            self._results[0] = result = Result(delivery=result.delivery, type=result.type, failure=failure)
            await self._record_together([result])

    async def _record_together(self, some: list[Result]) -> None:
        """The first ones of those that wait."""
        endings = await self._store.write(partial(self._recording.record, results=some))
        del self._results[: len(some)]
        for result in some:
            self._let_go(result.delivery)
        self._recording.count(endings)

    async def _record_for_ever(self) -> None:
        while True:
            await self._to_record.wait()
            self._to_record.clear()
            await self._background.patiently(self._record)
            if self._results:
                self._to_record.set()
            if self._hungry:
                self._background.woken.set()
            await asyncio.sleep(RECORD_EVERY)

    # --- the loops ---

    async def _take_over(self) -> None:
        if self._means.sole:
            await self._store.write(
                lambda connection: deliveries.release(connection, self._clock.now(connection), kinds=KINDS)
            )

    async def _chores(self) -> None:
        counted = -COUNT_EVERY
        while True:
            await asyncio.sleep(updates.EVERY)
            await self._background.patiently(self.edit_late)
            if time.monotonic() - counted >= COUNT_EVERY:
                counted = time.monotonic()
                await self._background.patiently(self.count)
                await self._background.patiently(self.forget_channels)

    async def edit_late(self) -> int:
        """Enqueues edits of messages that say less than there is; how many. Raises StoreUnavailable."""
        program = self._live.program

        def edits(channel: str) -> bool | None:
            way = self._channels.get(program, channel)
            return None if way is None else way.edits

        def enqueue(connection: Connection) -> int:
            return updates.enqueue_late(connection, edits, self._clock.now(connection))

        def is_any(connection: Connection) -> bool:
            return updates.is_any_behind(connection, self._clock.now(connection))

        return await self._store.write(enqueue) if await self._store.read(is_any) else 0

    async def forget_channels(self) -> None:
        """The health of channels that are not declared any more is nobody's, and not that of a later one of the name."""
        if not self._changed:
            return
        self._changed = False
        program = self._live.program

        def gone(connection: Connection) -> list[str]:
            if catching_up(connection, program, self._clock.now(connection)) is not None:
                return []
            known = channelhealth.list_channels(connection)
            return [one.channel for one in known if one.channel not in program.targets.channels]

        def forget(connection: Connection) -> None:
            for channel in gone(connection):
                channelhealth.forget(connection, channel)

        if await self._store.read(gone):
            await self._store.write(forget)

    async def count(self) -> None:
        """Reads how much waits, for the metrics. Raises StoreUnavailable."""

        def read(connection: Connection) -> tuple[int, int]:
            now = self._clock.now(connection)
            oldest = deliveries.first_due(connection, now, kinds=KINDS)
            return deliveries.pending(connection, kinds=KINDS), 0 if oldest is None else now - oldest

        waiting, age = await self._store.read(read)
        self.meters.pending.set(waiting)
        self.meters.oldest.set(age / SECOND)
        self._bundler.forget_old(self._now)
        self._paused = {channel: until for channel, until in self._paused.items() if until > self._now}


def _message_of(one: Delivery) -> tuple[int, str] | None:
    """Which message of a group in a channel is posted or edited; None if it is another kind of delivery."""
    return (one.group, one.channel) if one.kind in POSTS and one.group is not None else None
