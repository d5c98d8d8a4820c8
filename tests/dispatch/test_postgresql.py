"""The same on PostgreSQL: timelines, an outage, own downtime, retention."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from dispatching import World, integration, play, read_yaml

from tocsin.dispatch import sweeping
from tocsin.store import timers

Make = Callable[..., Awaitable[World]]
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize(
    "name",
    ["maintenance_resume", "overlapping", "suspended_and_resumed", "moved_while_running"],
)
async def test_timelines_on_postgresql(world: Make, postgresql_url: str, name: str) -> None:
    """Equal to the golden of SQLite but for the numbers of groups, which may have gaps there."""
    given = read_yaml((GOLDEN / f"{name}.in.yaml").read_text())
    at = given["at"].isoformat().replace("+00:00", "Z")
    w = await world(*given["flow"], at=at, url=postgresql_url)
    told = await play(w, given["steps"])
    expected = read_yaml((GOLDEN / f"{name}.out.yaml").read_text())
    assert [line.split("#")[0] for line in told] == [line.split("#")[0] for line in expected]


async def test_an_outage_on_postgresql(world: Make, postgresql_url: str) -> None:
    """Missing, back, missing again, over a restart: two groups, the first resolved."""
    w = await world(integration(heartbeat={"interval": "60s"}), url=postgresql_url)
    await w.beat()
    await w.after(seconds=90)
    await w.beat()
    await w.restart(after=600)
    await w.after(seconds=59)
    assert [str(g.state) for g in await w.groups()] == ["resolved"]
    await w.after(seconds=1)
    assert [str(g.state) for g in await w.groups()] == ["resolved", "firing"]
    await w.delete("Integration", "web")
    await w.run()
    assert (await w.groups())[-1].state == "resolved"
    assert await w.store.read(lambda c: timers.list_timers(c, timers.HEARTBEAT)) == ()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_retention_runs_every_hour(world: Make, request: pytest.FixtureRequest, engine: str) -> None:
    """A resolved group of 91 days ago is gone, an open one is not."""
    url = request.getfixturevalue("postgresql_url") if engine == "postgresql" else ""
    w = await world(integration(), url=url)
    await w.alert(alert_uid="old", title="old", state="alerting")
    await w.alert(alert_uid="old", state="ok")
    await w.alert(alert_uid="open", title="open", state="alerting")
    await w.after(days=91)
    (timer,) = await w.store.read(lambda c: timers.list_timers(c, sweeping.KIND))
    assert timer.due_at == w.now + sweeping.PERIOD
    assert [g.title for g in await w.groups()] == ["open"]
    assert "old data deleted" in w.log.getvalue()
