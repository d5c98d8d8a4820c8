"""Several dispatchers on one PostgreSQL, and people who act at the same moment: every step once, never one too many."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from dispatching import ANN, KEYS, World
from test_engine import flow, notify, wait

from tocsin.dispatch.engine import Engine
from tocsin.dispatch.scene import NoCalendars
from tocsin.flow.groups import Action, Verb
from tocsin.flow.model import Micros
from tocsin.store import Store, actions, deliveries, escalations, logbook
from tocsin.telemetry import Telemetry

Make = Callable[..., Awaitable[World]]
GROUPS = 150
MINUTE = 60_000_000
CHAIN = (
    notify("bob"),
    wait("10m"),
    notify("bob"),
    {"notifyNextResponder": {"responderRefs": [{"name": "ann"}]}},
)


async def engines(w: World, count: int) -> list[Engine]:
    """Of processes of their own: each with its own connections."""
    made = []
    for _ in range(count):
        store = await Store.open(w.url, keys=KEYS, role="dispatcher")
        telemetry = Telemetry.create(stream=w.log, process_metrics=False)
        made.append(Engine(store, w.live, clock=w.clock, calendars=NoCalendars(), telemetry=telemetry))
    return made


async def close(made: list[Engine]) -> None:
    for engine in made:
        await engine._store.close()  # type: ignore[attr-defined]


async def sent(w: World) -> Counter[int | None]:
    """Messages per group."""
    found = await w.store.read(lambda c: deliveries.list_deliveries(c, limit=10_000))
    return Counter(one.group for one in found)


async def test_no_step_is_done_twice(world: Make, postgresql_url: str) -> None:
    """Three dispatchers that look at the same moment again and again share the work: each group is told each step once."""
    w = await world(*flow(*CHAIN), url=postgresql_url)
    for n in range(GROUPS):
        await w.alert(id=n)
    made = await engines(w, 3)
    first = await asyncio.gather(*[engine.run_due() for engine in made])
    assert sum(first) == GROUPS
    assert set((await sent(w)).values()) == {1}
    w.clock.moment = Micros(w.now + 10 * MINUTE)
    again = [await asyncio.gather(*[engine.run_due() for engine in made]) for _ in range(2)]
    assert [sum(each) for each in again] == [GROUPS, 0]
    counts = await sent(w)
    assert (len(counts), set(counts.values())) == (GROUPS, {3})
    for group in await w.groups():
        kinds = [kind for kind, _ in await w.entries(group.number)]
        assert kinds.count("escalation_finished") == 1
    await close(made)


async def test_who_acknowledges_is_not_called_any_more(world: Make, postgresql_url: str) -> None:
    """People acknowledge while the steps of the same groups are due: whatever came first, nothing comes after."""
    w = await world(*flow(*CHAIN), url=postgresql_url)
    for n in range(GROUPS):
        await w.alert(id=n)
    made = await engines(w, 2)
    await made[0].run_due()
    w.clock.moment = Micros(w.now + 10 * MINUTE)
    numbers = [group.number for group in await w.groups()]
    random.Random(1).shuffle(numbers)

    async def acknowledge() -> None:
        for number in numbers:
            action = Action(verb=Verb.ACKNOWLEDGE, at=w.now, actor=ANN)
            await w.store.write(lambda c, n=number, a=action: actions.act(c, n, a))

    await asyncio.gather(acknowledge(), *[engine.run_due() for engine in made for _ in range(3)])
    await asyncio.gather(*[engine.run_due() for engine in made])
    before = await sent(w)
    assert set(before.values()) <= {1, 3}
    over = await w.store.read(lambda c: escalations.load(c, numbers))
    assert all(one.finished_at is not None for one in over.values())
    w.clock.moment = Micros(w.now + 60 * MINUTE)
    await asyncio.gather(*[engine.run_due() for engine in made])
    assert await sent(w) == before
    await close(made)


async def test_a_flood_of_opposites_ends_as_the_last_word(world: Make, postgresql_url: str) -> None:
    """Groups that are acknowledged and released while dispatchers race over the events escalate if they fire at last."""
    w = await world(*flow(notify("bob"), wait("10m"), notify("bob")), url=postgresql_url)
    for n in range(30):
        await w.alert(id=n)
    made = await engines(w, 3)
    numbers = [group.number for group in await w.groups()]

    async def waver() -> None:
        for turn in range(6):
            w.clock.moment = Micros(w.now + 1000)
            verb = (Verb.ACKNOWLEDGE, Verb.UNACKNOWLEDGE)[turn % 2]
            action = Action(verb=verb, at=w.now, actor=ANN)
            await w.store.write(lambda c, a=action: actions.act_on_many(c, numbers, a))

    async def race(engine: Engine) -> None:
        for _ in range(15):
            await engine.run_due()
            await asyncio.sleep(0)

    await asyncio.gather(waver(), *[race(engine) for engine in made])
    await asyncio.gather(*[engine.run_due() for engine in made])
    running = await w.store.read(lambda c: escalations.load(c, numbers))
    assert {one.resume_at for one in running.values()} == {Micros(w.now + 10_000_000)}
    w.clock.moment = Micros(w.now + 60 * MINUTE)
    while sum(await asyncio.gather(*[engine.run_due() for engine in made])):
        continue
    for number in numbers:
        entries = await w.store.read(lambda c, n=number: logbook.list_entries(c, n, limit=1000))
        assert [e.kind.name for e in entries].count("ESCALATION_FINISHED") == 1
    await close(made)
