"""Metrics that come from the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp.test_utils import TestClient, TestServer
from asking import Api
from dispatching import integration, obj, window
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from tocsin.console.api import build_api
from tocsin.console.metrics import StoreMetrics
from tocsin.store.tables import alert_group
from tocsin.telemetry import Telemetry

Start = Callable[..., Awaitable[Api]]


async def scrape(a: Api) -> dict[str, list]:
    """Metric name -> samples, after a reading of the store."""
    telemetry = Telemetry.create(stream=a.world.log, process_metrics=False)
    metrics = StoreMetrics(a.world.store, a.world.live)
    assert metrics.register(telemetry.registry)
    await metrics.refresh()
    page = telemetry.exposition("")[0].decode()
    found: dict[str, list] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


async def test_alert_groups_by_integration_team_and_state(api: Start) -> None:
    """A gauge that counts all groups there are, by state."""
    a = await api(integration(team="core"), integration("db"))
    await a.firing("u1")
    await a.firing("u2")
    group = await a.firing("u3", "db")
    await a.post(f"/alert_groups/{group}/resolve")
    samples = (await scrape(a))["tocsin_alert_groups"]
    assert [(s["integration"], s["team"], s["state"], n) for s, n in samples] == [
        ("default/db", "No team", "resolved", 1.0),
        ("default/web", "core", "firing", 2.0),
    ]


async def test_service_name_is_a_label_of_the_group(api: Start) -> None:
    """The value of the label `service_name`, else a fixed word; teams likewise.

    Rules: R-MET-6
    """
    rule = obj(
        "LabelRule",
        "s",
        integrationRefs=[{"name": "web"}],
        dynamic=[{"key": "service_name", "template": "{{ payload.service }}"}],
    )
    a = await api(integration(), rule)
    await a.firing("u1", service="shop")
    await a.firing("u2")
    samples = (await scrape(a))["tocsin_alert_groups"]
    assert {(s["service_name"], s["team"]) for s, _ in samples} == {
        ("shop", "No team"),
        ("No service", "No team"),
    }


async def test_response_times_of_seven_days(api: Start) -> None:
    """Buckets 60, 300, 600, 3600, +Inf; the time from start to the first reaction; older groups are left out."""
    a = await api(integration())
    for wait, uid in ((30, "a"), (200, "b"), (7200, "c")):
        group = await a.firing(uid)
        await a.world.after(seconds=wait)
        await a.post(f"/alert_groups/{group}/acknowledge")
    await a.firing("no reaction")

    def age(connection) -> None:
        connection.execute(update(alert_group).values(started_at=alert_group.c.started_at + 10**15))

    await a.world.store.write(age)
    found = await scrape(a)
    buckets = {s["le"]: n for s, n in found["tocsin_alert_groups_response_time_seconds_bucket"]}
    assert buckets == {"60.0": 1, "300.0": 2, "600.0": 2, "3600.0": 2, "+Inf": 3}
    assert found["tocsin_alert_groups_response_time_seconds_sum"][0][1] == 7430
    await a.world.store.write(lambda c: c.execute(update(alert_group).values(started_at=0)))
    assert "tocsin_alert_groups_response_time_seconds_bucket" not in await scrape(a)


async def test_maintenance_groups_are_not_counted_but_their_children_are(api: Start) -> None:
    """They are Tocsin's own. Numbers are those of the store, whoever asks and whenever."""
    a = await api(integration(), window(start="2026-07-01T11:00", duration="4h"))
    await a.firing("u1")
    samples = (await scrape(a))["tocsin_alert_groups"]
    assert [n for _, n in samples] == [1.0]


async def test_a_scrape_never_reads_the_store_itself(api: Start) -> None:
    """It shows the last reading and asks for the next, which comes in the background."""
    a = await api(integration())
    telemetry = Telemetry.create(stream=a.world.log, process_metrics=False)
    app = build_api(a.world.store, a.world.live, telemetry, listen=("127.0.0.1",))
    async with TestClient(TestServer(app)):
        async with asyncio.timeout(30):
            while b"tocsin_dead_timers 0.0" not in telemetry.exposition("")[0]:
                await asyncio.sleep(0.01)
        await a.firing("u1")
        assert b"tocsin_alert_groups{" not in telemetry.exposition("")[0]


async def test_heartbeats_that_are_overdue(api: Start) -> None:
    """1 while one is, 0 again after the next sign of life; none for what never sent one."""
    a = await api(
        integration(heartbeat={"interval": "60s"}), integration("db", heartbeat={"interval": "60s"})
    )
    assert "tocsin_heartbeat_missing" not in await scrape(a)
    web = {"integration": "default/web"}
    for wait, missing in ((0, 0.0), (300, 1.0)):
        if not wait:
            await a.world.beat()
        await a.world.after(seconds=wait)
        assert (await scrape(a))["tocsin_heartbeat_missing"] == [(web, missing)]
    await a.world.beat()
    await a.world.run()
    assert (await scrape(a))["tocsin_heartbeat_missing"] == [(web, 0.0)]
