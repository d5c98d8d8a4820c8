"""Maintenance windows: what the timelines do not show, and the rules that they prove together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from dispatching import ANN, World, count_occurrences, integration, obj, window

from tocsin.api.common import Identity
from tocsin.dispatch import windows as reconciling
from tocsin.flow.decision import WindowInForce
from tocsin.flow.groups import Action, Refused, Verb
from tocsin.flow.model import Micros
from tocsin.store import actions, occurrences
from tocsin.store.occurrences import OccurrenceRow

Make = Callable[..., Awaitable[World]]
WEB = Identity("Integration", "default", "web")
NOW = {"start": "2026-07-01T11:00", "duration": "2h"}


def firing(uid: str, **more: str) -> dict:
    return {"alert_uid": uid, "title": uid, "state": "alerting", **more}


async def test_maintenance_collects_what_opens_while_it_runs(world: Make) -> None:
    """One maintenance group per occurrence and Integration, made with the first group; the log of the maintenance group
    names every child, the child's log says nothing.

    Rules: R-MNT-6
    """
    w = await world(integration(), window(**NOW))
    await w.alert(**firing("a"))
    await w.alert(**firing("b"))
    child, collector, other = await w.groups()
    assert (child.parent, other.parent, collector.title) == (2, 2, "Maintenance default/w")
    assert (child.escalate_at, child.suppressed) == (None, True)
    assert await w.entries(2) == [
        ("registered", "maintenance"),
        ("attached", "maintenance"),
        ("attached", "maintenance"),
    ]
    assert [kind for kind, _ in await w.entries(1)] == ["registered", "route_assigned"]


async def test_two_modes_and_nothing_else(world: Make) -> None:
    """Debug and Maintenance; any duration of at least a second.

    Rules: R-MNT-1
    """
    w = await world(
        integration(),
        window("d", "Debug", **NOW),
        window("m", "Maintenance", start="2026-07-01T11:00", duration="1h1s"),
    )
    modes = {o.mode for o in await w.store.read(occurrences.running)}
    assert modes == {"Debug", "Maintenance"}


async def test_signals_of_the_source_act_on_children(world: Make) -> None:
    """Acknowledged and resolved by source under maintenance as always.

    Rules: R-MNT-11
    """
    w = await world(
        integration(
            type="webhook",
            templates={
                "groupingId": "{{ payload.alert_uid }}",
                "acknowledge": "{{ payload.state == 'acknowledged' }}",
                "resolve": "{{ payload.state == 'ok' }}",
            },
        ),
        window(**NOW),
    )
    await w.alert(**firing("a"))
    assert (await w.alert(alert_uid="a", state="acknowledged")).state == "acknowledged"
    assert (await w.alert(alert_uid="a", state="ok")).state == "resolved"


async def test_the_maintenance_group_only_takes_its_end(world: Make) -> None:
    """It cannot be acknowledged, silenced, unresolved, attached or unattached; resolving it ends the maintenance.

    Rules: R-MNT-12
    """
    w = await world(integration(), window(**NOW))
    await w.alert(**firing("a"))
    for verb in ("acknowledge", "unacknowledge", "unresolve", "silence", "unsilence", "unattach"):
        with pytest.raises(Refused, match="maintenance"):
            await w.act(2, verb)
    with pytest.raises(Refused):
        await w.store.write(lambda c: actions.attach(c, 2, 1, now=w.now, actor=ANN))
    many = Action(verb=Verb.ACKNOWLEDGE, at=w.now, actor=ANN)
    assert await w.store.write(lambda c: actions.act_on_many(c, [2], many)) == ()
    await w.act(2, "resolve")
    assert [o.ended_at for o in await w.store.read(occurrences.recent)] == [w.now]
    child = await w.group(1)
    assert (child.parent, child.escalate_at is not None) == (None, True)


async def test_groups_from_before_are_left_alone(world: Make) -> None:
    """Open before the window: not attached, escalation goes on, alerts join as always."""
    w = await world(integration(), window(start="2026-07-01T13:00", duration="1h"))
    await w.alert(**firing("a"))
    before = await w.group(1)
    await w.at("2026-07-01T13:10:00Z")
    assert (await w.alert(**firing("a"))).number == 1
    during = await w.group(1)
    assert (during.parent, during.escalate_at) == (None, before.escalate_at)
    await w.at("2026-07-01T14:10:00Z")
    assert ((await w.group(1)).state, len(await w.groups())) == ("firing", 1)


async def test_resume_says_so_in_the_log_and_in_the_row(world: Make) -> None:
    """At the end a group that still fires is marked to start its escalation, and its log says why; once."""
    w = await world(integration(), window("d", "Debug", **NOW))
    await w.alert(**firing("a"))
    await w.at("2026-07-01T13:00:00Z")
    assert (await w.group(1)).escalate_at == w.now + 10_000_000
    assert (await w.entries(1)).count(("resumed", "maintenance ended")) == 1
    await w.restart()
    await w.at("2026-07-01T18:00:00Z")
    assert (await w.entries(1)).count(("resumed", "maintenance ended")) == 1


async def test_debug_groups_as_usual_and_calls_nobody(world: Make) -> None:
    """Grouped, routed, labelled; escalation does not start."""
    route = obj("AlertRoute", "r", parentRefs=[{"name": "web"}], match={"template": "{{ payload.r }}"})
    w = await world(integration(labels=[{"key": "k", "value": "v"}]), route, window("d", "Debug", **NOW))
    await w.alert(**firing("a", r="true"))
    await w.alert(**firing("a", r="true"))
    group = await w.group(1)
    assert (group.route, group.labels, group.alerts_count) == ("default/r", (("k", "v"),), 2)
    assert (group.escalate_at, group.parent) == (None, None)


@pytest.mark.parametrize("how", ["delete", "suspend", "unselect"])
async def test_a_window_that_is_gone_has_ended(world: Make, how: str) -> None:
    """Deleted, suspended, or no longer covering the Integration: over at once; ending what is over does nothing more."""
    w = await world(integration(), integration("other"), window(**NOW))
    await w.alert(**firing("a"))
    match how:
        case "delete":
            await w.delete("MaintenanceWindow", "w")
        case "suspend":
            await w.apply(window(**NOW, suspend=True))
        case _:
            await w.apply(window(**NOW, integrationRefs=[{"name": "other"}]))
    await w.run()
    assert ((await w.group(1)).parent, (await w.group(2)).state) == (None, "resolved")
    log = await w.entries(2)
    await w.restart()
    assert await w.entries(2) == log


async def test_a_deleted_maintenance_group_does_not_block_the_end(world: Make) -> None:
    """Unlike S-21: its children were detached with it, and the window ends on time. New groups get a new one."""
    w = await world(integration(), window(**NOW, onEnd="Resolve"))
    await w.alert(**firing("a"))
    await w.store.write(lambda c: actions.act(c, 2, Action(verb=Verb.RESOLVE, at=w.now, actor=ANN)))
    await w.apply(window(start="2026-07-01T12:00", duration="1h", onEnd="Resolve"))
    await w.run()
    await w.alert(**firing("b"))
    collector = (await w.groups())[-1]
    from tocsin.store import removal

    await w.store.write(lambda c: removal.delete_groups(c, [collector.number]))
    await w.at("2026-07-01T13:00:00Z")
    assert await w.store.read(occurrences.running) == ()
    assert {g.title: str(g.state) for g in await w.groups()}["b"] == "resolved"


async def test_children_keep_their_first_end(world: Make) -> None:
    """A child resolved before the end keeps its resolution, and its log gets no second "resolved"."""
    w = await world(integration(), window(**NOW, onEnd="Resolve"))
    await w.alert(**firing("a"))
    await w.alert(alert_uid="a", state="ok")
    resolved_at = (await w.group(1)).life.resolved
    await w.at("2026-07-01T13:30:00Z")
    assert (await w.group(1)).life.resolved == resolved_at
    assert [kind for kind, _ in await w.entries(1)].count("resolved") == 1


async def test_the_end_is_on_time_and_once_for_many_integrations(world: Make) -> None:
    """A selector covers twenty Integrations: each has its own occurrence and maintenance group, all end at the same moment."""
    names = [f"i{n}" for n in range(20)]
    w = await world(
        *(integration(name) for name in names),
        window(**NOW, integrationRefs=[{"name": name} for name in names]),
    )
    assert await w.store.read(count_occurrences) == 20
    for name in names[:3]:
        await w.alert(name, **firing("a"))
    collectors = [g for g in await w.groups() if g.maintenance_of is not None]
    assert len(collectors) == 3
    await w.at("2026-07-01T13:00:00Z")
    assert {o.ended_at for o in await w.store.read(lambda c: occurrences.recent(c, limit=50))} == {w.now}


async def test_two_dispatchers_end_a_window_once(world: Make, postgresql_url: str) -> None:
    """On PostgreSQL two dispatchers wake at the same moment: one end, one log entry per group."""
    w = await world(integration(), window("d", "Debug", **NOW), url=postgresql_url)
    other = World(postgresql_url, "2026-07-01T12:00:00Z")
    other.live = w.live
    await other.open()
    try:
        for n in range(10):
            await w.alert(**firing(f"a{n}"))
        w.clock.moment = other.clock.moment = Micros(w.now + 3_600_000_000)
        await w.store.write(w._present)
        await asyncio.gather(*(x.dispatch.dispatcher.run_due() for x in (w, other, w, other)))
        for group in await w.groups():
            assert (await w.entries(group.number)).count(("resumed", "maintenance ended")) == 1
    finally:
        await other.close()


async def test_a_dispatcher_that_is_behind_leaves_windows_alone(world: Make) -> None:
    """A process that has not loaded the newest flow must not end what it does not know."""
    w = await world(integration(), window(**NOW))
    old = w.live.program
    await w.delete("MaintenanceWindow", "w")
    await w.apply(window("new", **NOW))
    await w.run()
    w.live.program = old
    await w.restart()
    running = await w.store.read(occurrences.running)
    assert [o.window for o in running] == ["default/new"]


def row(number: int, start: int, end: int, *, name: str = "default/w") -> OccurrenceRow:
    return OccurrenceRow(
        id=number,
        window=name,
        integration=WEB,
        mode="Debug",
        on_end="Resume",
        start=Micros(start),
        end=Micros(end),
        group=None,
        ended_at=None,
    )


def force(start: int, end: int) -> dict:
    wanted = WindowInForce(
        window="default/w", mode="Debug", start=Micros(start), end=Micros(end), on_end="Resume"
    )
    return {("default/w", WEB): wanted}


@pytest.mark.parametrize(
    ("wanted", "running", "expected"),
    [
        (force(0, 10), [], ("begin", [], [])),
        (force(0, 10), [row(1, 0, 10)], ("", [], [])),
        (force(0, 20), [row(1, 0, 10)], ("", [1], [])),
        (force(5, 20), [row(1, 0, 10)], ("", [1], [])),
        (force(10, 20), [row(1, 0, 10)], ("begin", [], [1])),
        ({}, [row(1, 0, 10)], ("", [], [1])),
        (force(5, 20), [row(1, 0, 10), row(2, 5, 20)], ("", [], [1])),
        (force(0, 10), [row(1, 0, 10, name="default/gone")], ("begin", [], [1])),
    ],
)
def test_the_plan(wanted: dict, running: list[OccurrenceRow], expected: tuple) -> None:
    """Same: nothing. Overlapping: goes on under new terms. Back to back, or no longer in force: ends. Two that an edit
    left running: the one with the present start stays.
    """
    plan = reconciling.plan(wanted, running)
    assert (
        "begin" if plan.begin else "",
        [r.id for r, _ in plan.retime],
        [r.id for r in plan.end],
    ) == expected
