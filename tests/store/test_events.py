"""What happens to groups is written down with it, once, and tells this process after the commit."""

from __future__ import annotations

import asyncio
import threading

import pytest
from sqlalchemy import Connection
from storing import ANN, act, arrival, at, send, send_together, signal, window

from tocsin.flow.decision import Grouping
from tocsin.flow.groups import Verb
from tocsin.store import Store, actions, events, wakeups, windows


async def told(store: Store) -> list[str]:
    """Kind and group of every event, in order."""
    found = await store.read(lambda c: events.take(c, limit=1000))
    return [f"{event.kind.name.lower()} #{event.group}" for event in found]


async def test_each_transition_is_one_event(store: Store) -> None:
    """What an action lifts on its way is not told by itself; children have events of their own."""
    one, two = await send_together(store, arrival("1"), arrival("2"))
    await store.write(lambda c: actions.attach(c, two.number, one.number, now=at(1), actor=ANN))
    await act(store, one.number, Verb.SILENCE, 2)
    await act(store, one.number, Verb.ACKNOWLEDGE, 3)
    await act(store, one.number, Verb.RESOLVE, 4)
    assert await told(store) == [
        f"registered #{one.number}",
        f"registered #{two.number}",
        f"attached #{two.number}",
        f"silenced #{one.number}",
        f"silenced #{two.number}",
        f"acknowledged #{one.number}",
        f"acknowledged #{two.number}",
        f"resolved #{one.number}",
        f"resolved #{two.number}",
    ]


async def test_what_is_born_resolved_is_not_told(store: Store) -> None:
    """A recovery that finds nothing to resolve is kept and tells nobody; what was open is told once."""
    await send(store, "gone", resolve=True)
    assert await told(store) == []
    stored = await send(store, "open", 1)
    await send(store, "open", 2, resolve=True)
    await send(store, "open", 3, resolve=True)
    assert await told(store) == [f"registered #{stored.number}", f"resolved #{stored.number}"]


async def test_opened_acknowledged_by_the_source(store: Store) -> None:
    """Both are told, in this order."""
    stored = await send(store, acknowledge=True)
    assert await told(store) == [f"registered #{stored.number}", f"acknowledged #{stored.number}"]


async def test_a_fallback_group_is_told_again_once_in_five_minutes(store: Store) -> None:
    """Only while it is acknowledged or silenced."""
    stored = await send(store, grouping=Grouping.FALLBACK)
    await send(store, seconds=1, grouping=Grouping.FALLBACK)
    await act(store, stored.number, Verb.ACKNOWLEDGE, 2)
    for seconds in (3, 4, 304):
        await send(store, seconds=seconds, grouping=Grouping.FALLBACK)
    kinds = [line.split()[0] for line in await told(store)]
    assert kinds == ["registered", "acknowledged", "notified_again", "notified_again"]


async def test_the_end_of_a_window_is_told_of_what_still_fires(store: Store) -> None:
    """Not of what was resolved meanwhile, and not of the group that collected them."""
    night = window()
    one, two = await send_together(store, arrival("1", windows=(night,)), arrival("2", windows=(night,)))
    await signal(store, two.number, Verb.SOURCE_RESOLVE, 5)
    (running,) = await store.read(windows.running)
    await store.write(lambda c: windows.end(c, running.id, at(100)))
    assert [line for line in await told(store) if line.startswith("resumed")] == [f"resumed #{one.number}"]


async def test_an_event_is_taken_by_one_and_kept_until_it_is_handled(postgresql_store: Store) -> None:
    """Two dispatchers at the same moment get different ones; what is not removed comes again."""
    await send_together(postgresql_store, *[arrival(str(n)) for n in range(6)])
    meeting = threading.Barrier(2)

    def take(limit: int) -> set[int]:
        def work(connection: Connection) -> set[int]:
            found = events.take(connection, limit=limit)
            meeting.wait(timeout=30)
            return {event.id for event in found}

        return postgresql_store._backend.write(work)

    one, two = await asyncio.gather(asyncio.to_thread(take, 3), asyncio.to_thread(take, 10))
    assert one | two == {
        event.id for event in await postgresql_store.read(lambda c: events.take(c, limit=10))
    }
    assert not one & two


@pytest.mark.parametrize("how", ["ingest", "action"])
async def test_a_commit_wakes_whoever_listens(store: Store, how: str) -> None:
    """Once per commit that leaves events, not for one that does not, and not for one that failed."""
    heard: list[str] = []
    stop = store.wakeups.listen(wakeups.EVENTS, lambda: heard.append(how))
    stored = await send(store)
    assert len(heard) == 1
    await send(store, seconds=1)
    assert len(heard) == 1
    if how == "action":
        await act(store, stored.number, Verb.ACKNOWLEDGE, 2)
        assert len(heard) == 2

        def fails(connection: Connection) -> None:
            events.append(connection, 1, None)
            wakeups.mark(connection, wakeups.EVENTS)
            raise ValueError

        with pytest.raises(ValueError):
            await store.write(fails)
        await store.write(lambda _: None)
        assert len(heard) == 2
    stop()
    await send(store, "other", 3)
    assert len(heard) == (2 if how == "action" else 1)
