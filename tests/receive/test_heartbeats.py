"""Signs of life: only where they are declared, rate limited apart from alerts, checked like alerts."""

from __future__ import annotations

import pytest
from receiving import integration, token_of

from tocsin.receive.settings import Settings
from tocsin.store import heartbeats, timers
from tocsin.store.heartbeats import Belief

SPEC = {"interval": "5m", "grace": "30s"}


async def beat(running, name: str = "a"):
    found = [one for one in await running.store.read(heartbeats.load) if one.integration.name == name]
    return found[0] if found else None


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("suffix", ["heartbeat/", "heartbeat", "/heartbeat//"])
async def test_every_method_counts(receiver, method: str, suffix: str) -> None:
    """GET, HEAD and POST with any body record the moment; no alert is made, and the next overdue moment is planned.

    Rules: R-ING-3
    """
    running = await receiver(integration("a", heartbeat=SPEC))
    answer = await running.request(
        method, running.url("a", suffix), b"not json" if method == "POST" else None
    )
    assert answer.status == 200
    seen = await beat(running)
    assert (seen.belief, seen.last_seen is not None) == (Belief.ALIVE, True)
    [timer] = await running.store.read(lambda c: timers.list_timers(c, timers.HEARTBEAT))
    assert timer.due_at == seen.last_seen + 330_000_000
    assert await running.alerts() == 0
    assert running.metric("tocsin_heartbeats_received_total", integration="default/a") == 1


async def test_an_outage_ends_with_the_next_sign(receiver) -> None:
    """The timer is due at once, so that the dispatcher ends the outage."""
    running = await receiver(integration("a", heartbeat=SPEC))
    await running.request("GET", running.url("a", "heartbeat/"))
    await running.store.write(
        lambda c: heartbeats.believe(
            c, (next(iter(running.objects))), Belief.EXPIRED, running.environment.now()
        )
    )
    await running.request("GET", running.url("a", "heartbeat/"))
    seen = await beat(running)
    [timer] = await running.store.read(lambda c: timers.list_timers(c, timers.HEARTBEAT))
    assert (seen.belief, timer.due_at) == (Belief.EXPIRED, seen.last_seen)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_without_a_declared_heartbeat_nothing_starts(receiver, method: str) -> None:
    """404 as a problem; a click on the link switches nothing on."""
    running = await receiver(integration("a"))
    answer = await running.request(method, running.url("a", "heartbeat/"), b"" if method == "POST" else None)
    assert answer.status == 404
    assert method == "HEAD" or "spec.heartbeat" in answer.problem["action"]
    assert await beat(running) is None
    assert await running.store.read(lambda c: timers.list_timers(c, timers.HEARTBEAT)) == ()


async def test_other_methods_are_405(receiver) -> None:
    running = await receiver(integration("a", heartbeat=SPEC))
    answer = await running.request("PUT", running.url("a", "heartbeat/"), b"")
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD, POST")


async def test_the_type_is_checked(receiver) -> None:
    """A heartbeat URL of another type is refused as an alert URL is."""
    running = await receiver(integration("a", heartbeat=SPEC))
    answer = await running.request("GET", f"/integrations/v1/zabbix/{token_of('a')}/heartbeat/")
    assert (answer.problem["status"], await beat(running)) == (400, None)
    assert (
        await running.request("GET", f"/integrations/v1/webhook/{token_of('x')}/heartbeat/")
    ).status == 403


async def test_heartbeats_have_a_rate_of_their_own(receiver) -> None:
    """Too many heartbeats are 429 with Retry-After and cost no alert; alerts over their rate cost no heartbeat."""
    running = await receiver(
        integration("a", heartbeat=SPEC, rateLimit={"alerts": 1, "period": "1h"}),
        settings=Settings(heartbeat_rate=2, heartbeat_period=60),
    )
    url = running.url("a", "heartbeat/")
    assert [(await running.request("GET", url)).status for _ in range(3)] == [200, 200, 429]
    refused = await running.request("POST", url, b"")
    assert (refused.problem["integration"], refused.headers["retry-after"]) == ("default/a", "30")
    assert [(await running.post("a", {})).json["digested"] for _ in range(2)] == [False, True]
    running.clock[0] += 31
    assert (await running.request("GET", url)).status == 200


async def test_a_suspended_integration_records_no_heartbeat(receiver) -> None:
    """Suspended is as if absent: the sign is answered, kept nowhere, and starts nothing."""
    running = await receiver(integration("a", heartbeat=SPEC, suspend=True))
    answer = await running.request("POST", running.url("a", "heartbeat/"), b"")
    assert (answer.status, answer.json["heartbeat"]) == (200, "ignored")
    assert await beat(running) is None
