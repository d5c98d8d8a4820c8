"""Timers, heartbeats, dead letters, snapshots, replicas."""

from __future__ import annotations

import asyncio

from storing import DB, WEB, at

from tocsin.flow.model import Micros
from tocsin.store import Store, clock, deadletters, heartbeats, replicas, snapshots, timers
from tocsin.store.deadletters import Undelivered
from tocsin.store.heartbeats import Belief


async def test_due_timers_are_claimed_once_and_finished(store: Store) -> None:
    """Oldest first, nobody gets one twice while its lease runs; after the lease the next does."""
    for number in range(4):
        await store.write(lambda c, n=number: timers.schedule(c, "test", str(n), at(n), data=f"d{n}"))

    async def claim(owner: str, seconds: float, limit: int = 100) -> list[str]:
        found = await store.write(
            lambda c: timers.claim_due(c, owner, limit=limit, lease=10_000_000, now=at(seconds))
        )
        return [one.subject for one in found]

    assert await store.read(timers.next_due) == at(0)
    assert await claim("a", 2, limit=2) == ["0", "1"]
    assert await claim("b", 2) == ["2"]
    assert await claim("b", 3) == ["3"]
    assert await claim("b", 12) == ["0", "1", "2"]
    (first,) = (
        one for one in await store.read(lambda c: timers.list_timers(c, "test")) if one.subject == "0"
    )
    assert (first.attempts, first.data) == (2, "d0")
    assert not await store.write(lambda c: timers.finish(c, first, "a")), "the claim was lost"
    assert await store.write(lambda c: timers.finish(c, first, "b"))
    assert not await store.write(lambda c: timers.finish(c, first, "b"))


async def test_rescheduling_wins_over_a_running_claim(store: Store) -> None:
    """What was set anew meanwhile is neither finished nor deferred by who ran the old one."""
    await store.write(lambda c: timers.schedule(c, "test", "x", at(0)))
    (claimed,) = await store.write(lambda c: timers.claim_due(c, "a", now=at(1)))
    await store.write(lambda c: timers.schedule(c, "test", "x", at(50)))
    assert not await store.write(lambda c: timers.finish(c, claimed, "a"))
    assert not await store.write(lambda c: timers.defer(c, claimed, "a", at(2)))
    again = await store.read(lambda c: timers.get(c, "test", "x"))
    assert (again.due_at, again.attempts) == (at(50), 0)
    assert await store.write(lambda c: timers.cancel(c, "test", "x"))
    assert not await store.write(lambda c: timers.cancel(c, "test", "x"))
    assert await store.read(timers.next_due) is None


async def test_a_deferred_timer_comes_again(store: Store) -> None:
    """At the time that was asked for, to anyone."""
    await store.write(lambda c: timers.schedule(c, "test", "x", at(0)))
    (claimed,) = await store.write(lambda c: timers.claim_due(c, "a", now=at(1)))
    assert await store.write(lambda c: timers.defer(c, claimed, "a", at(5)))
    assert await store.write(lambda c: timers.claim_due(c, "b", now=at(4))) == ()
    (again,) = await store.write(lambda c: timers.claim_due(c, "b", now=at(5)))
    assert again.attempts == 2


async def test_claims_of_several_processes_do_not_overlap(postgresql_store: Store) -> None:
    """Ten claimers at once: every timer is claimed by exactly one of them."""
    store = postgresql_store
    for number in range(100):
        await store.write(lambda c, n=number: timers.schedule(c, "test", str(n), at(0)))
    claims = await asyncio.gather(
        *[
            store.write(lambda c, o=f"owner {n}": timers.claim_due(c, o, limit=10, now=at(1)))
            for n in range(10)
        ]
    )
    subjects = [one.subject for claim in claims for one in claim]
    assert len(subjects) == len(set(subjects))
    rest = await store.write(lambda c: timers.claim_due(c, "rest", now=at(1)))
    assert len(subjects) + len(rest) == 100


async def test_heartbeats(store: Store) -> None:
    """Inactive until the first signal; an expired one stays so until it is told; reset and forget begin again."""
    before = await store.write(lambda c: heartbeats.beat(c, WEB, at(0)))
    assert (before.belief, before.last_seen) == (Belief.INACTIVE, at(0))
    assert (await store.write(lambda c: heartbeats.beat(c, WEB, at(5)))).belief is Belief.ALIVE
    await store.write(lambda c: heartbeats.believe(c, WEB, Belief.EXPIRED, at(90)))
    assert (await store.write(lambda c: heartbeats.beat(c, WEB, at(91)))).belief is Belief.EXPIRED
    await store.write(lambda c: heartbeats.believe(c, DB, Belief.EXPIRED, at(90)))
    found = await store.read(heartbeats.load)
    assert [(one.integration, one.belief, one.last_seen) for one in found] == [
        (DB, Belief.EXPIRED, None),
        (WEB, Belief.EXPIRED, at(91)),
    ]
    await store.write(lambda c: heartbeats.reset(c, WEB, at(95)))
    found = await store.read(lambda c: heartbeats.get(c, WEB))
    assert (found.belief, found.last_seen) == (Belief.INACTIVE, None)
    await store.write(lambda c: timers.schedule(c, timers.HEARTBEAT, str(WEB), at(99)))
    await store.write(lambda c: heartbeats.forget(c, WEB))
    assert await store.read(lambda c: heartbeats.get(c, WEB)) is None
    assert await store.read(lambda c: timers.list_timers(c, timers.HEARTBEAT)) == ()


async def test_dead_letters(store: Store) -> None:
    """The body as it came, in pages, by Integration, until removed."""
    for number in range(4):
        letter = Undelivered(
            integration=WEB if number % 2 else None,
            body=b"\x00\xff" * number,
            reason="malformed\x00",
            media_type="text/plain; charset=\udcff",
            received_at=at(number),
        )
        await store.write(lambda c, one=letter: deadletters.put(c, one))
    page = await store.read(lambda c: deadletters.list_letters(c, limit=3))
    assert [one.size for one in page.items] == [6, 4, 2]
    assert page.items[0].reason == "malformed\ufffd"
    rest = await store.read(lambda c: deadletters.list_letters(c, before=page.next))
    assert (len(rest.items), rest.next, rest.items[0].integration) == (1, None, None)
    mine = await store.read(lambda c: deadletters.list_letters(c, integration=WEB))
    assert [one.integration for one in mine.items] == [WEB, WEB]
    number = page.items[0].id
    assert await store.read(lambda c: deadletters.body_of(c, number)) == b"\x00\xff" * 3
    assert await store.write(lambda c: deadletters.remove(c, number))
    assert await store.read(lambda c: deadletters.body_of(c, number)) is None
    assert (await store.read(lambda c: deadletters.list_letters(c, integration=DB))).items == ()


async def test_snapshots_of_files(store: Store) -> None:
    """The last good text of each, replaced, forgotten."""
    await store.write(lambda c: snapshots.put(c, {"a.yaml": "kind: A", "b.yaml": "kind: B ünï"}, at(0)))
    await store.write(lambda c: snapshots.put(c, {"a.yaml": "kind: A2"}, at(1)))
    assert await store.read(snapshots.load) == {"a.yaml": "kind: A2", "b.yaml": "kind: B ünï"}
    await store.write(lambda c: snapshots.forget(c, ["b.yaml"]))
    assert await store.read(snapshots.load) == {"a.yaml": "kind: A2"}


async def test_replicas(store: Store) -> None:
    """Live for ten seconds after a renewal; one that was not registered is told so."""
    await store.write(lambda c: replicas.register(c, "r1", "receiver", "1.0"))
    await store.write(lambda c: replicas.register(c, "r2", "dispatcher", "1.0"))
    assert await store.write(lambda c: replicas.acknowledge(c, "r1", 7))
    assert not await store.write(lambda c: replicas.renew(c, "r3"))
    (one,) = await store.read(lambda c: replicas.live_replicas(c, role="receiver"))
    assert (one.id, one.revision) == ("r1", 7)
    now = await store.read(clock.now)
    assert len(await store.read(lambda c: replicas.live_replicas(c, now=Micros(now + 5_000_000)))) == 2
    assert await store.read(lambda c: replicas.live_replicas(c, now=Micros(now + 11_000_000))) == ()
    await store.write(lambda c: replicas.register(c, "r1", "receiver", "1.1"))
    (one,) = await store.read(lambda c: replicas.live_replicas(c, role="receiver"))
    assert (one.revision, one.version) == (0, "1.1")
    await store.write(lambda c: replicas.deregister(c, "r1"))
    assert await store.read(lambda c: replicas.live_replicas(c, role="receiver")) == ()
