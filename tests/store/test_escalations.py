"""Escalations, deliveries and posted messages as rows: what is replaced, what is claimed, what indexes serve."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection
from storing import arrival, at, send, send_together

from tocsin.flow.escalation.run import Run
from tocsin.flow.escalation.snapshot import Snapshot
from tocsin.flow.groups import State
from tocsin.flow.model import Micros
from tocsin.store import Store, agenda, alerts, deliveries, escalations, posted
from tocsin.store.deliveries import DeliveryState, NewDelivery, Outcome
from tocsin.store.escalations import Escalation
from tocsin.store.posted import Posted

SNAPSHOT = Snapshot(route="default", chain="shop/ops")


def running(group: int, started: float, resume: float | None, *, seen: int | None = None) -> Escalation:
    run = Run(
        snapshot=SNAPSHOT, started_at=at(started), resume_at=at(resume or started), paused=seen is not None
    )
    return Escalation(group=group, run=run, resume_at=None if resume is None else at(resume), seen_alert=seen)


async def started(store: Store, group: int) -> Micros:
    found = await store.read(lambda c: escalations.get(c, group))
    assert found is not None
    return found.run.started_at


async def test_what_began_later_stays(store: Store) -> None:
    """An older start, or a stop because of something older, that is seen late changes nothing."""
    await store.write(lambda c: escalations.put(c, [running(1, 10, 20)]))
    await store.write(lambda c: escalations.put(c, [running(1, 5, 15)]))
    assert await started(store, 1) == at(10)
    await store.write(lambda c: escalations.stop(c, {1: at(9)}, at(11)))
    assert (await store.read(agenda.look)).escalation == at(20)
    await store.write(lambda c: escalations.put(c, [running(1, 12, 22)]))
    assert await started(store, 1) == at(12)
    await store.write(lambda c: escalations.stop(c, {1: at(12)}, at(13)))
    assert (await store.read(agenda.look)).escalation is None


async def test_a_paused_one_waits_for_an_alert(store: Store) -> None:
    """The last alert that it saw tells whether another one came."""
    stored = await send(store)
    latest = await store.read(lambda c: alerts.latest(c, stored.number))
    assert latest is not None
    await store.write(lambda c: escalations.put(c, [running(stored.number, 0, None, seen=latest[0])]))
    assert not (await store.read(agenda.look)).joined
    assert await store.write(lambda c: escalations.joined(c, limit=9)) == ()
    await send(store, seconds=1)
    assert (await store.read(agenda.look)).joined
    (found,) = await store.write(lambda c: escalations.joined(c, limit=9))
    assert found.group == stored.number


async def test_alerts_are_counted_from_a_moment_on(store: Store) -> None:
    """From the latest backwards, and no further than asked for; other groups between them do not count."""
    for second in range(10):
        stored = await send(store, seconds=second)
        await send(store, "other", second)

    async def count(since: float, enough: int) -> int:
        return await store.read(lambda c: alerts.count_since(c, stored.number, at(since), enough=enough))

    assert [await count(0, 99), await count(7, 99), await count(7.5, 99), await count(9.5, 99)] == [
        10,
        3,
        2,
        0,
    ]
    assert await count(0, 4) == 4


async def test_the_same_key_is_written_once(store: Store) -> None:
    """Whoever decides it first; the others are new all the same."""
    new = [NewDelivery(key=key, kind="group", at=at(0), channel="shop/room") for key in ("a", "b")]
    assert await store.write(lambda c: deliveries.enqueue(c, new)) == 2
    more = [NewDelivery(key=key, kind="group", at=at(1), channel="shop/room") for key in ("b", "c")]
    assert await store.write(lambda c: deliveries.enqueue(c, more)) == 1
    found = await store.read(deliveries.list_deliveries)
    assert [(one.key, one.created_at) for one in found] == [("c", at(1)), ("b", at(0)), ("a", at(0))]


async def test_a_claim_is_a_lease(store: Store) -> None:
    """Whoever dies gives it back; what was delivered counts even then; a late failure does not."""
    new = [NewDelivery(key="a", kind="group", at=at(0))]
    await store.write(lambda c: deliveries.enqueue(c, new))

    async def claim(seconds: float) -> list[int]:
        found = await store.write(
            lambda c: deliveries.claim(c, "me", limit=9, now=at(seconds), lease=30_000_000)
        )
        return [one.attempts for one in found]

    assert [await claim(0), await claim(29), await claim(30)] == [[1], [], [2]]

    async def record(attempts: int, state: DeliveryState) -> bool:
        (one,) = await store.read(deliveries.list_deliveries)
        outcome = Outcome(id=one.id, attempts=attempts, state=state, at=at(31))
        return bool(await store.write(lambda c: deliveries.record(c, [outcome])))

    assert not await record(1, DeliveryState.FAILED)
    assert await record(1, DeliveryState.DELIVERED)
    assert not await record(2, DeliveryState.FAILED)


async def test_one_edit_waits_per_message(store: Store) -> None:
    """A further change is shown by the edit that waits; one that is on its way may have missed it."""
    pairs = [(1, "shop/room"), (1, "shop/hall"), (2, "shop/room")]
    assert await store.write(lambda c: deliveries.enqueue_updates(c, pairs, at(0))) == 3
    assert await store.write(lambda c: deliveries.enqueue_updates(c, pairs[:2], at(1))) == 0
    await store.write(lambda c: deliveries.claim(c, "me", limit=1, now=at(1), lease=9))
    assert await store.write(lambda c: deliveries.enqueue_updates(c, pairs, at(2))) == 1


async def test_messages_that_say_less_than_there_is(store: Store) -> None:
    """Open ones whose group has more alerts or another state, once they rested long enough."""
    one, two = await send_together(store, arrival("1"), arrival("2"))
    for stored in (one, two):
        message = Posted(
            group=stored.number,
            channel="shop/room",
            reference="r",
            shown="",
            alerts_count=1,
            state=State.FIRING,
            posted_at=at(0),
            updated_at=at(0),
        )
        await store.write(lambda c, m=message: posted.put(c, m))
    await send(store, "1", 5)
    behind = await store.read(lambda c: posted.behind(c, at(0)))
    assert [m.group for m in behind] == [one.number]
    assert await store.read(lambda c: posted.behind(c, at(-1))) == ()
    await store.write(lambda c: posted.close(c, one.number, "shop/room"))
    assert await store.read(lambda c: posted.behind(c, at(0))) == ()


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("SELECT * FROM escalation WHERE resume_at <= 5", "ix_escalation_resume_at"),
        ("SELECT group_id FROM escalation WHERE escalation.paused", "ix_escalation_paused"),
        ("SELECT * FROM personal WHERE resume_at <= 5", "ix_personal_resume_at"),
        ("SELECT * FROM delivery WHERE delivery.state = 0 AND due_at <= 5", "ix_delivery_due_at"),
        ("SELECT id FROM delivery WHERE finished_at <= 5 ORDER BY finished_at", "ix_delivery_finished_at"),
        ("SELECT * FROM posted WHERE posted.open AND updated_at <= 5", "ix_posted_open"),
    ],
)
async def test_what_is_asked_all_the_time_has_an_index(sqlite_store: Store, query: str, index: str) -> None:
    """The conditions are those of the repositories: a partial index serves only what says the same."""

    def plan(connection: Connection) -> str:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}").all()
        return " ".join(row[3] for row in rows)

    assert index in await sqlite_store.read(plan)
