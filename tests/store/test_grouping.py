"""Which group an alert joins."""

from __future__ import annotations

import pytest
from storing import DB, act, all_groups, arrival, at, group, kinds, log, send, send_together, window

from tocsin.flow.decision import Grouping
from tocsin.flow.groups import State, Verb
from tocsin.store import Store, alerts, windows


async def test_equal_ids_share_a_group_on_one_route_of_one_integration(store: Store) -> None:
    """Integration, route and grouping id identify a group, among open ones; at most one is open for grouping.

    Rules: R-GRP-6
    """
    first, again = await send(store), await send(store, seconds=1)
    assert (first.number, first.created, again.created) == (again.number, True, False)
    others = await send_together(
        store,
        arrival(route="shop/night"),
        arrival(of=DB),
        arrival("disk"),
        arrival(),
        arrival(route="shop/night"),
    )
    assert [one.created for one in others] == [True, True, True, False, False]
    assert others[3].number == first.number
    assert others[4].number == others[0].number
    assert len({first.number, *(one.number for one in others)}) == 4


async def test_alerts_of_one_request_share_a_new_group(store: Store) -> None:
    """The second of a request joins what the first opened, and both are there or neither is."""
    one, two, other = await store.ingest((arrival(), arrival(seconds=1), arrival("disk")))
    assert (one.number, one.created, two.number, two.created) == (two.number, True, one.number, False)
    assert other.number != one.number
    found = await group(store, one.number)
    assert (found.alerts_count, found.started_at, found.last_alert_at) == (2, at(0), at(1))


async def test_first_alert_decides_title_labels_and_route(store: Store) -> None:
    """A joining alert changes neither; it is counted, and restarts nothing.

    Rules: R-GRP-16
    """
    first = await send(store, title="Disk full", labels=(("severity", "warning"),))
    before = await group(store, first.number)
    await send(store, seconds=5, title="ok", labels=(("severity", "critical"), ("zone", "b")))
    after = await group(store, first.number)
    assert (after.title, after.labels, after.route) == ("Disk full", (("severity", "warning"),), "default")
    assert (after.alerts_count, after.escalate_at) == (2, before.escalate_at)
    assert await kinds(store, first.number) == ["REGISTERED", "ROUTE_ASSIGNED"]


async def test_a_recurrence_is_a_new_group(store: Store) -> None:
    """firing, resolved, firing, firing, resolved: two groups, the second has three alerts, only it closes last.

    The resolved one is history (BUG-026); its resolution is not touched again.
    """
    first = await send(store)
    await send(store, seconds=1, resolve=True)
    second = await send(store, seconds=2)
    third = await send(store, seconds=3)
    closed = await send(store, seconds=4, resolve=True)
    assert first.number < second.number == third.number == closed.number
    groups = await all_groups(store)
    assert [(one.alerts_count, one.state, one.life.resolved.at) for one in groups] == [
        (2, State.RESOLVED, at(1)),
        (3, State.RESOLVED, at(4)),
    ]


async def test_a_group_stays_open_for_grouping_without_end(store: Store) -> None:
    """No time window: an alert half a year later joins.

    Rules: R-GRP-14
    """
    first = await send(store)
    assert (await send(store, seconds=180 * 86_400)).number == first.number


async def test_no_limit_on_alerts_and_the_latest_hundred_first(store: Store) -> None:
    """A group takes any number of alerts; a page of them is the latest hundred, newest first, and pages reach all.

    Rules: R-GRP-15
    """
    stored = [
        one
        for n in range(5)
        for one in await store.ingest(tuple(arrival(seconds=50 * n + m) for m in range(50)))
    ]
    number = stored[0].number

    async def page_after(before: int | None) -> alerts.AlertPage:
        return await store.read(lambda c: alerts.list_alerts(c, group=number, before=before))

    page = await page_after(None)
    assert [one.ordinal for one in page.items] == list(range(250, 150, -1))
    assert page.items[0].public_id == stored[-1].alert_id
    seen = list(page.items)
    while page.next is not None:
        page = await page_after(page.next)
        seen += page.items
    assert [one.ordinal for one in seen] == list(range(250, 0, -1))
    first = await store.read(lambda c: alerts.first(c, number))
    assert first is not None
    assert first.public_id == stored[0].alert_id


@pytest.mark.parametrize("origin", ["source", "demo"])
async def test_alone_means_alone(store: Store, origin: str) -> None:
    """An empty grouping id, and every demo alert whatever its id, is a group that nothing joins or resolves."""
    grouping = Grouping.ALONE if origin == "source" else Grouping.BY_ID
    await send(store)
    alone = [await send(store, grouping=grouping, origin=origin, seconds=n) for n in (1, 2)]
    assert [one.created for one in alone] == [True, True]
    await send(store, grouping=grouping, origin=origin, resolve=True, seconds=3)
    states = [one.state for one in await all_groups(store)]
    assert states == [State.FIRING, State.FIRING, State.FIRING, State.RESOLVED]
    assert [one.demo for one in await all_groups(store)] == [False] + [origin == "demo"] * 3
    if origin == "demo":
        await send(store, seconds=4, resolve=True)
        assert [one.state for one in await all_groups(store)][:3] == [
            State.RESOLVED,
            State.FIRING,
            State.FIRING,
        ]


async def test_fallback_group_ignores_signals_and_notifies_again(store: Store) -> None:
    """Where both grouping templates failed, one group per route collects; signals mean nothing to it.

    An alert that joins it while acknowledged or silenced is noted as a reason to notify again, once in five minutes.
    """
    first = await send(store, grouping=Grouping.FALLBACK)
    joined = await send(store, grouping=Grouping.FALLBACK, resolve=True, acknowledge=True, seconds=1)
    assert (joined.number, joined.state) == (first.number, State.FIRING)
    assert (await send(store, grouping=Grouping.FALLBACK, route="shop/x")).created
    await act(store, first.number, Verb.ACKNOWLEDGE, 2)
    for seconds in (10, 200, 309, 310, 400):
        await send(store, grouping=Grouping.FALLBACK, seconds=seconds)
    again = [entry.at for entry in await log(store, first.number) if entry.kind.name == "NOTIFIED_AGAIN"]
    assert again == [at(10), at(310)]
    assert (await group(store, first.number)).renotified_at == at(310)


async def test_an_unresolved_group_is_joined_again_behind_a_newer_one(store: Store) -> None:
    """Unresolving opens for grouping; while a group that an alert opened since is there, alerts go to that one."""
    old = await send(store)
    await act(store, old.number, Verb.RESOLVE, 1)
    new = await send(store, seconds=2)
    await act(store, old.number, Verb.UNRESOLVE, 3)
    assert (await send(store, seconds=4)).number == new.number
    await act(store, new.number, Verb.RESOLVE, 5)
    assert (await send(store, seconds=6)).number == old.number
    assert (await send(store, seconds=7, resolve=True)).state is State.RESOLVED
    assert [one.state for one in await all_groups(store)] == [State.RESOLVED, State.RESOLVED]


async def test_a_source_signal_closes_an_unresolved_group_too(store: Store) -> None:
    """Both open groups of the id are resolved: no second firing group stays behind (weakness S-4)."""
    old = await send(store)
    await act(store, old.number, Verb.RESOLVE, 1)
    new = await send(store, seconds=2)
    await act(store, old.number, Verb.UNRESOLVE, 3)
    await send(store, seconds=4, resolve=True)
    assert [(await group(store, n)).state for n in (old.number, new.number)] == [State.RESOLVED] * 2


async def test_wiped_groups_have_no_grouping_id(store: Store) -> None:
    """Wiping empties it: no late signal finds the group, and nothing joins.

    Rules: R-GRP-17
    """
    first = await send(store)
    await act(store, first.number, Verb.WIPE, 1)
    late = await send(store, seconds=2, resolve=True)
    assert (late.created, late.number == first.number, late.state) == (True, False, State.RESOLVED)
    assert (await group(store, first.number)).alerts_count == 1


async def test_new_groups_in_maintenance_are_collected(store: Store) -> None:
    """One maintenance group per occurrence and Integration, made on demand; what was open before stays outside."""
    before = await send(store, "old")
    inside = [await send(store, name, 1, windows=(window(),)) for name in ("a", "b", "old")]
    other = await send(store, "a", 1, of=DB, windows=(window(),))
    assert inside[2].number == before.number
    parents = [(await group(store, one.number)).parent for one in inside]
    assert parents[0] == parents[1] is not None
    assert parents[2] is None
    assert (await group(store, other.number)).parent not in (None, parents[0])
    assert await kinds(store, inside[0].number) == ["REGISTERED", "ROUTE_ASSIGNED"]
    entries = await log(store, parents[0])
    assert [(e.kind.name, e.details) for e in entries if e.kind.name == "ATTACHED"] == [
        ("ATTACHED", {"child": str(one.number)}) for one in inside[:2]
    ]
    assert [(await group(store, one.number)).escalate_at for one in inside[:2]] == [None, None]
    assert len(await store.read(windows.running)) == 2
