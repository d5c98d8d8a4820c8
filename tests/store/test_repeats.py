"""Senders in HA pairs, alerts that end by themselves, alerts over the rate limit."""

from __future__ import annotations

from storing import DB, act, all_groups, arrival, at, group, kinds, send, send_together, signal

from tocsin.flow.decision import Grouping
from tocsin.flow.groups import State, Verb
from tocsin.store import Store, alerts, timers

KEY = b"fingerprint"


async def test_the_second_of_a_pair_is_a_duplicate(store: Store) -> None:
    """Nothing is stored, the answer has the first alert's ids; another Integration or key is another matter."""
    first = await send(store, duplicate_key=KEY)
    again = await send(store, seconds=300, duplicate_key=KEY)
    assert (again.alert_id, again.alert_group_id, again.number) == (
        first.alert_id,
        first.alert_group_id,
        first.number,
    )
    assert (again.duplicate, again.created, first.duplicate) == (True, False, False)
    assert (await group(store, first.number)).alerts_count == 1
    assert not (await send(store, duplicate_key=KEY, of=DB)).duplicate
    assert not (await send(store, duplicate_key=b"other")).duplicate


async def test_the_window_is_five_minutes(store: Store) -> None:
    """After it the same delivery is an alert again, and opens a new window."""
    await send(store, duplicate_key=KEY)
    assert not (await send(store, seconds=301, duplicate_key=KEY)).duplicate
    assert (await send(store, seconds=600, duplicate_key=KEY)).duplicate
    (only,) = await all_groups(store)
    assert only.alerts_count == 2


async def test_a_firing_repeat_of_a_closed_group_is_no_duplicate(store: Store) -> None:
    """It fires again: a new group. A repeated resolve of a closed group is a duplicate."""
    first = await send(store, duplicate_key=KEY)
    closed = await send(store, seconds=1, duplicate_key=b"resolved", resolve=True)
    assert closed.number == first.number
    assert (await send(store, seconds=2, duplicate_key=b"resolved", resolve=True)).duplicate
    fires = await send(store, seconds=3, duplicate_key=KEY)
    assert (fires.duplicate, fires.created) == (False, True)
    alone = await send(store, grouping=Grouping.ALONE, duplicate_key=b"alone", seconds=4)
    assert (await send(store, grouping=Grouping.ALONE, duplicate_key=b"alone", seconds=5)).duplicate
    await act(store, alone.number, Verb.RESOLVE, 6)
    assert not (await send(store, grouping=Grouping.ALONE, duplicate_key=b"alone", seconds=7)).duplicate


async def test_pairs_that_arrive_together(store: Store) -> None:
    """Twenty deliveries of one body at once, and two in one request: one alert."""
    stored = await send_together(store, *[arrival(duplicate_key=KEY) for _ in range(20)])
    assert len({one.alert_id for one in stored}) == 1
    assert sorted(one.duplicate for one in stored) == [False] + [True] * 19
    pair = await store.ingest((arrival("b", duplicate_key=b"b"), arrival("b", duplicate_key=b"b")))
    assert [one.duplicate for one in pair] == [False, True]
    assert [one.alerts_count for one in await all_groups(store)] == [1, 1]


async def test_a_resend_moves_the_expiry_only(store: Store) -> None:
    """However often it is sent, one alert; the timer is at the latest end and its run resolves by source."""
    first = await send(store, duplicate_key=KEY, expires_at=at(240))
    for seconds in range(60, 660, 60):
        again = await send(store, seconds=seconds, duplicate_key=KEY, expires_at=at(seconds + 240))
        assert again.duplicate
    found = await group(store, first.number)
    assert (found.alerts_count, found.last_alert_at) == (1, at(600))
    (timer,) = await store.read(lambda c: timers.list_timers(c, timers.EXPIRE))
    assert (timer.subject, timer.due_at) == (str(first.number), at(840))
    await send(store, seconds=601, duplicate_key=b"other", expires_at=at(700))
    (timer,) = await store.read(lambda c: timers.list_timers(c, timers.EXPIRE))
    assert timer.due_at == at(840), "another alert of the group that ends earlier does not shorten it"
    assert await signal(store, first.number, Verb.SOURCE_RESOLVE, 840) is not None
    assert (await group(store, first.number)).state is State.RESOLVED


async def test_the_expiry_timer_dies_with_the_group(store: Store) -> None:
    """Resolved by whomever: nothing is left to expire. A resolve signal sets no timer."""
    for number, resolve in enumerate((True, False)):
        first = await send(store, str(number), expires_at=at(60))
        if resolve:
            await send(store, str(number), 1, resolve=True, expires_at=at(1))
        else:
            await act(store, first.number, Verb.RESOLVE, 1)
    await store.ingest(
        (arrival("both", expires_at=at(60)), arrival("both", 1, resolve=True, expires_at=at(1)))
    )
    assert await store.read(lambda c: timers.list_timers(c, timers.EXPIRE)) == ()


async def test_over_the_rate_limit_an_alert_acts_in_full(store: Store) -> None:
    """It opens, joins and resolves like any other; of the payloads only the group's first and last are kept."""
    opened = await send(store, "flood", digested=True, payload=b"[0]")
    assert (opened.created, opened.digested) == (True, True)
    for number in range(1, 5):
        assert (await send(store, "flood", number, digested=True, payload=b"[%d]" % number)).digested
    await store.ingest(tuple(arrival("flood", 5, digested=True, payload=b"[%d]" % n) for n in range(5, 8)))
    closed = await send(store, "flood", 8, digested=True, resolve=True, payload=b"[8]")
    assert closed.state is State.RESOLVED
    found = await group(store, opened.number)
    assert (found.alerts_count, found.digested_count) == (9, 9)
    page = await store.read(lambda c: alerts.list_alerts(c, group=opened.number))
    kept = {one.ordinal: await store.read(lambda c, n=one.id: alerts.payload_of(c, n)) for one in page.items}
    assert {ordinal: body for ordinal, body in kept.items() if body is not None} == {1: b"[0]", 9: b"[8]"}
    assert [one.has_payload for one in page.items] == [True] + [False] * 7 + [True]
    assert (await kinds(store, opened.number))[-1] == "RESOLVED"


async def test_equal_payloads_of_a_request_are_kept_once(store: Store) -> None:
    """And each alert still shows its own."""
    bodies = [b'{"n":1}', b'{"n":2}', b'{"n":1}']
    await store.ingest(tuple(arrival(payload=body) for body in bodies))
    page = await store.read(alerts.list_alerts)
    shown = [await store.read(lambda c, n=one.id: alerts.payload_of(c, n)) for one in reversed(page.items)]
    assert shown == bodies
