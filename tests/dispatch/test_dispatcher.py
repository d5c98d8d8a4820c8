"""The dispatcher alone: claims, retries, dead timers, wake-ups, and several of them on one store."""

from __future__ import annotations

import asyncio
import io
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dispatching import KEYS, VirtualClock, micros, new_database
from sqlalchemy import Connection

from tocsin.dispatch.dispatcher import (
    BATCH,
    MOST_ATTEMPTS,
    Dispatcher,
    Handler,
    Job,
    back_off,
    describe,
    hide_parameters,
)
from tocsin.flow.model import Micros
from tocsin.store import Store, claims, schema, timers
from tocsin.store.errors import StoreUnavailable
from tocsin.telemetry import Telemetry

START = micros("2026-07-01T12:00:00Z")
SECOND = 1_000_000


@pytest.fixture
async def store(folder: Path) -> AsyncIterator[Store]:
    opened = await Store.open(await new_database(folder / "timers.db"), keys=KEYS)
    yield opened
    await opened.close()


class Recorder:
    """A handler that notes what it ran, and does what it is told."""

    def __init__(self, *, fails: int = 0, again: int | None = None) -> None:
        self.ran: list[tuple[str, int]] = []
        self.fails = fails
        self.again = again

    def __call__(self, connection: Connection, job: Job) -> Micros | None:
        schema.write_setting(connection, "touched", job.timer.subject.encode())
        self.ran.append((job.timer.subject, (job.now - START) // SECOND))
        if self.fails:
            self.fails -= 1
            raise RuntimeError("boom")
        return None if self.again is None else Micros(job.now + self.again)


def dispatcher(
    store: Store, clock: VirtualClock, *, standing: bool = False, **handlers: Recorder
) -> Dispatcher:
    telemetry = Telemetry.create(stream=io.StringIO(), process_metrics=False)
    made = {kind: Handler(run=run, standing=standing) for kind, run in handlers.items()}
    made_dispatcher = Dispatcher(store, made, clock=clock, telemetry=telemetry)
    made_dispatcher.telemetry = telemetry
    return made_dispatcher


async def schedule(store: Store, kind: str, subject: str, after: int = 0) -> None:
    await store.write(lambda c: timers.schedule(c, kind, subject, Micros(START + after * SECOND)))


async def play(d: Dispatcher, clock: VirtualClock, until: int) -> None:
    """Runs every timer at its own moment up to `until` seconds after the start."""
    end = START + until * SECOND
    while (due := await d.next_due()) is not None and due <= end:
        clock.moment = Micros(max(due, clock.moment))
        await d.run_due()
    clock.moment = Micros(end)


async def test_each_timer_runs_once_at_its_time(store: Store) -> None:
    """Not before it is due, in order, and then it is gone."""
    clock, handler = VirtualClock(START), Recorder()
    d = dispatcher(store, clock, k=handler)
    for subject, after in (("late", 7200), ("early", 60), ("now", 0)):
        await schedule(store, "k", subject, after)
    await play(d, clock, 10_000)
    assert handler.ran == [("now", 0), ("early", 60), ("late", 7200)]
    assert await d.next_due() is None


async def test_more_than_one_batch_is_done_in_one_go(store: Store) -> None:
    """What is due is due, however many there are."""
    clock, handler = VirtualClock(START), Recorder()
    d = dispatcher(store, clock, k=handler)
    for n in range(BATCH + 5):
        await schedule(store, "k", str(n))
    assert await d.run_due() == BATCH + 5


async def test_a_kind_without_handler_is_left_alone(store: Store) -> None:
    """No error, no claim: it waits for whoever handles it."""
    clock, handler = VirtualClock(START), Recorder()
    d = dispatcher(store, clock, k=handler)
    await schedule(store, "escalation-start", "1")
    assert (await d.run_due(), await d.next_due()) == (0, None)
    (waiting,) = await store.read(lambda c: timers.list_timers(c, "escalation-start"))
    assert (waiting.attempts, waiting.due_at) == (0, START)


async def test_a_failure_undoes_the_work_and_comes_again_later(store: Store) -> None:
    """The handler's writes roll back with it; tries after 1, 2, 4 seconds; then it is done."""
    clock, handler = VirtualClock(START), Recorder(fails=3)
    d = dispatcher(store, clock, k=handler)
    await schedule(store, "k", "x")
    await d.run_due()
    assert await store.read(lambda c: schema.read_setting(c, "touched")) is None
    await play(d, clock, 100)
    assert handler.ran == [("x", 0), ("x", 1), ("x", 3), ("x", 7)]
    assert await store.read(lambda c: schema.read_setting(c, "touched")) == b"x"


async def test_one_failing_timer_does_not_stop_the_others(store: Store) -> None:
    """Neither those behind it nor those of its kind."""
    clock, bad, good = VirtualClock(START), Recorder(fails=1), Recorder()
    d = dispatcher(store, clock, bad=bad, good=good)
    for kind, subject in (("bad", "1"), ("good", "2"), ("bad", "3")):
        await schedule(store, kind, subject)
    await d.run_due()
    assert (len(bad.ran), len(good.ran)) == (2, 1)


async def test_a_timer_dies_visibly_and_can_be_revived(store: Store) -> None:
    """After 15 failures it is kept as dead with its error; revived, it runs again; meanwhile a new one is no problem."""
    clock, handler = VirtualClock(START), Recorder(fails=MOST_ATTEMPTS)
    d = dispatcher(store, clock, k=handler)
    await store.write(lambda c: timers.schedule(c, "k", "x", START, data="luggage"))
    await play(d, clock, 86_400)
    (dead,) = await store.read(claims.list_dead)
    assert (dead.kind, dead.subject, dead.data, dead.attempts) == ("k", "x", "luggage", MOST_ATTEMPTS)
    assert dead.error == "RuntimeError: boom"
    assert await store.read(claims.count_dead) == 1
    assert await store.write(lambda c: claims.revive(c, "k", "x", clock.moment))
    assert not await store.write(lambda c: claims.revive(c, "k", "x", clock.moment))
    await d.run_due()
    assert (len(handler.ran), await store.read(claims.list_dead)) == (MOST_ATTEMPTS + 1, ())


async def test_a_standing_timer_never_dies(store: Store) -> None:
    """It is tried for ever, every five minutes at the latest."""
    clock, handler = VirtualClock(START), Recorder(fails=100)
    d = dispatcher(store, clock, standing=True, k=handler)
    await schedule(store, "k", "x")
    await play(d, clock, 43_200)
    assert len(handler.ran) == 101


async def test_a_cancelled_or_moved_timer_is_not_run(store: Store) -> None:
    """Between claim and run somebody changed his mind: that counts."""
    clock, handler = VirtualClock(START), Recorder()
    d = dispatcher(store, clock, k=handler)
    for subject in ("cancelled", "moved"):
        await schedule(store, "k", subject)
    claimed = await store.write(d._claim)
    await store.write(lambda c: timers.cancel(c, "k", "cancelled"))
    await schedule(store, "k", "moved", 60)
    for timer in claimed:
        await d._perform(timer)
    assert handler.ran == []
    await play(d, clock, 100)
    assert handler.ran == [("moved", 60)]


async def test_a_repeating_handler_says_when(store: Store) -> None:
    """What it returns is when it comes again, with its data."""
    clock, handler = VirtualClock(START), Recorder(again=600 * SECOND)
    d = dispatcher(store, clock, k=handler)
    await store.write(lambda c: timers.schedule(c, "k", "x", START, data="kept"))
    await play(d, clock, 1800)
    assert [at for _, at in handler.ran] == [0, 600, 1200, 1800]
    (waiting,) = await store.read(lambda c: timers.list_timers(c, "k"))
    assert waiting.data == "kept"


async def test_the_lease_of_a_dead_dispatcher_ends(store: Store) -> None:
    """Claimed and never run: another one gets it after the lease, not before."""
    clock, handler = VirtualClock(START), Recorder()
    first, second = dispatcher(store, clock, k=handler), dispatcher(store, clock, k=handler)
    await schedule(store, "k", "x")
    await store.write(first._claim)
    assert await second.run_due() == 0
    clock.moment = Micros(START + timers.LEASE)
    assert await second.run_due() == 1


async def test_the_loop_wakes_for_due_timers_and_ends_on_request(store: Store) -> None:
    """`run` under a virtual clock: two minutes of timers pass in no time, each at its second."""
    clock, handler = VirtualClock(START), Recorder()
    d = dispatcher(store, clock, k=handler)
    for after in (30, 60, 120):
        await schedule(store, "k", f"t{after}", after)
    task = asyncio.create_task(d.run())
    while len(handler.ran) < 3:
        await asyncio.sleep(0)
    d.stop()
    await task
    assert handler.ran == [("t30", 30), ("t60", 60), ("t120", 120)]


async def test_the_loop_outlives_the_store_and_its_own_mistakes(store: Store) -> None:
    """Unreachable store, broken hook: it waits and goes on."""
    clock, handler = VirtualClock(START), Recorder()
    d = dispatcher(store, clock, k=handler)
    await schedule(store, "k", "x")
    troubles: list[Exception] = [StoreUnavailable("away"), ValueError("mistake")]

    async def hook() -> None:
        if troubles:
            raise troubles.pop()

    task = asyncio.create_task(d.run(hook))
    while not handler.ran:
        await asyncio.sleep(0)
    d.stop()
    await task


async def test_four_dispatchers_share_the_work_on_postgresql(postgresql_url: str) -> None:
    """200 timers, four dispatchers, two stores: each timer is run by exactly one."""
    stores = [await Store.open(postgresql_url, keys=KEYS) for _ in range(2)]
    try:
        ran: Counter[str] = Counter()

        def run(connection: Connection, job: Job) -> None:
            ran[job.timer.subject] += 1

        clock = VirtualClock(START)
        for n in range(200):
            await schedule(stores[0], "k", str(n))
        workers = [dispatcher(stores[n % 2], clock, k=run) for n in range(4)]
        done = await asyncio.gather(*(w.run_due() for w in workers))
        assert sum(done) == 200 and set(ran.values()) == {1}
        assert await stores[0].read(lambda c: timers.list_timers(c, "k")) == ()
    finally:
        for one in stores:
            await one.close()


async def test_what_is_counted(store: Store) -> None:
    """Done, failed and dead by kind, and how late timers were."""
    clock, handler = VirtualClock(Micros(START + 10 * SECOND)), Recorder(fails=1)
    d = dispatcher(store, clock, k=handler)
    await schedule(store, "k", "x")
    await play(d, clock, 100)
    page = d.telemetry.exposition("")[0].decode()
    assert 'tocsin_timers_total{kind="k",result="done"} 1.0' in page
    assert 'tocsin_timers_total{kind="k",result="failed"} 1.0' in page
    assert "tocsin_timer_lag_seconds_count 2.0" in page


def test_back_off_grows_to_five_minutes() -> None:
    """1 s, doubling, never more than 300 s."""
    assert [back_off(n) // SECOND for n in (1, 2, 3, 8, 9, 10, 1000)] == [1, 2, 4, 128, 256, 300, 300]


def test_errors_of_the_database_are_not_quoted() -> None:
    """They hold what was to be stored."""
    from sqlalchemy.exc import IntegrityError

    error = IntegrityError("INSERT ...", {"body": "secret"}, Exception("secret"))
    assert describe(error) == "IntegrityError"
    hide_parameters(error)
    assert "'body'" not in str(error)
