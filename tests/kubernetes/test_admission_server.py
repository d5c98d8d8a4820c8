"""The admission server over TLS: it answers in time or lets through, and tells nobody what it was shown."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest

from tocsin.control.kubernetes.admission import server as module
from tocsin.control.kubernetes.admission.certificate import Material, issue, renew
from tocsin.control.kubernetes.admission.judge import Judge
from tocsin.control.kubernetes.admission.keeper import HeldCertificate
from tocsin.control.kubernetes.admission.review import Question, Ruling
from tocsin.control.kubernetes.admission.server import Desk, Door
from tocsin.flow.model import Micros
from tocsin.receive.environment import Environment
from tocsin.sources import load_types
from tocsin.telemetry import Telemetry

NOW = dt.datetime.now(dt.UTC)


def review(operation: str = "CREATE", spec: Any = None, **request: Any) -> dict[str, Any]:
    made = {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "Integration",
        "metadata": {"name": "x", "namespace": "n"},
        "spec": spec or {"type": "webhook"},
    }
    asked = {
        "uid": "u-1",
        "kind": {"group": "tocsin.dev", "version": "v1alpha1", "kind": "Integration"},
        "operation": operation,
        "object": made,
        **request,
    }
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": asked}


class Running:
    """A desk behind its door, and who asks there."""

    def __init__(self, judge: Judge, budget: float) -> None:
        self.log = io.StringIO()
        telemetry = Telemetry.create(stream=self.log, process_metrics=False)
        self.registry = telemetry.registry
        self.desk = Desk(judge, telemetry, budget=budget)
        self.held = HeldCertificate()
        self.door = Door(self.desk, ("127.0.0.1", 0), self.held, Environment.create(telemetry))
        self.authority = b""

    def hold(self, material: Material) -> None:
        self.authority = material.authority
        self.held.hold(material.certificate, material.key)

    async def post(self, body: Any, path: str = "/validate") -> tuple[int, bytes]:
        """On a connection of its own."""
        trust = ssl.create_default_context(cadata=self.authority.decode())
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with (
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session,
            session.post(f"https://127.0.0.1:{self.door.port}{path}", data=io.BytesIO(data)) as response,
        ):
            return response.status, await response.read()

    async def ask(self, body: Any) -> dict[str, Any]:
        status, answer = await self.post(body)
        assert status == 200, answer
        response: dict[str, Any] = json.loads(answer)["response"]
        return response

    def count(self, outcome: str) -> float:
        found = self.registry.get_sample_value("tocsin_admission_requests_total", {"outcome": outcome})
        assert found is not None
        return found


Start = Callable[..., Any]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    begun: list[Running] = []

    async def begin(judge: Judge | None = None, *, budget: float = 30) -> Running:
        real = Judge(load_types(), among=lambda: None, now=lambda: Micros(0))
        running = Running(judge or real, budget)
        running.hold(issue(["127.0.0.1"], NOW))
        begun.append(running)
        await running.door.attend()
        return running

    yield begin
    for running in begun:
        await running.door.close()
        running.desk.close()


async def test_it_answers_and_counts(start: Start) -> None:
    """Yes, yes but, no; and the log holds nothing of the objects."""
    running = await start()
    assert await running.ask(review()) == {"uid": "u-1", "allowed": True}
    hinted = await running.ask(review(spec={"type": "webhook", "templates": {"groupingId": "top-secret"}}))
    assert hinted["allowed"] is True
    assert len(hinted["warnings"]) == 1
    denied = await running.ask(
        review(spec={"type": "webhook", "templates": {"groupingId": "{{ 'top-secret' "}})
    )
    assert denied["allowed"] is False
    assert denied["status"]["message"].startswith("spec.templates.groupingId, line 1, column ")
    assert await running.ask(review("DELETE", object=None)) == {"uid": "u-1", "allowed": True}
    assert [running.count(outcome) for outcome in module.OUTCOMES] == [2, 1, 1, 0, 0, 0, 0]
    assert "top-secret" not in running.log.getvalue()


async def test_what_is_no_review_is_refused(start: Start) -> None:
    """400 as a problem, 413 beyond the limit, 404 and 405 elsewhere: all of them are ignored by the webhook's policy."""
    running = await start()
    status, answer = await running.post(b"{}")
    assert (status, json.loads(answer)["type"]) == (400, "https://tocsin.dev/problems/malformed-body")
    assert (await running.post(b" " * (module.LARGEST_BODY + 1)))[0] == 413
    assert (await running.post(review(), "/other"))[0] == 404
    assert running.count("malformed") == 2
    assert (await running.ask(review()))["allowed"] is True


class Slow(Judge):
    """Thinks until it is told to stop."""

    def __init__(self) -> None:
        self.stop = threading.Event()

    def rule(self, question: Question) -> Ruling:
        self.stop.wait(60)
        return Ruling(problems=("too late",))


async def test_what_takes_too_long_is_let_through(start: Start) -> None:
    """With a warning; the next questions do not wait for it for ever either."""
    slow = Slow()
    running = await start(slow, budget=0.1)
    try:
        for response in await asyncio.gather(*(running.ask(review()) for _ in range(4))):
            assert response["allowed"] is True
            assert "in time" in response["warnings"][0]
        assert running.count("late") == 4
    finally:
        slow.stop.set()


async def test_too_many_at_once_are_refused(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """503, so that their bodies are not even read."""
    running = await start(budget=0.1)
    for _ in range(8):
        await running.desk._room.acquire()
    assert (await running.post(review()))[0] == 503
    assert running.count("busy") == 1
    running.desk._room.release()
    assert (await running.ask(review()))["allowed"] is True


class Faulty(Judge):
    def __init__(self) -> None:
        pass

    def rule(self, question: Question) -> Ruling:
        raise KeyError("top-secret")


async def test_our_own_mistakes_let_through(start: Start) -> None:
    """The log says where in the code it was, and neither what the object holds nor what the error says."""
    running = await start(Faulty())
    response = await running.ask(review(spec={"type": "top-secret"}))
    assert response["allowed"] is True
    assert "mistake of its own" in response["warnings"][0]
    (line,) = [line for line in running.log.getvalue().splitlines() if "could not be checked" in line]
    assert json.loads(line)["error"].startswith("KeyError at test_admission_server.py:")
    assert "top-secret" not in running.log.getvalue()
    assert running.count("failed") == 1


async def test_a_renewed_certificate_is_used_for_new_connections(start: Start) -> None:
    """Open connections go on; a broken one changes nothing."""
    running = await start()
    first = issue(["127.0.0.1"], NOW - dt.timedelta(days=1))
    running.hold(first)
    await running.door.attend()
    trust = ssl.create_default_context(cadata=first.authority.decode())

    async def shown() -> bytes:
        _, writer = await asyncio.open_connection("127.0.0.1", running.door.port, ssl=trust)
        found: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return found

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust)) as session:
        url = f"https://127.0.0.1:{running.door.port}/validate"
        async with session.post(url, json=review()) as response:
            assert response.status == 200
        before = await shown()
        running.hold(renew(first, ["127.0.0.1"], NOW))
        await running.door.attend()
        after = await shown()
        assert after != before
        async with session.post(url, json=review()) as response:
            assert response.status == 200
    running.held.hold(b"nonsense", b"nonsense")
    await running.door.attend()
    assert await shown() == after


async def test_the_door_opens_once_there_is_a_certificate(start: Start) -> None:
    """And on an address that is free; until then it may be tried again and again."""
    running = await start()
    taken = running.door.port
    second = Door(running.desk, ("127.0.0.1", taken), running.held, running.door._environment)
    with pytest.raises(OSError, match="in use"):
        await second.attend()
    empty = Door(running.desk, ("127.0.0.1", 0), HeldCertificate(), running.door._environment)
    with pytest.raises(FileNotFoundError):
        await empty.attend()
    assert second.port == empty.port == 0
    await running.door.close()
    await second.attend()
    assert second.port == taken
    await second.close()
