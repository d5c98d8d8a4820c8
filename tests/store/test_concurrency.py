"""Several processes on one PostgreSQL: they race, and what is stored looks as if they had taken turns."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from storing import ANN, KEYS, all_groups, arrival, at, group, send, window

from tocsin.flow.groups import Action, Refused, State, Verb
from tocsin.store import Store, actions, alerts, windows


@pytest.fixture
async def stores(postgresql_url: str) -> AsyncIterator[list[Store]]:
    """Three that know nothing of each other, as three processes would: opened at the same time, so migrating too."""
    opened = await asyncio.gather(*[Store.open(postgresql_url, keys=KEYS, role="receiver") for _ in range(3)])
    yield opened
    for store in opened:
        await store.close()


async def test_racing_for_one_key_opens_one_group(stores: list[Store]) -> None:
    """Two hundred firings of one id through three processes: one group, all alerts in it, counted right (BUG-017)."""
    answers = await asyncio.gather(*[stores[n % 3].ingest((arrival(seconds=n),)) for n in range(200)])
    stored = [one for answer in answers for one in answer]
    assert len({one.number for one in stored}) == 1
    assert sum(one.created for one in stored) == 1
    (only,) = await all_groups(stores[0])
    assert only.alerts_count == 200
    page = await stores[0].read(lambda c: alerts.list_alerts(c, group=only.number, limit=1000))
    assert [one.ordinal for one in page.items] == list(range(200, 0, -1))


async def test_duplicates_race_too(stores: list[Store]) -> None:
    """Both senders of a pair deliver to different processes at the same moment: one alert for each delivery."""
    answers = await asyncio.gather(
        *[stores[n % 3].ingest((arrival(f"id {n // 3}", duplicate_key=b"%d" % (n // 3)),)) for n in range(60)]
    )
    assert sum(not one.duplicate for answer in answers for one in answer) == 20
    assert [one.alerts_count for one in await all_groups(stores[0])] == [1] * 20


async def test_batches_over_the_same_keys_do_not_deadlock(stores: list[Store]) -> None:
    """Requests of many alerts in every order, over the same few keys: all are stored, nothing is lost or doubled."""
    chosen = random.Random(7)
    requests = [
        tuple(arrival(f"id {n}", resolve=chosen.random() < 0.3) for n in chosen.sample(range(8), 8))
        for _ in range(60)
    ]
    await asyncio.gather(*[stores[n % 3].ingest(request) for n, request in enumerate(requests)])
    groups = await all_groups(stores[0])
    assert sum(one.alerts_count for one in groups) == 60 * 8
    open_titles = Counter(one.title for one in groups if one.state is State.FIRING)
    assert set(open_titles.values()) <= {1}


async def test_people_and_alerts_race(stores: list[Store]) -> None:
    """Resolves and unresolves by people among firings of the same id: the chain of each group stays whole."""
    await send(stores[0])

    async def person(store: Store, n: int) -> None:
        verb = Verb.RESOLVE if n % 2 else Verb.UNRESOLVE
        numbers = [one.number for one in await all_groups(store)]
        for number in numbers[-3:]:
            try:
                action = Action(verb=verb, at=at(n), actor=ANN)
                await store.write(lambda c, k=number, a=action: actions.act(c, k, a))
            except Refused:
                continue

    await asyncio.gather(
        *[stores[n % 3].ingest((arrival(seconds=n),)) for n in range(120)],
        *[person(stores[n % 3], n) for n in range(12)],
    )
    groups = await all_groups(stores[0])
    assert sum(one.alerts_count for one in groups) == 121
    for one in groups:
        page = await stores[0].read(lambda c, n=one.number: alerts.list_alerts(c, group=n, limit=1000))
        assert [a.ordinal for a in page.items] == list(range(one.alerts_count, 0, -1))


async def test_one_maintenance_group_whoever_opens_it(stores: list[Store]) -> None:
    """New groups of three processes under one occurrence share its maintenance group, and its end misses none."""
    night = window()
    opening = [stores[n % 3].ingest((arrival(f"id {n}", windows=(night,)),)) for n in range(40)]
    (first,) = await opening[0]
    collector = (await group(stores[0], first.number)).parent
    (running,) = await stores[0].read(windows.running)
    ended = await stores[1].write(lambda c: windows.end(c, running.id, at(50)))
    assert ended is not None
    await asyncio.gather(*opening)
    groups = await all_groups(stores[0])
    assert sum(one.maintenance_of is not None for one in groups) == 1
    assert [one.number for one in groups if one.parent is not None] == []
    assert (await group(stores[0], collector)).state is State.RESOLVED
    assert all(one.escalate_at is not None for one in groups if one.number != collector)


async def test_the_end_of_an_occurrence_happens_once(stores: list[Store]) -> None:
    """Of three dispatchers that end it, one does."""
    await send(stores[0], windows=(window(),))
    (running,) = await stores[0].read(windows.running)
    ended = await asyncio.gather(
        *[store.write(lambda c: windows.end(c, running.id, at(50))) for store in stores]
    )
    assert sum(one is not None for one in ended) == 1
