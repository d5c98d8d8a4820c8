"""Heartbeats in virtual time: what is missing, what is back, and what must never alarm."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

import pytest
from dispatching import World, integration, obj, shown, window

from tocsin.api.common import Identity
from tocsin.dispatch import heartbeats
from tocsin.flow.groups import Actor, Via
from tocsin.store import alerts

Make = Callable[..., Awaitable[World]]
WEB = Identity("Integration", "default", "web")


async def texts(world: World, number: int) -> list[dict]:
    """The payloads of a group's alerts, oldest first."""
    page = await world.store.read(lambda c: alerts.list_alerts(c, group=number))
    found = [await world.store.read(lambda c, a=a: alerts.payload_of(c, a.id)) for a in page.items]
    return [json.loads(body) for body in reversed(found) if body]


async def test_an_outage_opens_one_group_and_its_return_resolves_it(world: Make) -> None:
    """60 s; signal, 130 s of silence, signal, 130 s, signal: two groups, each resolved by the next signal (BUG-074).

    The integration's own resolve template knows nothing of heartbeats. The alert names who is silent, since when and
    the interval (BUG-077).

    Rules: R-HBT-4
    """
    w = await world(integration(heartbeat={"interval": "60s"}, templates={"resolve": "{{ false }}"}))
    assert await w.heartbeat() == "inactive"
    await w.beat()
    assert await w.heartbeat() == "alive"
    await w.after(seconds=130)
    assert await w.heartbeat() == "expired"
    (first,) = await w.groups()
    assert (first.state, shown(first.started_at)) == ("firing", "2026-07-01T12:01:00Z")
    await w.beat()
    assert ((await w.group(first.number)).state, await w.heartbeat()) == ("resolved", "alive")
    await w.after(seconds=130)
    await w.beat()
    one, two = await w.groups()
    assert (one.state, two.state, one.number != two.number) == ("resolved", "resolved", True)
    missing, back = await texts(w, one.number)
    assert missing["title"] == "Heartbeat of default/web is missing"
    for fact in ("default/web", "2026-07-01T12:00:00Z", "1m"):
        assert fact in missing["message"]
    assert back["title"] == "Heartbeat of default/web is back"
    assert "2026-07-01T12:00:00Z" in back["message"]
    assert back["alert_uid"] == missing["alert_uid"] != (await texts(w, two.number))[0]["alert_uid"]


async def test_a_longer_silence_is_told_once(world: Make) -> None:
    """However long it lasts, an outage is one alert."""
    w = await world(integration(heartbeat={"interval": "30s"}))
    await w.beat()
    await w.after(hours=20)
    (group,) = await w.groups()
    assert group.alerts_count == 1


@pytest.mark.parametrize(("interval", "grace"), [("30s", "0s"), ("10m", "90s"), ("7d", "1h")])
async def test_the_deadline_is_exact(world: Make, interval: str, grace: str) -> None:
    """Interval plus grace after the last signal, to the microsecond; not a check every two minutes."""
    w = await world(integration(heartbeat={"interval": interval, "grace": grace}))
    await w.beat()
    span = w.live.program.integrations[WEB].fragment.heartbeat
    deadline = w.now + span.interval + span.grace
    await w.at(shown(deadline - 1))
    assert await w.groups() == []
    await w.at(shown(deadline))
    assert [g.started_at for g in await w.groups()] == [deadline]


async def test_signals_in_time_keep_it_alive(world: Make) -> None:
    """A day of signals every 50 s of 60 s: nothing ever fires."""
    w = await world(integration(heartbeat={"interval": "60s"}))
    for _ in range(100):
        await w.beat()
        await w.after(seconds=50)
    assert (await w.groups(), await w.heartbeat()) == ([], "alive")


async def test_without_any_signal_only_a_required_heartbeat_expires(world: Make) -> None:
    """Activation is the first signal; `required: true` counts from the moment the object is known."""
    w = await world(
        integration("lazy", heartbeat={"interval": "60s"}),
        integration("eager", heartbeat={"interval": "60s", "required": True}),
    )
    await w.after(minutes=5)
    (group,) = await w.groups()
    assert (group.integration.name, shown(group.started_at)) == ("eager", "2026-07-01T12:01:00Z")
    (payload,) = await texts(w, group.number)
    assert payload["heartbeat"]["last_seen"] is None
    await w.beat("eager")
    assert (await w.group(group.number)).state == "resolved"
    assert await w.heartbeat("lazy") == "inactive"


async def test_title_message_labels_and_route_come_from_the_spec(world: Make) -> None:
    """Texts are templates over the heartbeat's facts; labels are added; `routeRef` overrules the matching."""
    route = obj("AlertRoute", "watch", parentRefs=[{"name": "web"}], match={"template": "{{ false }}"})
    beat = {
        "interval": "60s",
        "title": "{{ heartbeat.integration }} went silent",
        "message": "last seen {{ heartbeat.last_seen }}",
        "labels": [{"key": "severity", "value": "critical"}],
        "routeRef": {"name": "watch"},
    }
    w = await world(integration(heartbeat=beat), route)
    await w.beat()
    await w.after(minutes=2)
    (group,) = await w.groups()
    assert (group.title, group.route, group.labels) == (
        "default/web went silent",
        "default/watch",
        (("severity", "critical"),),
    )
    assert (await texts(w, group.number))[0]["message"] == "last seen 2026-07-01T12:00:00Z"


async def test_deleting_the_integration_ends_everything(world: Make) -> None:
    """One signal, delete, five minutes: no alarm; recreated it is inactive again (BUG-061)."""
    w = await world(integration(heartbeat={"interval": "60s"}), integration("other"))
    await w.beat()
    await w.delete("Integration", "web")
    await w.run()
    await w.after(minutes=5)
    assert (await w.groups(), await w.heartbeat()) == ([], "none")
    await w.apply(integration(heartbeat={"interval": "60s"}))
    await w.after(minutes=5)
    assert (await w.groups(), await w.heartbeat()) == ([], "inactive")


@pytest.mark.parametrize("how", ["delete", "remove", "suspend"])
async def test_an_outage_ends_with_its_heartbeat(world: Make, how: str) -> None:
    """Nothing could ever end it: it is resolved, and the log says why."""
    w = await world(integration(heartbeat={"interval": "60s"}), integration("other"))
    await w.beat()
    await w.after(minutes=2)
    if how == "delete":
        await w.delete("Integration", "web")
    else:
        await w.apply(
            integration(**({"suspend": True, "heartbeat": {"interval": "60s"}} if how == "suspend" else {}))
        )
    await w.run()
    (group,) = await w.groups()
    assert group.state == "resolved"
    assert ("resolved", "heartbeat no longer declared") in await w.entries(group.number)


async def test_a_changed_interval_counts_from_the_last_signal(world: Make) -> None:
    """Longer: the old deadline passes quietly. Shorter than the silence so far: it expires at once."""
    w = await world(integration(heartbeat={"interval": "60s"}))
    await w.beat()
    await w.apply(integration(heartbeat={"interval": "10m"}))
    await w.after(minutes=5)
    assert await w.groups() == []
    await w.apply(integration(heartbeat={"interval": "2m"}))
    await w.run()
    assert [shown(g.started_at) for g in await w.groups()] == ["2026-07-01T12:05:00Z"]


async def test_after_own_downtime_everybody_has_one_full_interval(world: Make) -> None:
    """Tocsin was down when signals came: nobody expires before one interval has been observed again."""
    w = await world(integration(heartbeat={"interval": "10m"}))
    await w.beat()
    await w.after(minutes=9)
    await w.restart(after=3600)
    await w.after(minutes=9, seconds=59)
    assert await w.groups() == []
    await w.after(seconds=1)
    assert len(await w.groups()) == 1


async def test_a_short_restart_is_a_downtime_too(world: Make) -> None:
    """The one signal of the interval may have met the restart: three seconds of it give one full interval."""
    w = await world(integration(heartbeat={"interval": "30s"}))
    await w.beat()
    await w.after(seconds=28)
    await w.restart(after=3)
    await w.after(seconds=29)
    assert await w.groups() == []
    await w.after(seconds=1)
    assert len(await w.groups()) == 1


async def test_restarts_cannot_hide_an_outage_for_ever(world: Make) -> None:
    """Restarting more often than the interval: after twice the interval of observation it is an outage all the same."""
    w = await world(integration(heartbeat={"interval": "1d"}))
    await w.beat()
    for _ in range(5):
        await w.after(hours=10)
        await w.restart(after=30)
    (group,) = await w.groups()
    assert "2026-07-03T12:0" in shown(group.started_at)


async def test_a_crash_without_farewell_is_noticed(world: Make) -> None:
    """No mark was set before the end: the last one, at most seconds old, tells when the downtime began."""
    w = await world(integration(heartbeat={"interval": "10m"}))
    await w.beat()
    await w.after(minutes=1)
    await w.close()
    w.clock.moment += 3_600_000_000
    await w.open()
    await w.run()
    assert (await w.groups(), await w.heartbeat()) == ([], "alive")


async def test_an_expiry_during_maintenance_becomes_a_child(world: Make) -> None:
    """Maintenance does not pause the heartbeat; its group is collected like any other.

    Rules: R-HBT-13
    """
    w = await world(
        integration(heartbeat={"interval": "60s"}), window(start="2026-07-01T11:00", duration="2h")
    )
    await w.beat()
    for _ in range(4):
        await w.after(seconds=20)
        await w.alert(alert_uid="x", title="ordinary alerts are no signals", state="alerting")
    outage = next(g for g in await w.groups() if "missing" in g.title)
    collector = next(g for g in await w.groups() if g.maintenance_of is not None)
    assert (outage.parent, outage.escalate_at, shown(outage.started_at)) == (
        collector.number,
        None,
        "2026-07-01T12:01:00Z",
    )
    await w.beat()
    assert (await w.group(outage.number)).state == "resolved"


async def test_reset_is_inactive_and_resolves_the_outage(world: Make) -> None:
    """Unlike OnCall's, a reset leaves no open group behind; the next signal starts over, without a "restored" alert."""
    w = await world(integration(heartbeat={"interval": "60s"}))
    await w.beat()
    await w.after(minutes=2)
    ann = Actor(name="ann", via=Via.API)
    assert await w.store.write(lambda c: heartbeats.reset(c, w.live.program, WEB, w.now, ann))
    (group,) = await w.groups()
    assert (group.state, await w.heartbeat()) == ("resolved", "inactive")
    assert ("resolved", "heartbeat reset") in await w.entries(group.number)
    await w.after(hours=1)
    await w.beat()
    assert (len(await w.groups()), group.alerts_count, await w.heartbeat()) == (1, 1, "alive")


async def test_reset_of_what_is_not_declared_is_refused(world: Make) -> None:
    """Nothing is stored for an integration without heartbeat."""
    w = await world(integration())
    assert not await w.store.write(lambda c: heartbeats.reset(c, w.live.program, WEB, w.now, Actor()))
    assert await w.heartbeat() == "none"


async def test_two_integrations_of_one_type_are_told_apart(world: Make) -> None:
    """One goes silent: the alert names that one (BUG-077), the other stays alive."""
    w = await world(
        integration("a", heartbeat={"interval": "60s"}), integration("b", heartbeat={"interval": "60s"})
    )
    await w.beat("a")
    await w.beat("b")
    await w.after(seconds=40)
    await w.beat("a")
    await w.after(seconds=40)
    (group,) = await w.groups()
    assert (group.integration.name, "default/b" in group.title) == ("b", True)
