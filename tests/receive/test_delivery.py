"""Bodies with several alerts, Alertmanager's API, verification, and the rate limit."""

from __future__ import annotations

import json

import pytest
from receiving import PAYLOADS, Wire, integration

from tocsin.receive.settings import Settings
from tocsin.store.errors import StoreUnavailable


async def test_a_list_is_one_alert_per_element(receiver) -> None:
    """The answer is a list in the same order, also for one element."""
    running = await receiver(integration("a"))
    answer = await running.post("a", [{"alert_uid": "1"}, {"alert_uid": "2"}, {"alert_uid": "1"}])
    assert answer.status == 200
    first, second, third = answer.json
    assert first["alert_group_id"] == third["alert_group_id"] != second["alert_group_id"]
    assert (first["created"], third["joined"]) == (True, True)
    assert await running.alerts() == 3
    assert len((await running.post("a", [{"alert_uid": "1"}])).json) == 1


async def test_all_alerts_of_a_body_or_none(receiver) -> None:
    """One element that is no object, and nothing of the body is stored."""
    running = await receiver(integration("a"))
    problem = (await running.post("a", [{"alert_uid": "1"}, 7, {"alert_uid": "2"}])).problem
    assert (problem["status"], "element 1" in problem["detail"]) == (400, True)
    assert await running.alerts() == 0


async def test_too_many_alerts_in_one_body(receiver) -> None:
    """413 names the limit; nothing is stored."""
    running = await receiver(integration("a"), settings=Settings(alerts_limit=100))
    assert (await running.post("a", [{}] * 101)).problem["limit"] == 100
    assert (await running.post("a", [{"alert_uid": "1"}] * 100)).status == 200
    assert await running.alerts() == 100


async def test_types_that_split_make_one_alert_per_element(receiver) -> None:
    running = await receiver(integration("a", "grafana"))
    answer = await running.post("a", {"alerts": [{"title": "x"}, {"title": "y"}]})
    assert len(answer.json) == 2
    assert isinstance((await running.post("a", {"alerts": [{"title": "x"}]})).json, dict)


async def test_alertmanagers_api(receiver) -> None:
    """POST .../api/v2/alerts as Prometheus sends it, the empty list included; the status probe; no reading of alerts."""
    running = await receiver(integration("a", "prometheus"))
    for suffix in ("api/v2/alerts", "api/v2/alerts/", "/api/v2/alerts"):
        body = (PAYLOADS / "alertmanager_api_v2/vmalert_array.json").read_bytes()
        answer = await running.request(
            "POST", running.url("a", suffix), body, {"Content-Type": "application/json"}
        )
        assert answer.status == 200
        assert len(answer.json) == len(json.loads(body))
    empty = await running.request("POST", running.url("a", "api/v2/alerts"), b"[]")
    assert (empty.status, empty.json) == (200, [])
    status = await running.request("GET", running.url("a", "api/v2/status"))
    assert status.json["cluster"]["status"] == "disabled"
    assert (await running.request("HEAD", running.url("a", "api/v2/status"))).status == 200
    assert (await running.request("POST", running.url("a", "api/v2/status"), b"{}")).headers[
        "allow"
    ] == "GET, HEAD"
    assert (await running.request("GET", running.url("a", "api/v2/alerts"))).headers["allow"] == "POST"


async def test_other_types_have_no_such_api(receiver) -> None:
    """404 says which type has it."""
    running = await receiver(integration("a", "alertmanager"))
    for method, suffix in (("POST", "api/v2/alerts"), ("GET", "api/v2/status"), ("GET", "api/v2/alerts")):
        problem = (
            await running.request(method, running.url("a", suffix), b"" if method == "POST" else None)
        ).problem
        assert (problem["status"], "prometheus" in problem["action"]) == (404, True)


async def test_handshakes_make_no_alert(receiver) -> None:
    """A verification is answered 2xx and stored nowhere; an alert of the same type is stored. Signed ones: tests/email."""
    running = await receiver(integration("a", "amazon_sns"))
    assert (await running.post("a", {"Type": "SubscriptionConfirmation"})).status == 200
    assert await running.alerts() == 0
    assert (await running.post("a", (PAYLOADS / "aws_sns/raw_delivery.json").read_bytes())).status == 200
    assert await running.alerts() == 1


async def test_over_the_rate_an_alert_acts_but_its_payload_is_not_kept(receiver) -> None:
    """200 with `digested`, the same durable commit and the same effect; the first and last payload are kept."""
    running = await receiver(
        integration("a", "formatted_webhook", rateLimit={"alerts": 2, "period": "1h"}), integration("b")
    )
    answers = [
        (await running.post("a", {"alert_uid": "u", "title": f"t{n}", "state": "alerting"})).json
        for n in range(6)
    ]
    assert [one["digested"] for one in answers] == [False, False, True, True, True, True]
    assert len({one["alert_group_id"] for one in answers}) == 1
    kept = [one["title"] for one in await running.payloads() if one is not None]
    assert kept == ["t0", "t1", "t2", "t5"]
    resolved = (await running.post("a", {"alert_uid": "u", "state": "ok"})).json
    assert (resolved["digested"], resolved["state"]) == (True, "resolved")
    opened = (await running.post("a", {"alert_uid": "other", "state": "alerting"})).json
    assert (opened["digested"], opened["created"]) == (True, True)
    assert (await running.post("b", {"alert_uid": "u"})).json["digested"] is False
    assert running.metric("tocsin_alerts_digested_total", integration="default/a") == 6


async def test_the_rate_recovers_with_time_and_survives_other_changes(receiver) -> None:
    """A token bucket: what a period brings can be used again; a change elsewhere in the flow does not refill it."""
    running = await receiver(integration("a", rateLimit={"alerts": 2, "period": "1h"}))
    assert [(await running.post("a", {})).json["digested"] for _ in range(3)] == [False, False, True]
    await running.declare(integration("b"))
    assert (await running.post("a", {})).json["digested"] is True
    running.clock[0] += 1800
    assert [(await running.post("a", {})).json["digested"] for _ in range(2)] == [False, True]
    await running.declare(integration("a", rateLimit={"alerts": 3, "period": "1h"}))
    assert (await running.post("a", {})).json["digested"] is False


async def test_every_alert_of_a_body_counts_against_the_rate(receiver) -> None:
    running = await receiver(integration("a", rateLimit={"alerts": 2, "period": "1h"}))
    answer = await running.post("a", [{"alert_uid": str(n)} for n in range(4)])
    assert [one["digested"] for one in answer.json] == [False, False, True, True]


async def test_a_store_that_cannot_write_is_503(receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """No 2xx without a commit, for alerts, heartbeats and dead letters; the sender is told when to try again."""
    import asyncio

    running = await receiver(integration("a", heartbeat={"interval": "5m"}), integration("s", suspend=True))

    def ingest(_: object) -> object:
        future = asyncio.get_running_loop().create_future()
        future.set_exception(StoreUnavailable("disk full"))
        return future

    async def write(_: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(running.store, "ingest", ingest)
    monkeypatch.setattr(running.store, "write", write)
    for answer in (
        await running.post("a", {}),
        await running.post("s", {}),
        await running.request("POST", running.url("a", "heartbeat/"), b""),
    ):
        assert (answer.problem["status"], answer.headers["retry-after"]) == (503, "5")
    monkeypatch.undo()
    assert (await running.post("a", {})).status == 200
    assert await running.alerts() == 1


async def test_an_overloaded_receiver_is_503(receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """When as many alerts wait for their commit as may, the next sender is asked to wait; nothing is dropped."""
    import asyncio

    running = await receiver(integration("a"), settings=Settings(waiting_limit=2))
    held: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    commit = running.store.ingest

    def ingest(arrivals: object) -> object:
        async def later() -> object:
            await held
            return await commit(arrivals)

        return asyncio.ensure_future(later())

    monkeypatch.setattr(running.store, "ingest", ingest)
    waiting = [asyncio.create_task(running.post("a", {"alert_uid": str(n)})) for n in range(2)]
    while running.environment.tallies.waiting < 2:
        await asyncio.sleep(0)
    refused = await running.post("a", {})
    assert (refused.problem["status"], refused.headers["retry-after"]) == (503, "5")
    held.set_result(None)
    assert [(await one).status for one in waiting] == [200, 200]
    assert (await running.post("a", {})).status == 200


async def test_a_mistake_of_ours_is_500_with_a_traceback_in_the_log(
    receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection lives on, the log names the Integration, the answer holds no inner detail."""
    running = await receiver(integration("a"))

    def broken(_: object) -> None:
        raise RuntimeError("inner detail")

    monkeypatch.setattr(running.store, "ingest", broken)
    wire = await Wire.open(running.port)
    answer = await wire.request("POST", running.url("a"), b"{}")
    assert (answer.problem["status"], b"inner detail" in answer.body) == (500, False)
    monkeypatch.undo()
    assert (await wire.request("POST", running.url("a"), b"{}")).status == 200
    await wire.close()
    assert '"integration": "default/a"' in running.log.getvalue()
    assert "RuntimeError: inner detail" in running.log.getvalue()


async def test_pipelined_requests_are_answered_in_order(receiver) -> None:
    """Several requests sent at once on one connection, probes of health among them."""
    running = await receiver(integration("a"))
    request = f"POST {running.url('a')} HTTP/1.1\r\nHost: r\r\nContent-Length: 20\r\n\r\n".encode()
    wire = await Wire.open(running.port)
    await wire.send(b"".join(request + b'{"alert_uid": "p%02d"}' % n for n in range(50)))
    answers = [await wire.answer() for _ in range(50)]
    assert [one.status for one in answers] == [200] * 50
    assert [one["alert_uid"] for one in await running.payloads()] == [f"p{n:02}" for n in range(50)]
    await wire.send(b"GET /-/healthy HTTP/1.1\r\nHost: r\r\n\r\n" + request + b'{"alert_uid": "p99"}')
    assert (await wire.answer()).body == b"healthy\n"
    assert (await wire.answer()).status == 200
    await wire.close()
