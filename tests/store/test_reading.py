"""Lists, filters and counts."""

from __future__ import annotations

import asyncio

from storing import ANN, DB, WEB, act, arrival, at, group, send, send_together

from tocsin.flow.groups import State, Verb
from tocsin.store import Store, actions, alerts, groups
from tocsin.store.groups import GroupFilter


async def numbers(store: Store, **wanted: object) -> list[int]:
    page = await store.read(lambda c: groups.list_groups(c, GroupFilter(**wanted), limit=1000))
    counted = await store.read(lambda c: groups.count(c, GroupFilter(**wanted)))
    assert (counted.count, counted.capped) == (len(page.items), False)
    return [one.number for one in page.items]


async def test_filters(store: Store) -> None:
    """States, Integration, route, all of several labels, a range of starts, roots; unknown names match nothing."""
    await send_together(
        store,
        arrival("1", 0, labels=(("env", "prod"), ("zone", "a"))),
        arrival("2", 10, labels=(("env", "prod"), ("zone", "b:1"))),
        arrival("3", 20, of=DB, route="shop/night", labels=(("env", "test"),)),
        arrival("4", 30, resolve=True),
    )
    await act(store, 2, Verb.ACKNOWLEDGE, 40)
    await store.write(lambda c: actions.attach(c, 3, 1, now=at(41), actor=ANN))
    assert await numbers(store) == [4, 3, 2, 1]
    assert await numbers(store, states=(State.FIRING,)) == [3, 1]
    assert await numbers(store, states=(State.ACKNOWLEDGED, State.RESOLVED)) == [4, 2]
    assert await numbers(store, integration=WEB) == [4, 2, 1]
    assert await numbers(store, route="shop/night") == [3]
    assert await numbers(store, labels=(("env", "prod"),)) == [2, 1]
    assert await numbers(store, labels=(("env", "prod"), ("zone", "b:1"))) == [2]
    assert await numbers(store, labels=(("env", "Prod"),)) == []
    assert await numbers(store, started_from=at(10), started_to=at(30)) == [3, 2]
    assert await numbers(store, roots_only=True) == [4, 2, 1]
    assert (
        await numbers(store, route="shop/nowhere")
        == await numbers(store, integration=WEB._replace(name="x"))
        == []
    )


async def test_text_is_number_id_or_part_of_the_title(store: Store) -> None:
    """In any case; wildcards of SQL are plain characters."""
    for title in ("Disk full", "100% CPU", "under_score", "1"):
        await send(store, title, title=title)
    found = await group(store, 2)
    assert await numbers(store, text="disk") == [1]
    assert await numbers(store, text="0%") == [2]
    assert await numbers(store, text="_") == [3]
    assert await numbers(store, text="#3") == [3]
    assert await numbers(store, text="1") == [4, 2, 1]
    assert await numbers(store, text=found.public_id.lower()) == [2]
    assert await numbers(store, text="no such") == []
    same = await store.read(lambda c: groups.get_by_public_id(c, found.public_id))
    assert same == found
    assert await store.read(lambda c: groups.get_by_public_id(c, "A" + found.public_id[1:])) is None


async def test_pages_by_keyset(store: Store) -> None:
    """Every group once, newest first, although new ones arrive between two pages."""
    await send_together(store, *[arrival(str(n)) for n in range(7)])
    seen: list[int] = []
    before = None
    while True:
        page = await store.read(lambda c, b=before: groups.list_groups(c, GroupFilter(), before=b, limit=3))
        seen += [one.number for one in page.items]
        await send(store, f"new {len(seen)}")
        before = page.next
        if before is None:
            break
    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == 7


async def test_counts_are_capped(store: Store) -> None:
    """Exact to 10,000, then 10,000 and a flag."""
    for first in range(0, 10_002, 3334):
        made = [(arrival(str(n), labels=(("env", "prod"),)),) for n in range(first, first + 3334)]
        await asyncio.gather(*[store.ingest(one) for one in made])
    counted = await store.read(lambda c: groups.count(c, GroupFilter(labels=(("env", "prod"),))))
    assert (counted.count, counted.capped) == (10_000, True)
    await act(store, 1, Verb.RESOLVE, 1)
    counted = await store.read(lambda c: groups.count(c, GroupFilter(states=(State.RESOLVED,))))
    assert (counted.count, counted.capped) == (1, False)


async def test_alerts_of_all_groups(store: Store) -> None:
    """Newest first, in pages, each with its group and outcome."""
    stored = await send_together(store, *[arrival(str(n), n) for n in range(5)])
    page = await store.read(lambda c: alerts.list_alerts(c, limit=3))
    assert [one.group for one in page.items] == [5, 4, 3]
    assert page.items[0].outcome.grouping_id == "4"
    assert page.items[0].group_public_id == stored[4].alert_group_id
    rest = await store.read(lambda c: alerts.list_alerts(c, before=page.next))
    assert ([one.group for one in rest.items], rest.next) == ([2, 1], None)
    one = await store.read(lambda c: alerts.get_by_public_id(c, stored[0].alert_id))
    assert one is not None
    assert (one.group, one.now, one.origin) == (1, at(0), "source")
