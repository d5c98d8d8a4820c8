"""Integrations, endpoints, demo alerts and heartbeats over the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asking import Api
from dispatching import KEYS, integration, obj, window

from tocsin.api.common import Identity
from tocsin.console.api.guard import parse_tokens
from tocsin.store import credentials

Start = Callable[..., Awaitable[Api]]
WEB = Identity("Integration", "default", "web")


async def give_token(a: Api, name: str = "web", token: str = "t" * 24) -> None:
    identity = Identity("Integration", "default", name)
    given = credentials.GivenToken(integration=identity, token=token)
    await a.world.store.write(lambda c: credentials.put_token(c, KEYS, given, a.world.now))


async def test_integrations_show_what_is_enforced_and_no_token(api: Start) -> None:
    """OnCall's names where they exist; `link` is null; maintenance by the window that ends last."""
    a = await api(
        integration(title="Web shop", description="d", team="core", heartbeat={"interval": "10m"}),
        integration("db"),
        window("short", start="2026-07-01T11:00", duration="2h"),
        window("long", "Debug", start="2026-07-01T11:30", duration="2h"),
    )
    await give_token(a)
    reply = await a.ask("GET", "/integrations")
    assert b"tttt" not in reply.body
    db, web = reply.json["results"]
    assert (db["resource"], db["maintenance_mode"], db["heartbeat"]) == ("db", None, None)
    expected = {
        "namespace": "default",
        "name": "Web shop",
        "resource": "web",
        "description_short": "d",
        "team": "core",
        "type": "formatted_webhook",
        "link": None,
        "heartbeat": {"interval": 600},
        "maintenance_mode": "debug",
        "maintenance_started_at": "2026-07-01T11:30:00Z",
        "maintenance_end_at": "2026-07-01T13:30:00Z",
    }
    assert {key: web[key] for key in expected} == expected
    assert await a.get("/integrations/default/web/") == web
    assert [i["resource"] for i in (await a.get("/integrations?name=Web%20shop"))["results"]] == ["web"]
    assert (await a.ask("GET", "/integrations/default/none")).status == 404


async def test_endpoints_show_urls_with_tokens(api: Start) -> None:
    """Base URL from the Host, or as given; heartbeat URL only where one is declared."""
    a = await api(integration(heartbeat={"interval": "60s"}), integration("db"))
    await give_token(a)
    db, web = await a.get("/endpoints?url=https://alerts.example.org/")
    assert web == {
        "namespace": "default",
        "name": "web",
        "type": "formatted_webhook",
        "url": f"https://alerts.example.org/integrations/v1/formatted_webhook/{'t' * 24}/",
        "heartbeat_url": f"https://alerts.example.org/integrations/v1/formatted_webhook/{'t' * 24}/heartbeat/",
    }
    assert (db["url"], db["heartbeat_url"]) == ("", "")
    _, here = await a.get("/endpoints")
    assert here["url"].startswith(str(a.server.make_url("/integrations/")))
    assert (await a.ask("GET", "/endpoints?url=javascript:x")).problem["field"] == "url"


async def test_endpoints_need_the_scope_act(api: Start) -> None:
    """Tokens are credentials: a reading token does not get them."""
    tokens = parse_tokens(f"dash read {'r' * 24}\nops act {'a' * 24}")
    a = await api(integration(), tokens=tokens)
    assert (await a.ask("GET", "/endpoints", headers={"Authorization": "r" * 24})).status == 403
    assert (await a.ask("GET", "/endpoints", headers={"Authorization": "a" * 24})).status == 200


# --- demo alerts ---


async def test_a_demo_alert_takes_the_normal_flow_marked(api: Start) -> None:
    """The type's example, routed, labelled, escalated, and marked as demo; notes say who sent it.

    Rules: R-DEM-3
    """
    route = obj("AlertRoute", "r", parentRefs=[{"name": "web"}], match={"template": "{{ true }}"})
    a = await api(integration(labels=[{"key": "k", "value": "v"}]), route)
    stored = await a.post("/integrations/default/web/demo_alert", {})
    group = await a.get(f"/alert_groups/{stored['alert_group_id']}")
    assert (group["demo"], group["route"], group["labels"][0]["value"]["name"]) == (True, "default/r", "v")
    assert group["escalates_at"] == "2026-07-01T12:00:00Z"
    trace = await a.get(f"/alerts/{stored['alert_id']}/trace")
    assert (trace["origin"], trace["recomputed"], "sent by local" in trace["outcome"]["notes"]) == (
        "demo",
        True,
        True,
    )


async def test_a_demo_alert_under_debug_calls_nobody(api: Start) -> None:
    """A window keeps it quiet like any other alert."""
    a = await api(integration(), window("d", "Debug", start="2026-07-01T11:00", duration="2h"))
    stored = await a.post("/integrations/default/web/demo_alert")
    assert (await a.get(f"/alert_groups/{stored['alert_group_id']}"))["escalates_at"] is None


async def test_a_demo_alert_joins_and_resolves_nothing(api: Start) -> None:
    """With the grouping id of an open group, firing or as a resolve signal: a group of its own each time.

    Rules: R-DEM-4
    """
    a = await api(integration())
    group = await a.firing("u1")
    firing = {"payload": {"alert_uid": "u1", "title": "demo", "state": "alerting"}}
    one = await a.post("/integrations/default/web/demo_alert", firing)
    two = await a.post("/integrations/default/web/demo_alert", firing)
    over = await a.post(
        "/integrations/default/web/demo_alert", {"payload": {"alert_uid": "u1", "state": "ok"}}
    )
    assert len({group, one["alert_group_id"], two["alert_group_id"], over["alert_group_id"]}) == 4
    shown = await a.get(f"/alert_groups/{group}")
    assert (shown["state"], shown["alerts_count"]) == ("firing", 1)
    assert await a.firing("u1") == group


@pytest.mark.parametrize("payload", [[], "text", 5, True])
async def test_a_demo_payload_has_to_be_an_object(api: Start, payload: Any) -> None:
    """The type's example or an object; anything else is 400.

    Rules: R-DEM-2
    """
    a = await api(integration())
    reply = await a.ask("POST", "/integrations/default/web/demo_alert", {"payload": payload})
    assert (reply.status, reply.problem["field"]) == (400, "payload")


async def test_types_without_demo_refuse(api: Start) -> None:
    """Manual alerts have no sender whose alert could be shown.

    Rules: R-DEM-1
    """
    a = await api(integration("paging", "direct_paging"), integration("manual", "manual"))
    for name in ("paging", "manual"):
        reply = await a.ask("POST", f"/integrations/default/{name}/demo_alert", {})
        assert (reply.status, "no demo alert" in reply.problem["detail"]) == (400, True)


async def test_a_splitting_type_makes_one_demo_alert_per_element(api: Start) -> None:
    """Old Grafana: each element of `alerts` is an alert; an empty list is 400; without `alerts` it is one alert."""
    a = await api(integration(type="grafana"))
    path = "/integrations/default/web/demo_alert"
    element = {"labels": {"alertname": "x"}, "status": "firing", "fingerprint": "f"}
    many = await a.post(path, {"payload": {"alerts": [element, {**element, "fingerprint": "g"}]}})
    assert len({one["alert_group_id"] for one in many}) == 2
    for empty in ([], {}, ["text"], None):
        assert (await a.ask("POST", path, {"payload": {"alerts": empty}})).problem[
            "field"
        ] == "payload.alerts"
    assert (await a.post(path, {"payload": {"title": "one"}}))["created"]


async def test_every_type_with_a_demo_has_one_that_works(api: Start) -> None:
    """The button is never there in vain."""
    from dispatching import TYPES

    kinds = [slug for slug, source in TYPES.items() if source.demo]
    a = await api(*(integration(slug.replace("_", "-"), slug) for slug in kinds))
    for slug in kinds:
        stored = await a.post(f"/integrations/default/{slug.replace('_', '-')}/demo_alert", {})
        assert stored, slug
    assert (await a.get("/alert_groups"))["count"] >= len(kinds)


async def test_a_suspended_integration_sends_no_demo(api: Start) -> None:
    """As if absent."""
    a = await api(integration(suspend=True))
    assert (await a.ask("POST", "/integrations/default/web/demo_alert", {})).status == 400


# --- heartbeats ---


async def test_heartbeats_show_state_and_deadline(api: Start) -> None:
    """Declared ones only, also those that never came."""
    a = await api(
        integration(heartbeat={"interval": "10m", "grace": "30s", "required": True}), integration("db")
    )
    (shown,) = (await a.get("/heartbeats"))["results"]
    assert shown == {
        "integration": "default/web",
        "state": "inactive",
        "status": False,
        "last_seen": None,
        "changed_at": "2026-07-01T12:00:00Z",
        "expires_at": "2026-07-01T12:10:30Z",
        "interval": 600,
        "grace": 30,
        "required": True,
    }
    await a.world.beat()
    (alive,) = (await a.get("/heartbeats"))["results"]
    assert (alive["state"], alive["status"], alive["last_seen"]) == ("alive", True, "2026-07-01T12:00:00Z")


async def test_reset_over_the_api(api: Start) -> None:
    """Inactive again, the outage is resolved, and the log says who did it; 404 where none is declared."""
    a = await api(integration(heartbeat={"interval": "60s"}), integration("db"))
    await a.world.beat()
    await a.world.after(minutes=2)
    await a.post("/integrations/default/web/heartbeat/reset")
    (group,) = (await a.get("/alert_groups"))["results"]
    assert group["state"] == "resolved"
    log = (await a.get(f"/alert_groups/{group['id']}/log"))["results"]
    assert [(e["author"], e["reason"]) for e in log if e["action"] == "resolved"] == [
        ("local", "heartbeat reset")
    ]
    assert (await a.get("/heartbeats"))["results"][0]["state"] == "inactive"
    assert (await a.ask("POST", "/integrations/default/db/heartbeat/reset", {})).status == 404
