"""Occurrences of maintenance windows: what their end does to the groups they covered."""

from __future__ import annotations

import asyncio

import pytest
from storing import DB, WEB, act, all_groups, at, group, kinds, log, send, window

from tocsin.flow.groups import Cause, State, Verb
from tocsin.store import Store, windows
from tocsin.store.windows import Ended


async def end(store: Store, seconds: float, *, mode: str | None = None) -> Ended:
    """End the oldest running occurrence (of this mode)."""
    found = await store.read(windows.running)
    occurrence = next(one for one in sorted(found, key=lambda o: o.id) if mode in (None, one.mode))
    ended = await store.write(lambda c: windows.end(c, occurrence.id, at(seconds)))
    assert ended is not None
    return ended


@pytest.mark.parametrize(
    ("on_end", "state", "escalates"),
    [("Resume", State.FIRING, True), ("Resolve", State.RESOLVED, False), ("Keep", State.FIRING, False)],
)
@pytest.mark.parametrize("mode", ["Maintenance", "Debug"])
async def test_the_end_of_a_window(
    store: Store, mode: str, on_end: str, state: State, escalates: bool
) -> None:
    """Resume: what still fires escalates. Resolve: everything is resolved. Keep: nothing happens.

    A group that a person acknowledged meanwhile does not escalate; the maintenance group is resolved in any case.
    """
    night = window(mode=mode, on_end=on_end)
    covered = (await send(store, "a", windows=(night,))).number
    mine = (await send(store, "b", windows=(night,), acknowledge=True)).number
    collector = (await group(store, covered)).parent
    assert (collector is not None) == (mode == "Maintenance")
    assert (await group(store, covered)).escalate_at is None
    ended = await end(store, 100)
    assert covered in {"Resume": ended.resumed, "Resolve": ended.resolved, "Keep": ended.kept}[on_end]
    found = await group(store, covered)
    assert (found.parent, found.state) == (None, state)
    assert found.escalate_at == (at(110) if escalates else None)
    other = await group(store, mine)
    assert (other.state, other.escalate_at) == (
        State.RESOLVED if on_end == "Resolve" else State.ACKNOWLEDGED,
        None,
    )
    if collector is not None:
        closed = await group(store, collector)
        assert closed.life.resolved.cause is Cause.MAINTENANCE
        assert "UNATTACHED" in await kinds(store, covered)
    if on_end == "Resolve":
        assert found.life.resolved.cause is Cause.MAINTENANCE


async def test_the_last_window_to_end_decides(store: Store) -> None:
    """Under Debug and Maintenance at once nothing notifies; a group is released by the second end only."""
    both = (window("shop/debug", mode="Debug", on_end="Resolve"), window(on_end="Resume", end=200))
    number = (await send(store, windows=both)).number
    assert (await group(store, number)).parent is not None
    assert (await end(store, 100, mode="Debug")).still_covered == (number,)
    assert (await group(store, number)).state is State.FIRING
    assert (await group(store, number)).parent is not None
    assert (await end(store, 200)).resumed == (number,)
    assert (await group(store, number)).escalate_at == at(210)


async def test_a_group_moves_on_to_the_next_maintenance(store: Store) -> None:
    """Of two Maintenance windows the first collects; when it ends, the other's maintenance group takes over."""
    both = (window("shop/first"), window("shop/second", on_end="Keep", end=200))
    number = (await send(store, windows=both)).number
    first = (await group(store, number)).parent
    assert (await end(store, 100)).still_covered == (number,)
    second = (await group(store, number)).parent
    assert second not in (None, first)
    assert (await group(store, first)).state is State.RESOLVED
    assert (await group(store, number)).escalate_at is None
    assert (await log(store, second))[-1].details == {"child": str(number)}
    assert (await end(store, 200)).kept == (number,)
    assert (await group(store, number)).parent is None


async def test_resolve_signals_pass(store: Store) -> None:
    """The source resolves a covered group as ever, and its end does not touch it again."""
    night = window(on_end="Resume")
    number = (await send(store, windows=(night,))).number
    assert (await send(store, seconds=5, resolve=True, windows=(night,))).number == number
    ended = await end(store, 100)
    assert (ended.resumed, ended.kept) == ((), (number,))
    found = await group(store, number)
    assert (found.state, found.life.resolved.at, found.life.resolved.cause) == (
        State.RESOLVED,
        at(5),
        Cause.SOURCE,
    )


async def test_an_end_is_an_end(store: Store) -> None:
    """Ending twice does nothing; an alert decided just before is not covered any more; a lost group is tolerated."""
    night = window()
    number = (await send(store, windows=(night,))).number
    (running,) = await store.read(windows.running)
    collector = (await group(store, number)).parent
    await act(store, collector, Verb.RESOLVE, 50)
    assert await store.write(lambda c: windows.end(c, running.id, at(51))) is None
    assert await store.write(lambda c: windows.end(c, 999, at(51))) is None
    late = await send(store, "late", 52, windows=(night,))
    found = await group(store, late.number)
    assert (found.parent, found.suppressed, found.escalate_at) == (None, False, at(52))
    await send(store, "next", 60, windows=(window(start=60, end=200),))
    (running,) = await store.read(windows.running)
    await act(store, running.group, Verb.RESOLVE, 61)
    await act(store, running.group, Verb.DELETE, 62)
    assert await store.read(windows.running) == ()


async def test_overdue_and_running(store: Store) -> None:
    """By Integration, the next to end first; overdue from their very end on."""
    await store.write(lambda c: windows.start(c, window("shop/b", end=50), WEB))
    await store.write(lambda c: windows.start(c, window("shop/a", end=20), WEB))
    await store.write(lambda c: windows.start(c, window("shop/a", end=20), DB))
    again = await store.write(lambda c: windows.start(c, window("shop/a", end=20), DB))
    assert [one.window.name for one in await store.read(lambda c: windows.running(c, WEB))] == ["a", "b"]
    assert len(await store.read(windows.running)) == 3
    assert await store.read(lambda c: windows.overdue(c, at(19))) == ()
    due = await store.read(lambda c: windows.overdue(c, at(20)))
    assert [one.id for one in due][1] == again.id
    assert len(due) == 2


async def test_many_groups_under_one_window(store: Store) -> None:
    """A storm: one maintenance group with all of them, and all are released in one go."""
    night = window(on_end="Resolve")
    await asyncio.gather(*[send(store, str(n), windows=(night,)) for n in range(300)])
    ended = await end(store, 100)
    assert len(ended.resolved) == 300
    assert len(await all_groups(store, states=(State.RESOLVED,))) == 301
