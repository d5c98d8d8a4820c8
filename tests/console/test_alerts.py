"""Alerts and their traces over the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from asking import Api
from dispatching import integration, obj, window
from sqlalchemy import update

from tocsin.store import groups
from tocsin.store.tables import alert

Start = Callable[..., Awaitable[Api]]


def routes() -> list[dict]:
    return [
        obj("AlertRoute", name, parentRefs=[{"name": "web"}], match={"template": template}, priority=priority)
        for name, template, priority in (
            ("never", "{{ payload.kind == 'other' }}", 1),
            ("prints-nothing", "{% set x = 1 %}", 2),
            ("hit", "{{ payload.kind == 'x' }}", 3),
        )
    ]


async def test_alerts_newest_first_with_filters_and_pages(api: Start) -> None:
    """Fields id, alert_group_id, created_at, payload; filters id, alert_group_id; pages and cursors."""
    a = await api(integration(), integration("db"))
    one = await a.firing("u1", number=1)
    await a.firing("u1", number=2)
    await a.firing("u9", "db", number=3)
    every = await a.get("/alerts")
    assert [x["payload"]["number"] for x in every["results"]] == [3, 2, 1]
    newest = every["results"][0]
    assert newest["created_at"] == "2026-07-01T12:00:00Z" and newest["id"].startswith("A")
    of_group = await a.get(f"/alerts?alert_group_id={one}")
    assert (of_group["count"], [x["ordinal"] for x in of_group["results"]]) == (2, [2, 1])
    assert (
        (await a.get(f"/alerts?id={newest['id']}"))["results"]
        == [newest]
        == [await a.get(f"/alerts/{newest['id']}")]
    )
    assert (await a.get(f"/alerts?id={newest['id']}&alert_group_id={one}"))["results"] == []
    assert (await a.get("/alerts?alert_group_id=IAAAAAAAAAAAA"))["results"] == []
    second = (await a.ask("GET", (await a.get("/alerts?perpage=2"))["next"])).json
    assert [x["payload"]["number"] for x in second["results"]] == [1]
    walked = await a.get(f"/alerts?perpage=1&cursor=&alert_group_id={one}")
    rest = (await a.ask("GET", walked["next"])).json
    assert ([x["ordinal"] for x in walked["results"] + rest["results"]], rest["next"]) == ([2, 1], None)
    assert (await a.ask("GET", "/alerts/AAAAAAAAAAAAA")).status == 404


async def test_search_looks_into_payloads(api: Start) -> None:
    """A piece of the payload's JSON text, in one group or all, with a cursor to go on."""
    a = await api(integration())
    one = await a.firing("u1", message="disk /var full")
    await a.firing("u2", message="cpu")
    await a.firing("u3", message="disk /tmp full")
    found = await a.get("/alerts?search=disk&perpage=1")
    assert [x["payload"]["alert_uid"] for x in found["results"]] == ["u3"]
    more = (await a.ask("GET", found["next"])).json
    assert [x["payload"]["alert_uid"] for x in more["results"]] == ["u1"]
    assert len((await a.get(f"/alerts?search=disk&alert_group_id={one}"))["results"]) == 1


async def test_the_trace_tells_every_route_and_why(api: Start) -> None:
    """Recomputed from payload, moment and flow, in order up to the route that matched; the outcome is the stored one."""
    a = await api(
        integration(labels=[{"key": "team", "value": "core"}]),
        *routes(),
        window("w", "Debug", start="2026-07-01T11:00", duration="2h"),
    )
    await a.firing("u1", kind="x")
    (stored,) = (await a.get("/alerts"))["results"]
    trace = await a.get(f"/alerts/{stored['id']}/trace")
    assert (trace["recomputed"], trace["outcome"]["route"], trace["differences"]) == (True, "default/hit", [])
    assert [(r["route"], r["matched"], r["reason"]) for r in trace["routes"]] == [
        ("default/never", False, "template is not true"),
        ("default/prints-nothing", False, "template is empty"),
        ("default/hit", True, "matched"),
    ]
    assert trace["windows"][0]["in_force"]
    assert trace["labels"][0]["key"] == "team"


async def test_the_trace_is_of_the_flow_of_that_time(api: Start) -> None:
    """The flow has changed since: the trace still tells what decided then."""
    a = await api(integration(), *routes())
    await a.firing("u1", kind="x")
    (stored,) = (await a.get("/alerts"))["results"]
    await a.world.delete("AlertRoute", "hit")
    await a.world.apply(integration(title="New title"))
    trace = await a.get(f"/alerts/{stored['id']}/trace")
    assert (trace["recomputed"], trace["outcome"]["route"], len(trace["routes"])) == (True, "default/hit", 3)
    await a.world.delete("Integration", "web")
    assert (await a.get(f"/alerts/{stored['id']}/trace"))["recomputed"]


async def test_the_stored_outcome_wins(api: Start) -> None:
    """A Tocsin that would decide differently today says so and shows what was decided."""
    a = await api(integration(), *routes())
    await a.firing("u1", kind="x")
    (stored,) = (await a.get("/alerts"))["results"]

    def rewrite(connection) -> None:
        from tocsin.flow.decision import Outcome
        from tocsin.store.text import encode_outcome

        connection.execute(
            update(alert).values(outcome=encode_outcome(Outcome(route="default/older", title="old")))
        )

    await a.world.store.write(rewrite)
    trace = await a.get(f"/alerts/{stored['id']}/trace")
    assert trace["outcome"]["route"] == "default/older"
    assert any(
        d.startswith("route: decided 'default/older', today 'default/hit'") for d in trace["differences"]
    )


async def test_without_payload_the_trace_is_the_outcome(api: Start) -> None:
    """Retention took it: what was stored is shown, and why there is no more."""
    a = await api(integration())
    group = await a.firing("u1")
    number = (await a.world.store.read(lambda c: groups.get_by_public_id(c, group))).number

    def drop(connection) -> None:
        connection.execute(update(alert).where(alert.c.group_id == number).values(payload_id=None, body=None))

    await a.world.store.write(drop)
    (stored,) = (await a.get("/alerts"))["results"]
    trace = await a.get(f"/alerts/{stored['id']}/trace")
    assert (stored["payload"], trace["recomputed"], trace["reason"]) == (
        None,
        False,
        "the payload is no longer kept",
    )
    assert trace["outcome"]["title"] == "u1"


async def test_the_trace_of_a_heartbeat(api: Start) -> None:
    """It went through no template: its outcome, and that it is a heartbeat's."""
    a = await api(integration(heartbeat={"interval": "60s"}))
    await a.world.beat()
    await a.world.after(minutes=2)
    (stored,) = (await a.get("/alerts"))["results"]
    trace = await a.get(f"/alerts/{stored['id']}/trace")
    assert (trace["origin"], trace["recomputed"]) == ("heartbeat", False)
    assert trace["outcome"]["title"] == "Heartbeat of default/web is missing"


async def test_redacted_values_show_nowhere(api: Start) -> None:
    """`spec.redact`: neither in payloads nor in traces."""
    a = await api(integration(redact=["secret"]), *routes())
    await a.world.alert(alert_uid="u1", title="t", state="alerting", kind="x", secret="hunter2")
    (stored,) = (await a.get("/alerts"))["results"]
    reply = await a.ask("GET", f"/alerts/{stored['id']}/trace")
    assert b"hunter2" not in reply.body
