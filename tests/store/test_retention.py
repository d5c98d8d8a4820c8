"""What is deleted, when, and what never is."""

from __future__ import annotations

import asyncio

from storing import KEYS, WEB, act, all_groups, arrival, at, flow, group, log, send

from tocsin.flow.groups import Verb
from tocsin.flow.model import Micros
from tocsin.store import (
    Store,
    alerts,
    clock,
    credentials,
    deadletters,
    replicas,
    retention,
    revisions,
    timers,
)
from tocsin.store.credentials import GivenToken
from tocsin.store.deadletters import Undelivered
from tocsin.store.retention import DAY, Policy, Swept

POLICY = Policy()
DAYS = 86_400


async def sweep(store: Store, days: float, policy: Policy = POLICY) -> Swept:
    return await store.write(lambda c: retention.sweep(c, policy, at(days * DAYS)))


async def fill(store: Store, grouping_id: str, count: int, *, every: float = 1, start: float = 0) -> int:
    """A group of `count` alerts with payloads of their own; its number."""
    made = [(arrival(grouping_id, start + n * every, payload=b'{"n":%d}' % n),) for n in range(count)]
    answers = await asyncio.gather(*[store.ingest(one) for one in made])
    return answers[0][0].number


async def kept(store: Store, number: int) -> list[int]:
    """Ordinals of the alerts whose payload can be read."""
    page = await store.read(lambda c: alerts.list_alerts(c, group=number, limit=10_000))
    found = []
    for one in page.items:
        body = await store.read(lambda c, n=one.id: alerts.payload_of(c, n))
        assert (body is not None) == one.has_payload
        if body is not None:
            assert body == b'{"n":%d}' % (one.ordinal - 1)
            found.append(one.ordinal)
    return sorted(found)


async def test_resolved_groups_go_after_ninety_days(store: Store) -> None:
    """With everything that was theirs; open ones never, however old."""
    await send(store, "old", labels=(("a", "b"),), duplicate_key=b"k")
    await send(store, "old", 1, resolve=True)
    await send(store, "open", 1, expires_at=at(60))
    await send(store, "younger", DAYS)
    await send(store, "younger", 2 * DAYS, resolve=True)
    assert (await sweep(store, 89)).groups == 0
    swept = await sweep(store, 91)
    assert (swept.groups, swept.more) == (1, False)
    assert [one.title for one in await all_groups(store)] == ["open is high", "younger is high"]
    assert await log(store, 1) == ()
    for table in ("group_label", "duplicate"):
        assert (
            await store.read(lambda c, t=table: c.exec_driver_sql(f"SELECT count(*) FROM {t}").scalar()) == 0
        )
    assert len((await store.read(alerts.list_alerts)).items) == 3
    assert len(await store.read(lambda c: timers.list_timers(c, timers.EXPIRE))) == 1
    assert (await sweep(store, 10_000)).groups == 1
    assert [one.title for one in await all_groups(store)] == ["open is high"]


async def test_a_huge_group_goes_in_bites(store: Store) -> None:
    """A thousand alerts at a time, and it stays readable meanwhile."""
    number = await fill(store, "huge", 2500)
    await act(store, number, Verb.RESOLVE, 3000)
    await send(store, "small", 3000, resolve=True)
    rows = []
    for _ in range(5):
        swept = await sweep(store, 200)
        found = await store.read(lambda c: alerts.list_alerts(c, limit=10_000))
        rows.append((swept.groups, len(found.items), swept.more))
        page = await store.read(lambda c: alerts.list_alerts(c, group=number, limit=10_000))
        assert [one.ordinal for one in page.items] == list(range(len(page.items), 0, -1))
        if not swept.more:
            break
    assert rows == [(0, 1501, True), (0, 501, True), (2, 0, False)]


async def test_payloads_between_the_first_and_last_hundred_go_after_thirty_days(store: Store) -> None:
    """A group of 250 keeps 100 at both ends; one of 200 keeps all; younger payloads stay; outcomes stay always."""
    large = await fill(store, "large", 250)
    small = await fill(store, "small", 200)
    assert (await sweep(store, 29)).payloads == 0
    swept = await sweep(store, 31)
    assert (swept.payloads, swept.more) == (50, False)
    assert await kept(store, large) == [*range(1, 101), *range(151, 251)]
    assert await kept(store, small) == list(range(1, 201))
    page = await store.read(lambda c: alerts.list_alerts(c, group=large, limit=1000))
    assert len(page.items) == 250
    assert {one.outcome.grouping_id for one in page.items} == {"large"}
    assert (await sweep(store, 31)).payloads == 0


async def test_a_slow_group_does_not_hoard(store: Store) -> None:
    """Ten alerts a day for 60 days, swept daily: the first and last hundred and the last thirty days, no more."""
    number = 0
    for day in range(60):
        number = await fill(store, "slow", 10, every=60, start=day * DAYS)
        await sweep(store, day + 0.9)
    page = await store.read(lambda c: alerts.list_alerts(c, group=number, limit=10_000))
    with_payload = [one.ordinal for one in page.items if one.has_payload]
    assert set(with_payload) >= {*range(1, 101), *range(301, 601)}
    assert len(with_payload) <= 100 + 310


async def test_shared_payloads_survive_their_owner(store: Store) -> None:
    """Equal payloads of one request are kept once; when the first alert's group goes, the others keep theirs."""
    await store.ingest(tuple(arrival(name, payload=b"[1]") for name in ("first", "second", "third")))
    await act(store, 1, Verb.DELETE, 1)
    page = await store.read(alerts.list_alerts)
    assert [await store.read(lambda c, n=one.id: alerts.payload_of(c, n)) for one in page.items] == [
        b"[1]"
    ] * 2


async def test_dead_letters_duplicates_tokens_and_replicas(store: Store) -> None:
    """Dead letters after a week, the memory of duplicates after an hour, tokens past their end, replicas long silent."""
    letter = Undelivered(integration=None, body=b"x", reason="test", media_type="", received_at=at(0))
    await store.write(lambda c: deadletters.put(c, letter))
    await send(store, duplicate_key=b"k")
    for token, overlap in (("a" * 20, 0), ("b" * 20, 5_000_000)):
        given = GivenToken(integration=WEB, token=token, overlap=overlap)
        await store.write(lambda c, g=given: credentials.put_token(c, KEYS, g, at(0)))
    await store.write(lambda c: replicas.register(c, "r", "receiver", "1"))
    swept = await sweep(store, 0.01)
    assert (swept.dead_letters, swept.duplicates, swept.tokens, swept.replicas) == (0, 0, 1, 0)
    assert (await sweep(store, 0.05)).duplicates == 1
    assert (await sweep(store, 6.9)).dead_letters == 0
    assert (await sweep(store, 7.1)).dead_letters == 1
    past = Policy(replicas=-DAY)
    assert (await sweep(store, 8, past)).replicas == 1


async def test_superseded_flows_go_when_no_trace_can_need_them(store: Store) -> None:
    """The current one never; what it shares with an old one, and what its manifest builds on, stays."""
    published = [flow(*[f"i{n}" for n in range(10 + size)]) for size in range(4)]
    for one in published:
        await store.write(lambda c, f=one: revisions.publish(c, f, 1))
    now = await store.read(clock.now)

    async def after(days: int) -> int:
        return (await store.write(lambda c: retention.sweep(c, POLICY, Micros(now + days * DAY)))).flows

    assert await after(89) == 0
    assert await after(91) == 3
    assert await store.read(lambda c: revisions.load_flow(c, published[-1].digest)) == published[-1]
    await store.write(lambda c: revisions.publish(c, flow("new"), 1))
    assert await after(200) == 1
    assert await store.read(lambda c: revisions.load_flow(c, published[-1].digest)) is None
    assert await store.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM fragment").scalar()) == 1
    assert (await store.read(revisions.current)).digest == flow("new").digest


async def test_one_of_several_processes_sweeps(postgresql_url: str) -> None:
    """The others find nothing to do instead of waiting."""
    one, two = [await Store.open(postgresql_url, keys=KEYS) for _ in range(2)]
    for number in range(300):
        await send(one, str(number), resolve=True)
    swept = await asyncio.gather(*[sweep(store, 200) for store in (one, two, one, two)])
    assert sum(result.groups for result in swept) in (100, 200, 300)
    while (await sweep(two, 200)).more:
        pass
    assert await all_groups(one) == ()
    await one.close()
    await two.close()


async def test_ingest_goes_on_during_a_sweep(store: Store) -> None:
    """Late signals for groups that are being deleted, and new firings of their ids, meet no error."""
    for number in range(50):
        await send(store, str(number), resolve=True)
    late = [store.ingest((arrival(str(n), 1, resolve=n % 2 == 0),)) for n in range(50)]
    await sweep(store, 200)
    answers = await asyncio.gather(*late)
    assert all(len(stored) == 1 for stored in answers)
    for one in await all_groups(store):
        assert (await group(store, one.number)).alerts_count >= 1
