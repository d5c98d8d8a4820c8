"""Ends that come by themselves: silences, and alerts that their source stopped sending."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from dispatching import ANN, World, integration, micros, window

from tocsin.flow.groups import Action, Verb
from tocsin.store import actions, timers

Make = Callable[..., Awaitable[World]]


def firing(uid: str) -> dict:
    return {"alert_uid": uid, "title": uid, "state": "alerting"}


def sent(ends: str) -> dict:
    """One alert as Prometheus sends it."""
    return {
        "labels": {"alertname": "Down", "job": "x"},
        "startsAt": "2026-07-01T12:00:00Z",
        "endsAt": ends,
        "generatorURL": "http://p/graph",
    }


async def silence(w: World, number: int, until: str) -> None:
    await w.store.write(
        lambda c: actions.act(c, number, Action(verb=Verb.SILENCE, at=w.now, until=micros(until), actor=ANN))
    )


async def test_a_silence_ends_on_time_and_escalation_starts(world: Make) -> None:
    """To the second, over a restart."""
    w = await world(integration())
    await w.alert(**firing("a"))
    await silence(w, 1, "2026-07-01T14:00:00Z")
    await w.at("2026-07-01T13:00:00Z")
    await w.restart()
    await w.at("2026-07-01T13:59:59Z")
    assert (await w.group(1)).state == "silenced"
    await w.at("2026-07-01T14:00:00Z")
    group = await w.group(1)
    assert (group.state, group.escalate_at) == ("firing", w.now + 10_000_000)
    assert ("unsilenced", "the silence is over") in await w.entries(1)


async def test_only_the_latest_silence_counts(world: Make) -> None:
    """A second silence replaces the end of the first; an un-silence cancels it."""
    w = await world(integration())
    await w.alert(**firing("a"))
    await silence(w, 1, "2026-07-01T13:00:00Z")
    await silence(w, 1, "2026-07-01T15:00:00Z")
    await w.at("2026-07-01T14:00:00Z")
    assert (await w.group(1)).state == "silenced"
    await w.act(1, "unsilence")
    await w.act(1, "acknowledge")
    await w.at("2026-07-01T16:00:00Z")
    assert (await w.group(1)).state == "acknowledged"


async def test_attached_groups_follow_the_end_of_the_silence(world: Make) -> None:
    """Unlike S-24: children do not stay silenced for ever."""
    w = await world(integration())
    for uid in "abc":
        await w.alert(**firing(uid))
    await w.store.write(lambda c: actions.attach(c, 2, 1, now=w.now, actor=ANN))
    await silence(w, 1, "2026-07-01T13:00:00Z")
    await w.store.write(lambda c: actions.attach(c, 3, 1, now=w.now, actor=ANN))
    await w.at("2026-07-01T13:00:00Z")
    assert [str(g.state) for g in await w.groups()] == ["firing", "firing", "firing"]


async def test_a_silence_that_ends_under_maintenance_waits(world: Make) -> None:
    """The window keeps the group quiet until its own end."""
    w = await world(integration(), window("d", "Debug", start="2026-07-01T11:00", duration="4h"))
    await w.alert(**firing("a"))
    await silence(w, 1, "2026-07-01T13:00:00Z")
    await w.at("2026-07-01T14:00:00Z")
    group = await w.group(1)
    assert (group.state, group.escalate_at) == ("firing", None)
    await w.at("2026-07-01T15:00:00Z")
    assert (await w.group(1)).escalate_at == w.now + 10_000_000


async def test_an_alert_that_is_not_sent_again_resolves_at_its_end(world: Make) -> None:
    """By source, with an entry that says why; a re-send moves the end."""
    w = await world(integration(type="prometheus"))
    await w.alert(**sent("2026-07-01T12:04:00Z"))
    await w.at("2026-07-01T12:03:00Z")
    await w.alert(**sent("2026-07-01T12:07:00Z"))
    await w.at("2026-07-01T12:06:59Z")
    assert (await w.group(1)).state == "firing"
    await w.at("2026-07-01T12:07:00Z")
    group = await w.group(1)
    assert (group.state, group.life.resolved.cause) == ("resolved", "source")
    assert ("resolved", "not sent again before its end (endsAt)") in await w.entries(1)


async def test_after_own_downtime_the_source_may_send_again_first(world: Make) -> None:
    """Nothing resolves because Tocsin was down: five minutes to send again, then it does."""
    w = await world(integration(type="prometheus"))
    await w.alert(**sent("2026-07-01T12:04:00Z"))
    await w.restart(after=3600)
    await w.at("2026-07-01T13:04:00Z")
    assert (await w.group(1)).state == "firing"
    await w.alert(**sent("2026-07-01T13:08:00Z"))
    await w.at("2026-07-01T13:07:59Z")
    assert (await w.group(1)).state == "firing"
    await w.at("2026-07-01T13:08:00Z")
    assert (await w.group(1)).state == "resolved"


async def test_the_grace_ends_for_what_nobody_sends_again(world: Make) -> None:
    """Five minutes after the restart it is resolved."""
    w = await world(integration(type="prometheus"))
    await w.alert(**sent("2026-07-01T12:04:00Z"))
    await w.restart(after=3600)
    await w.at("2026-07-01T13:04:59Z")
    assert (await w.group(1)).state == "firing"
    await w.at("2026-07-01T13:05:00Z")
    assert (await w.group(1)).state == "resolved"
    assert await w.store.read(lambda c: timers.list_timers(c, timers.EXPIRE)) == ()
