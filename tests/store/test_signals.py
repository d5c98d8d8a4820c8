"""Acknowledge and resolve signals of the source."""

from __future__ import annotations

from storing import ANN, act, all_groups, arrival, at, group, kinds, log, send, send_together

from tocsin.flow.groups import Cause, State, Verb, Via
from tocsin.store import Store, actions, alerts, timers


async def test_acknowledge_by_source(store: Store) -> None:
    """Lifts silence, acknowledges without an author, stops escalation, and arms no reminder; again does nothing.

    Rules: R-SIG-2
    """
    first = await send(store)
    await act(store, first.number, Verb.SILENCE, 1, until=at(100))
    assert await store.read(lambda c: timers.get(c, timers.UNSILENCE, str(first.number))) is not None
    stored = await send(store, seconds=2, acknowledge=True)
    assert (stored.number, stored.state) == (first.number, State.ACKNOWLEDGED)
    found = await group(store, first.number)
    assert (found.life.acknowledged.cause, found.life.acknowledged.actor) == (Cause.SOURCE, "")
    assert (found.life.silenced, found.escalate_at) == (None, None)
    assert await store.read(lambda c: timers.get(c, timers.UNSILENCE, str(first.number))) is None
    await send(store, seconds=3, acknowledge=True)
    assert (await kinds(store, first.number))[2:] == ["SILENCED", "UNSILENCED", "ACKNOWLEDGED"]
    assert (await log(store, first.number))[-1].actor.via is None


async def test_resolve_by_source(store: Store) -> None:
    """Whatever the open state: silence is lifted, the group resolved and closed, without an author.

    Rules: R-SIG-3
    """
    for number, verb in enumerate((None, Verb.ACKNOWLEDGE, Verb.SILENCE)):
        first = await send(store, f"id {number}")
        if verb is not None:
            await act(store, first.number, verb, 1)
        stored = await send(store, f"id {number}", 2, resolve=True)
        found = await group(store, first.number)
        assert (stored.number, found.state) == (first.number, State.RESOLVED)
        assert (found.life.resolved.cause, found.life.resolved.actor, found.escalate_at) == (
            Cause.SOURCE,
            "",
            None,
        )
        assert found.life.silenced is None
    assert (await kinds(store, 3))[2:] == ["SILENCED", "UNSILENCED", "RESOLVED"]


async def test_signals_reach_attached_groups(store: Store) -> None:
    """What the source says of the root holds for the groups attached to it, with their own log entries."""
    root, child = await send_together(store, arrival("root"), arrival("child"))
    await store.write(lambda c: actions.attach(c, child.number, root.number, now=at(1), actor=ANN))
    await send(store, "root", 2, acknowledge=True)
    assert (await group(store, child.number)).state is State.ACKNOWLEDGED
    stored = await send_together(
        store, arrival("root", 3, resolve=True), arrival("child", 3), arrival("child", 4)
    )
    assert (await group(store, child.number)).state is State.RESOLVED
    assert (await kinds(store, child.number))[2:] == ["ATTACHED", "ACKNOWLEDGED", "RESOLVED"]
    assert stored[1].number == stored[2].number != child.number, (
        "the child is closed: a recurrence is a new group"
    )


async def test_a_child_follows_its_own_source(store: Store) -> None:
    """Attached groups still take signals of their own source."""
    root, child = await send_together(store, arrival("root"), arrival("child"))
    await store.write(lambda c: actions.attach(c, child.number, root.number, now=at(1), actor=ANN))
    assert (await send(store, "child", 2, resolve=True)).number == child.number
    assert [one.state for one in await all_groups(store)] == [State.FIRING, State.RESOLVED]


async def test_false_conditions_change_nothing(store: Store) -> None:
    """There is no un-acknowledge and no unresolve by source.

    Rules: R-SIG-4
    """
    first = await send(store, acknowledge=True)
    assert (await send(store, seconds=1)).state is State.ACKNOWLEDGED
    await send(store, seconds=2, resolve=True)
    assert (await send(store, seconds=3)).number != first.number
    assert (await group(store, first.number)).state is State.RESOLVED


async def test_signals_ignore_who_acted_before(store: Store) -> None:
    """A person's acknowledge does not keep the source from resolving, nor a person's un-acknowledge it from acknowledging.

    Rules: R-SIG-5
    """
    first = await send(store)
    await act(store, first.number, Verb.ACKNOWLEDGE, 1)
    await act(store, first.number, Verb.UNACKNOWLEDGE, 2)
    assert (await send(store, seconds=3, acknowledge=True)).state is State.ACKNOWLEDGED
    await act(store, first.number, Verb.UNACKNOWLEDGE, 4)
    await act(store, first.number, Verb.ACKNOWLEDGE, 5)
    assert (await send(store, seconds=6, resolve=True)).state is State.RESOLVED


async def test_late_acknowledge_opens_nothing(store: Store) -> None:
    """An acknowledge after the resolve marks the closed group and leaves it closed (BUG-081).

    Rules: R-SIG-6
    """
    first = await send(store)
    await send(store, seconds=1, resolve=True)
    late = await send(store, seconds=2, acknowledge=True)
    assert (late.number, late.state, late.created) == (first.number, State.RESOLVED, False)
    found = await group(store, first.number)
    assert (found.life.acknowledged.cause, found.life.resolved.at) == (Cause.SOURCE, at(1))
    assert (await kinds(store, first.number))[3:] == ["ACKNOWLEDGED", "LATE_SIGNAL"]
    both = await send(store, seconds=3, acknowledge=True, resolve=True)
    assert (both.number, both.state) == (first.number, State.RESOLVED)


async def test_acknowledge_comes_before_resolve(store: Store) -> None:
    """One alert that says both ends resolved, and the log says both in this order.

    Rules: R-SIG-7
    """
    first = await send(store)
    await send(store, seconds=1, acknowledge=True, resolve=True)
    assert (await kinds(store, first.number))[2:] == ["ACKNOWLEDGED", "RESOLVED"]
    born = await send(store, "other", 2, acknowledge=True, resolve=True)
    assert (born.created, born.state) == (True, State.RESOLVED)


async def test_a_signal_acts_on_every_route(store: Store) -> None:
    """A recovery that takes another route than the firing alert closes it all the same (weakness S-1).

    Its alert is kept on the group of its own route, else on the oldest, and is named in the log of each.
    """
    critical, warning = await send_together(
        store, arrival(route="shop/critical"), arrival(route="shop/warning")
    )
    stored = await send(store, seconds=1, route="shop/other", resolve=True)
    assert (stored.number, stored.route, stored.created) == (critical.number, "shop/critical", False)
    assert [one.state for one in await all_groups(store)] == [State.RESOLVED, State.RESOLVED]
    (alert,) = (await store.read(lambda c: alerts.list_alerts(c, group=critical.number, limit=1))).items
    for one in (critical, warning):
        assert [e.alert for e in await log(store, one.number) if e.kind.name == "RESOLVED"] == [alert.id]
    opened = await send(store, seconds=2, route="shop/warning")
    closed = await send(store, seconds=3, route="shop/warning", resolve=True)
    assert closed.number == opened.number


async def test_resolve_with_nothing_open(store: Store) -> None:
    """Kept and logged on the latest resolved group of the id; with none, a group that is born resolved (BUG-028).

    Nobody is notified, and repeating the same body changes no state.
    """
    born = await send(store, resolve=True)
    assert (born.created, born.state) == (True, State.RESOLVED)
    assert (await group(store, born.number)).escalate_at is None
    assert await kinds(store, born.number) == ["REGISTERED", "ROUTE_ASSIGNED", "RESOLVED"]
    again = await send(store, seconds=1, resolve=True, route="shop/elsewhere")
    assert (again.number, again.created) == (born.number, False)
    assert (await kinds(store, born.number))[3:] == ["LATE_SIGNAL"]
    assert (await group(store, born.number)).life.resolved.at == at(0)
    opened = await send(store, seconds=2)
    await act(store, opened.number, Verb.RESOLVE, 3)
    assert (await send(store, seconds=4, resolve=True)).number == opened.number
    assert (await group(store, opened.number)).life.resolved.cause is Cause.USER


async def test_signals_inside_one_batch_see_each_other(store: Store) -> None:
    """firing, resolve, late resolve, firing in one transaction: two groups, the second open."""
    made = [arrival(), arrival(seconds=1, resolve=True), arrival(seconds=2, resolve=True), arrival(seconds=3)]
    for stored in (await store.ingest(tuple(made)), await store.ingest(tuple(made))):
        assert [one.created for one in stored] in ([True, False, False, True], [False, False, False, True])
        assert [one.state.value for one in stored] == ["firing", "resolved", "resolved", "firing"]
    assert [one.state.value for one in await all_groups(store)] == ["resolved", "resolved", "firing"]


async def test_log_entries_say_who_and_by_what(store: Store) -> None:
    """Time, author or none, where it was done, reason and details; the numbers are stable.

    Rules: R-LOG-2
    """
    first = await send(store, route="shop/critical")
    await act(store, first.number, Verb.ACKNOWLEDGE, 1, reason="mine")
    await send(store, seconds=2, resolve=True)
    registered, routed, acknowledged, resolved = await log(store, first.number)
    assert (registered.kind, registered.at, registered.actor.name) == (21, at(0), "")
    assert (routed.kind, routed.details) == (22, {"route": "shop/critical"})
    assert (acknowledged.kind, acknowledged.at, acknowledged.reason) == (0, at(1), "mine")
    assert (acknowledged.actor.name, acknowledged.actor.via) == ("ann", Via.WEB)
    assert (resolved.kind, resolved.actor.via, resolved.details) == (13, None, {"cause": "source"})
