"""What the engine promises whatever happens around it: each step once, one bad item alone, nothing before its time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from dispatching import ANN, World, declared, integration, obj
from msgspec.structs import replace
from sqlalchemy import Connection, func, select
from test_told import PEOPLE

from tocsin.api.common import Identity
from tocsin.dispatch import paging
from tocsin.dispatch.paging import Call, Who
from tocsin.flow.decision import Grouping
from tocsin.flow.evaluator import FALLBACK_KEY
from tocsin.flow.groups import Entry, LogKind
from tocsin.flow.model import Micros
from tocsin.store import Arrival, actions, escalations, events, removal
from tocsin.store.errors import StoreUnavailable
from tocsin.store.tables import metadata

Make = Callable[..., Awaitable[World]]


def flow(*steps: dict[str, Any], **route: Any) -> list[dict]:
    """People, an Integration `web`, and a chain of these steps."""
    route.setdefault("escalationChainRef", {"name": "ops"})
    return [
        *declared(PEOPLE),
        integration(type="webhook", templates={"groupingId": "{{ payload.id }}"}, defaultRoute=route),
        obj("EscalationChain", "ops", steps=list(steps)),
    ]


def notify(*names: str) -> dict[str, Any]:
    return {"notifyResponders": {"responderRefs": [{"name": name} for name in names]}}


def wait(duration: str) -> dict[str, Any]:
    return {"wait": {"duration": duration}}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue("postgresql_url")) if request.param == "postgresql" else ""


async def test_a_later_start_replaces_the_earlier_one(world: Make, url: str) -> None:
    """Acknowledged and released again and again, a group has one escalation, which begins where the last start says.

    Rules: R-ESC-6
    """
    w = await world(*flow(notify("bob"), wait("10m"), notify("ann")), url=url)
    await w.alert(id=1)
    await w.run()
    for _ in range(3):
        await w.after(seconds=5)
        await w.act(1, "acknowledge")
        await w.run()
        await w.act(1, "unacknowledge")
        await w.run()
    await w.after(hours=1)
    assert w.told == [
        "personal to default/bob by mail about #1",
        "personal to default/bob by mail about #1",
        "personal to default/ann by mail about #1",
        "personal to default/ann by phone about #1",
    ]
    found = await w.store.read(lambda c: escalations.get(c, 1))
    assert found is not None
    assert found.finished_at is not None


async def test_what_fails_before_its_commit_is_done_once(world: Make, url: str) -> None:
    """A process that dies with a step in its hands has done nothing of it; the next one does all of it."""
    w = await world(*flow(notify("bob"), wait("10m"), notify("bob")), url=url)
    await w.alert(id=1)
    await w.run()
    w.clock.moment = Micros(w.now + 600_000_000)
    kept = w.store.write

    async def dies(fn: Callable[[Connection], Any]) -> Any:
        def run(connection: Connection) -> None:
            fn(connection)
            raise StoreUnavailable("the process died")

        return await kept(run)

    w.dispatch.engine._store.write = dies  # type: ignore[method-assign]
    with pytest.raises(StoreUnavailable):
        await w.dispatch.engine.run_due()
    w.dispatch.engine._store.write = kept  # type: ignore[method-assign]
    await w.restart()
    assert w.told == ["personal to default/bob by mail about #1"] * 2
    kinds = [kind for kind, _ in await w.entries(1)]
    assert kinds.count("person_notified") == 2


async def test_one_bad_item_harms_only_itself(world: Make, url: str) -> None:
    """What cannot be handled is logged on its group; everybody else in the same batch is told."""
    w = await world(*flow(notify("bob")), url=url)
    for n in (1, 2, 3):
        await w.alert(id=n)
    bad = Entry(kind=LogKind.DIRECT_PAGING, at=w.now)  # says nobody
    await w.store.write(lambda c: events.append(c, 2, bad))
    await w.run()
    assert sorted(w.told) == [f"personal to default/bob by mail about #{n}" for n in (1, 2, 3)]
    failed = [reason for kind, reason in await w.entries(2) if kind == "escalation_failed"]
    assert len(failed) == 1
    assert failed[0].startswith("what follows from direct_paging could not be done")
    assert await w.dispatch.engine.run_due() == 0


async def test_nothing_is_told_before_the_current_flow_is_loaded(world: Make, url: str) -> None:
    """A process that runs an older flow than the published one leaves everything to those that have caught up."""
    w = await world(*flow(notify("bob")), url=url)
    before = w.live.program
    await w.apply(obj("EscalationChain", "ops", steps=[notify("ann")]))
    after, w.live.program = w.live.program, before
    await w.alert(id=1)
    await w.run()
    assert w.told == []
    w.live.program = after
    await w.run()
    assert w.told == ["personal to default/ann by mail about #1"]


async def test_a_group_whose_route_is_gone_says_so(world: Make) -> None:
    """It stays visible; its log says why nobody is told."""
    w = await world(*flow(notify("bob")))
    await w.alert(id=1)
    await w.delete("Integration", "web")
    await w.run()
    assert w.told == []
    assert (
        "escalation_failed",
        "Integration default/web is gone (deleted, suspended or refused): nobody is told",
    ) in await w.entries(1)


async def test_attached_groups_are_quiet(world: Make, url: str) -> None:
    """An attached group's escalation ends; detached it starts over after ten seconds if it fires."""
    w = await world(*flow(notify("bob"), wait("1m"), notify("bob")), url=url)
    for n in (1, 2):
        await w.alert(id=n)
    await w.run()
    await w.store.write(lambda c: actions.attach(c, 2, 1, now=w.now, actor=ANN))
    await w.after(hours=1)
    assert w.told.count("personal to default/bob by mail about #2") == 1
    await w.act(2, "unattach")
    await w.after(seconds=9)
    assert w.told.count("personal to default/bob by mail about #2") == 1
    await w.after(seconds=1)
    assert w.told.count("personal to default/bob by mail about #2") == 2


async def test_people_paged_by_hand(world: Make, url: str) -> None:
    """They are told of an acknowledged group, too, by all their rules, until they acknowledge it or are un-paged."""
    w = await world(*flow(), url=url)
    await w.alert(id=1)
    await w.act(1, "acknowledge")
    await w.run()

    async def page(*names: str) -> None:
        people = [Who(responder=f"default/{name}") for name in names]
        await w.store.write(lambda c: paging.page(c, 1, people, Call(actor=ANN, now=w.now)))
        await w.run()

    await page("ann", "bob")
    assert w.told == [f"personal to default/{name} by mail about #1" for name in ("ann", "bob")]
    assert all(data["even_if_acknowledged"] and data["reason"] == "paged by hand" for _, data in w.orders)
    await w.store.write(lambda c: paging.unpage(c, 1, "default/ann", Call(actor=ANN, now=w.now)))
    await w.after(minutes=10)
    assert len(w.told) == 2
    await page("ann")
    await w.after(minutes=5)
    assert w.told[-1] == "personal to default/ann by phone about #1"
    await page("ann")
    await w.act(1, "unacknowledge")
    await w.after(seconds=1)
    await w.act(1, "acknowledge")
    await w.after(minutes=5)
    assert w.told[-1] == "personal to default/ann by mail about #1"


async def test_a_group_of_alerts_that_nobody_can_tell_apart_is_told_again(world: Make, url: str) -> None:
    """Acknowledged it does not sleep: its channel and whoever was told hear of a further alert, once in five minutes."""
    w = await world(*flow(notify("ann"), chatops=[{"channelRef": {"name": "room"}}]), url=url)

    async def alert() -> None:
        web = w.live.program.integrations[Identity("Integration", "default", "web")]
        decision = replace(web.evaluate({}, w.now), grouping=Grouping.FALLBACK, grouping_key=FALLBACK_KEY)
        arrival = Arrival(
            integration=web.identity,
            decision=decision,
            payload=b"{}",
            received_at=w.now,
            now=w.now,
            manifest=w.live.program.digest,
        )
        await w.store.ingest((arrival,))
        await w.run()

    await alert()
    await w.act(1, "acknowledge")
    await w.run()
    w.told.clear()
    for _ in range(3):
        await w.after(minutes=2)
        await alert()
    again = ["group to default/room about #1", "personal to default/ann by mail about #1"]
    assert [line for line in w.told if not line.startswith("update")] == again
    await w.after(minutes=2)
    await alert()
    assert [line for line in w.told if not line.startswith("update")] == again * 2


async def test_everything_goes_with_its_group(world: Make, url: str) -> None:
    """A deleted group leaves nothing behind in any table that names it."""
    chain = flow(notify("ann"), wait("1h"), chatops=[{"channelRef": {"name": "room"}}])
    chain[-1]["spec"]["acknowledgeReminder"] = {"every": "3h"}
    w = await world(*chain, url=url)
    await w.alert(id=1)
    await w.run()
    people = [Who(responder="default/bob")]
    await w.store.write(lambda c: paging.page(c, 1, people, Call(actor=ANN, now=w.now)))
    await w.act(1, "acknowledge")
    await w.run()
    await w.store.write(lambda c: removal.delete_groups(c, [1]))
    assert await w.store.read(_named) == {}
    await w.after(hours=4)
    assert await w.store.read(_named) == {}


def _named(connection: Connection) -> dict[str, int]:
    """Rows that name a group, by table."""
    found = {}
    for table in metadata.sorted_tables:
        if "group_id" in table.c and table.name != "window_occurrence":
            named = select(func.count()).select_from(table).where(table.c.group_id.is_not(None))
            count = connection.scalar(named)
            if count:
                found[table.name] = count
    timers = connection.exec_driver_sql("SELECT count(*) FROM timer WHERE subject = '1'").scalar()
    return found | ({"timer": timers} if timers else {})
