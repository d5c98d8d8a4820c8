"""The API on PostgreSQL: every list, a search, an action, a trace, metrics."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asking import Api
from dispatching import integration, obj, window

from tocsin.console.metrics import StoreMetrics
from tocsin.flow.model import Micros
from tocsin.store import statistics
from tocsin.telemetry import Telemetry

Start = Callable[..., Awaitable[Api]]


async def test_the_api_on_postgresql(api: Start, postgresql_url: str) -> None:
    """The same answers as on SQLite, where the statements could differ."""
    rule = obj(
        "LabelRule",
        "s",
        integrationRefs=[{"name": "web"}],
        dynamic=[{"key": "service_name", "template": "{{ payload.alert_uid }}"}],
    )
    a = await api(
        integration(heartbeat={"interval": "60s"}),
        integration("quiet"),
        rule,
        window(start="2026-07-01T11:00", duration="2h", integrationRefs=[{"name": "quiet"}]),
        url=postgresql_url,
    )
    made = [await a.firing(f"u{n}") for n in range(5)]
    child = await a.firing("x", "quiet")
    page = await a.get("/alert_groups?perpage=2&state=new&state=resolved&label=service_name:u3")
    assert [g["id"] for g in page["results"]] == [made[3]]
    second = await a.get("/alert_groups?perpage=2&page=2&integration=default/web&search=u")
    assert [g["id"] for g in second["results"]] == [made[2], made[1]]
    assert len((await a.get("/alerts?search=u4"))["results"]) == 1
    assert len((await a.get("/alerts?perpage=2&page=2"))["results"]) == 2
    await a.post(f"/alert_groups/{made[0]}/silence", {"delay": 60})
    await a.post(f"/alert_groups/{made[1]}/attach", {"parent_id": made[2]})
    await a.world.after(minutes=1)
    assert (await a.get(f"/alert_groups/{made[0]}"))["state"] == "firing"
    alert = (await a.get(f"/alerts?alert_group_id={made[0]}"))["results"][0]["id"]
    assert (await a.get(f"/alerts/{alert}/trace"))["recomputed"]
    for path in (
        "/integrations",
        "/endpoints",
        "/heartbeats",
        "/windows",
        "/dead_letters",
        "/dead_timers",
        "/status",
        f"/alert_groups/{made[0]}/log",
    ):
        assert await a.get(path) is not None
    collector = (await a.get(f"/alert_groups/{child}"))["parent_id"]
    await a.post(f"/alert_groups/{collector}/resolve")
    assert (await a.get(f"/alert_groups/{child}"))["escalates_at"]
    assert (await a.ask("DELETE", f"/alert_groups/{made[4]}?mode=delete")).status == 204
    assert (await a.post("/integrations/default/web/demo_alert"))["created"]
    telemetry = Telemetry.create(stream=a.world.log, process_metrics=False)
    metrics = StoreMetrics(a.world.store, a.world.live)
    metrics.register(telemetry.registry)
    await metrics.refresh()
    shown = telemetry.exposition("")[0].decode()
    assert (
        'tocsin_alert_groups{integration="default/web",service_name="u0",state="firing",team="No team"} 1.0'
        in shown
    )
    times = await a.world.store.read(lambda c: statistics.response_times(c, since=Micros(0)))
    assert [(t.service, t.buckets) for t in times if t.service == "u0"] == [("u0", (1, 1, 1, 1, 1))]
