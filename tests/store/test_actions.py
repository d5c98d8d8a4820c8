"""What people do to groups."""

from __future__ import annotations

import pytest
from storing import (
    ANN,
    DB,
    act,
    all_groups,
    arrival,
    at,
    group,
    kinds,
    log,
    send,
    send_together,
    signal,
    window,
)

from tocsin.flow.groups import Action, Actor, Cause, Effect, Refusal, Refused, State, Verb
from tocsin.store import Store, actions, alerts, timers, windows


async def family(store: Store, seconds: float = 1) -> tuple[int, int]:
    """A root and a group attached to it."""
    root, child = await send_together(store, arrival("root"), arrival("child"))
    await store.write(lambda c: actions.attach(c, child.number, root.number, now=at(seconds), actor=ANN))
    return root.number, child.number


async def states(store: Store) -> list[State]:
    return [one.state for one in await all_groups(store)]


async def test_unacknowledge_restarts_the_root_and_takes_children_along(store: Store) -> None:
    """Clears acknowledge and silence, escalates again ten seconds later, for the root only.

    Rules: R-ACT-2
    """
    root, child = await family(store)
    await act(store, root, Verb.ACKNOWLEDGE, 2)
    assert await states(store) == [State.ACKNOWLEDGED] * 2
    done = await act(store, root, Verb.UNACKNOWLEDGE, 3)
    assert (await states(store), done.affected) == ([State.FIRING] * 2, (root, child))
    assert [one.escalate_at for one in await all_groups(store)] == [at(13), None]


async def test_unresolve_clears_everything(store: Store) -> None:
    """Acknowledge goes too, children come along, escalation starts over; a wiped group stays resolved.

    Rules: R-ACT-4
    """
    root, child = await family(store)
    await act(store, root, Verb.ACKNOWLEDGE, 2)
    await act(store, root, Verb.RESOLVE, 3)
    assert await states(store) == [State.RESOLVED] * 2
    await act(store, root, Verb.UNRESOLVE, 4)
    assert await states(store) == [State.FIRING] * 2
    assert (await group(store, root)).escalate_at == at(14)
    await act(store, root, Verb.WIPE, 5)
    with pytest.raises(Refused, match="stays resolved") as refused:
        await act(store, root, Verb.UNRESOLVE, 6)
    assert refused.value.reason is Refusal.WIPED
    assert (await group(store, child)).state is State.RESOLVED


async def test_silence_ends_by_its_timer_and_no_older_one(store: Store) -> None:
    """Only the root has the timer; a later silence replaces it; its end brings root and children back to firing."""
    root, _ = await family(store)
    await act(store, root, Verb.SILENCE, 2, until=at(50))
    await act(store, root, Verb.SILENCE, 3, until=at(90))
    (timer,) = await store.read(lambda c: timers.list_timers(c, timers.UNSILENCE))
    assert (timer.subject, timer.due_at) == (str(root), at(90))
    assert await signal(store, root, Verb.SILENCE_ENDED, 50, until=at(50)) is None
    assert await states(store) == [State.SILENCED] * 2
    assert await signal(store, root, Verb.SILENCE_ENDED, 90, until=at(90)) is not None
    assert await states(store) == [State.FIRING] * 2
    assert [one.escalate_at for one in await all_groups(store)] == [at(100), None]
    await act(store, root, Verb.SILENCE, 100, until=None)
    assert await store.read(lambda c: timers.list_timers(c, timers.UNSILENCE)) == ()


async def test_attach_takes_over_the_parents_state(store: Store) -> None:
    """The child copies acknowledge and an endless silence, stops escalating, and both logs say so.

    Rules: R-ACT-7
    """
    one, two, three = await send_together(store, arrival("1"), arrival("2"), arrival("3"))
    await act(store, one.number, Verb.SILENCE, 1, until=at(50))
    await store.write(lambda c: actions.attach(c, two.number, one.number, now=at(2), actor=ANN))
    child = await group(store, two.number)
    assert (child.parent, child.state, child.life.silenced.until) == (one.number, State.SILENCED, None)
    assert child.escalate_at is None
    assert (await log(store, two.number))[-1].details == {"parent": str(one.number)}
    assert (await log(store, one.number))[-1].details == {"child": str(two.number)}
    refusals = {
        (two.number, three.number): Refusal.ATTACHED,
        (three.number, two.number): Refusal.ATTACHED,
        (one.number, three.number): Refusal.HAS_CHILDREN,
        (three.number, three.number): Refusal.SAME,
    }
    for (number, parent), reason in refusals.items():
        with pytest.raises(Refused) as refused:
            await store.write(lambda c, n=number, p=parent: actions.attach(c, n, p, now=at(3)))
        assert refused.value.reason is reason
    await act(store, one.number, Verb.RESOLVE, 4)
    with pytest.raises(Refused) as refused:
        await store.write(lambda c: actions.attach(c, three.number, one.number, now=at(5)))
    assert refused.value.reason is Refusal.RESOLVED


async def test_unattach_makes_a_root_again(store: Store) -> None:
    """Both logs say so and escalation starts over; deleting the parent does the same.

    Rules: R-ACT-8
    """
    root, child = await family(store)
    await act(store, child, Verb.UNATTACH, 2)
    found = await group(store, child)
    assert (found.parent, found.escalate_at) == (None, at(12))
    assert (await kinds(store, root))[-1] == (await kinds(store, child))[-1] == "UNATTACHED"
    await store.write(lambda c: actions.attach(c, child, root, now=at(3)))
    await act(store, root, Verb.DELETE, 4)
    (left,) = await all_groups(store)
    assert (left.number, left.parent, left.escalate_at) == (child, None, at(14))


async def test_attached_groups_follow_their_root_only(store: Store) -> None:
    """No person acts on a child directly, and the refusal says where to act.

    Rules: R-ACT-9
    """
    root, child = await family(store)
    for verb in (Verb.ACKNOWLEDGE, Verb.RESOLVE, Verb.SILENCE, Verb.UNRESOLVE, Verb.WIPE, Verb.DELETE):
        with pytest.raises(Refused, match=f"act on #{root}"):
            await act(store, child, verb, 2)
    assert await states(store) == [State.FIRING] * 2


async def test_wipe_empties_what_a_group_says(store: Store) -> None:
    """Payloads, titles, links and texts go, children's too; numbers, times, labels and log stay. It cannot be undone.

    Rules: R-ACT-10
    """
    root, child = await family(store)
    shared = arrival("root", 2, payload=b'{"secret":"x"}', labels=(("a", "b"),))
    outside = arrival("outside", 2, payload=b'{"secret":"x"}')
    await store.ingest((shared, shared, outside))
    await act(store, root, Verb.WIPE, 3)
    for number in (root, child):
        found = await group(store, number)
        assert (found.state, found.life.resolved.cause, found.title) == (
            State.RESOLVED,
            Cause.WIPED,
            "Wiped by ann",
        )
        page = await store.read(lambda c, n=number: alerts.list_alerts(c, group=n))
        for one in page.items:
            assert await store.read(lambda c, n=one.id: alerts.payload_of(c, n)) == b"{}"
            assert (one.outcome.title, one.outcome.grouping_id) == ("Wiped by ann", "")
    assert (await kinds(store, root))[-1] == "WIPED"
    kept = (await store.read(lambda c: alerts.list_alerts(c, group=3))).items[0]
    assert await store.read(lambda c: alerts.payload_of(c, kept.id)) == b'{"secret":"x"}'


async def test_delete_removes_a_group_with_all_it_had(store: Store) -> None:
    """Alerts, log, labels and timers are gone; a number is never given again.

    Rules: R-ACT-11
    """
    first = await send(store, labels=(("a", "b"),), expires_at=at(60))
    await act(store, first.number, Verb.DELETE, 1)
    assert await all_groups(store) == ()
    assert await log(store, first.number) == ()
    assert (await store.read(alerts.list_alerts)).items == ()
    assert await store.read(lambda c: timers.list_timers(c, timers.EXPIRE)) == ()
    with pytest.raises(actions.NoSuchGroup):
        await act(store, first.number, Verb.RESOLVE, 2)
    assert (await send(store, seconds=3)).number > first.number


async def test_bulk_passes_over_what_does_not_suit(store: Store) -> None:
    """Children, groups already there and maintenance groups are left out; silence silences again.

    Rules: R-ACT-12
    """
    root, child = await family(store)
    done = await send(store, "done", 1, resolve=True)
    covered = await send(store, "covered", 1, windows=(window(),))
    collector = (await group(store, covered.number)).parent
    everything = [root, child, done.number, covered.number, collector, 999]

    async def bulk(verb: Verb, seconds: float) -> list[int]:
        action = Action(verb=verb, at=at(seconds), actor=ANN)
        acted = await store.write(lambda c: actions.act_on_many(c, everything, action))
        return [one.group.number for one in acted]

    assert await bulk(Verb.ACKNOWLEDGE, 2) == [root]
    assert (await group(store, child)).state is State.ACKNOWLEDGED
    assert await bulk(Verb.SILENCE, 3) == await bulk(Verb.SILENCE, 4) == [root]
    assert await bulk(Verb.RESOLVE, 5) == [root, collector], (
        "resolving the maintenance group ends the maintenance"
    )
    assert await store.read(windows.running) == ()


async def test_bulk_restart_escalates_from_the_start(store: Store) -> None:
    """Acknowledged, silenced and resolved groups fire again; one that fires already is passed over.

    Rules: R-ACT-13
    """
    stored = await send_together(store, *[arrival(str(n)) for n in range(4)])
    numbers = [one.number for one in stored]
    for number, verb in zip(numbers, (Verb.ACKNOWLEDGE, Verb.SILENCE, Verb.RESOLVE), strict=False):
        await act(store, number, verb, 1)
    action = Action(verb=Verb.RESTART, at=at(2), actor=ANN)
    acted = await store.write(lambda c: actions.act_on_many(c, numbers, action))
    assert [one.group.number for one in acted] == numbers[:3]
    assert await states(store) == [State.FIRING] * 4
    assert [one.escalate_at for one in await all_groups(store)] == [at(12), at(12), at(12), at(0)]
    assert (await send(store, "2", 3)).number == numbers[2], "a restarted group is open for grouping"


async def test_response_time_is_that_of_the_first_reaction(store: Store) -> None:
    """Acknowledge, resolve, silence or wipe, whichever comes first, counted from the start.

    Rules: R-AGS-4
    """
    for number, verb in enumerate((Verb.ACKNOWLEDGE, Verb.RESOLVE, Verb.SILENCE, Verb.WIPE)):
        first = await send(store, str(number), 10)
        await act(store, first.number, verb, 17)
        if verb is Verb.ACKNOWLEDGE:
            await act(store, first.number, Verb.RESOLVE, 30)
        assert (await group(store, first.number)).life.response_time == 7_000_000


async def test_resolving_a_maintenance_group_ends_its_maintenance(store: Store) -> None:
    """Its occurrence ends for this Integration only; what fires under it starts to escalate."""
    mine = await send(store, windows=(window(),))
    await send(store, of=DB, windows=(window(),))
    collector = (await group(store, mine.number)).parent
    done = await act(store, collector, Verb.RESOLVE, 5)
    assert Effect.END_MAINTENANCE in done.effects
    assert done.group.resolved.cause is Cause.MAINTENANCE
    found = await group(store, mine.number)
    assert (found.parent, found.state, found.escalate_at, found.suppressed) == (
        None,
        State.FIRING,
        at(15),
        False,
    )
    assert len(await store.read(windows.running)) == 1
    late = await send(store, "later", 6, windows=(window(),))
    assert (await group(store, late.number)).escalate_at == at(6), (
        "ended by hand: what comes now is not covered"
    )


async def test_signals_without_work_do_nothing(store: Store) -> None:
    """A timer that comes too late, or for a group that is gone, is no error."""
    first = await send(store)
    assert await signal(store, first.number, Verb.SILENCE_ENDED, 1, until=at(1)) is None
    assert await signal(store, 999, Verb.SOURCE_RESOLVE, 1) is None
    assert await signal(store, first.number, Verb.LAST_STEP, 2) is not None
    assert (await group(store, first.number)).life.resolved.cause is Cause.LAST_STEP
    assert await signal(store, first.number, Verb.SOURCE_RESOLVE, 3, actor=Actor()) is None
