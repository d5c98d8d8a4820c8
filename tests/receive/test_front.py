"""Addresses: health, metrics, other applications, certificates, and the graceful end."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from receiving import Wire, integration

from tocsin.receive.listener import Address
from tocsin.receive.settings import Settings
from tocsin.receive.tls import Tls


def console() -> web.Application:
    async def hello(request: web.Request) -> web.Response:
        return web.Response(text=f"hello {request.match_info['name']} {len(await request.read())}")

    async def broken(_: web.Request) -> web.Response:
        raise RuntimeError("inner detail")

    app = web.Application()
    app.router.add_route("*", "/api/{name}", hello)
    app.router.add_get("/broken", broken)
    return app


@pytest.mark.parametrize("path", ["/-/healthy", "/healthz", "/-/healthy/"])
async def test_health(receiver, path: str) -> None:
    """Healthy as long as the process answers, ready or not."""
    running = await receiver(integration("a"))
    running.live.not_ready = "no flow loaded yet"
    assert (await running.request("GET", path)).status == 200
    assert (await running.request("HEAD", path)).status == 200
    assert (await running.request("POST", path, b"")).headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize("path", ["/-/ready", "/readyz"])
async def test_readiness_says_why_not(receiver, path: str) -> None:
    running = await receiver(integration("a"))
    assert (await running.request("GET", path)).status == 200
    running.live.not_ready = "no flow loaded yet"
    answer = await running.request("GET", path)
    assert (answer.status, answer.body) == (503, b"not ready: no flow loaded yet\n")


async def test_metrics_may_need_a_bearer_token(receiver) -> None:
    """401 with a challenge without it."""
    running = await receiver(integration("a"), settings=Settings(metrics_bearer="s3cret"))
    for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic s3cret"}):
        answer = await running.request("GET", "/metrics", None, header)
        assert (answer.problem["status"], "www-authenticate" in answer.headers) == (401, True)
    answer = await running.request("GET", "/metrics", None, {"Authorization": "Bearer s3cret"})
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain")
    openmetrics = {"Authorization": "Bearer s3cret", "Accept": "application/openmetrics-text"}
    assert (await running.request("GET", "/metrics", None, openmetrics)).body.endswith(b"# EOF\n")


async def test_another_application_shares_the_address(receiver) -> None:
    """Alert URLs, health and metrics come first; everything else is the application's, on the same connection too."""
    running = await receiver(integration("a"), addresses=(Address(host="127.0.0.1", port=0, app=console()),))
    wire = await Wire.open(running.port)
    assert (await wire.request("POST", running.url("a"), b"{}")).status == 200
    assert (await wire.request("POST", "/api/world", b"12345")).body == b"hello world 5"
    assert (await wire.request("GET", "/-/ready")).body == b"ready\n"
    assert (await wire.request("POST", running.url("a"), b"{}")).status == 200
    assert (await wire.request("GET", "/api/again")).status == 200
    assert (await wire.request("GET", "/nowhere")).status == 404
    broken = await wire.request("GET", "/broken")
    assert (broken.problem["status"], b"inner detail" in broken.body) == (500, False)
    assert "RuntimeError: inner detail" in running.log.getvalue()
    await wire.close()


async def test_every_address_answers_what_it_should(receiver) -> None:
    """Ingest, application and metrics on three ports, nothing anywhere else."""
    addresses = (
        Address(host="127.0.0.1", port=0, health=False, metrics=False),
        Address(host="127.0.0.1", port=0, ingest=False, metrics=False, app=console()),
        Address(host="127.0.0.1", port=0, ingest=False),
    )
    running = await receiver(integration("a"), addresses=addresses)
    asked = {"ingest": running.url("a"), "api": "/api/x", "ready": "/-/ready", "metrics": "/metrics"}
    answered = []
    for listener in running.front.listeners:
        wire = await Wire.open(listener.port)
        statuses = {}
        for name, path in asked.items():
            method = "POST" if name == "ingest" else "GET"
            statuses[name] = (await wire.request(method, path, b"{}" if method == "POST" else None)).status
        answered.append(sorted(name for name, status in statuses.items() if status == 200))
        await wire.close()
    assert answered == [["ingest"], ["api", "ready"], ["metrics", "ready"]]


async def test_a_taken_address_is_an_error_and_leaves_nothing_open(receiver) -> None:
    running = await receiver(integration("a"))
    with pytest.raises(OSError, match="in use"):
        await receiver(integration("b"), addresses=(Address(host="127.0.0.1", port=running.port),))
    assert (await running.post("a", b"{}")).status == 200


# --- certificates ---------------------------------------------------------------------------------------------------


class Authority:
    def __init__(self, folder: Path) -> None:
        self.ca = trustme.CA()
        self.tls = Tls(certificate=folder / "tls.crt", key=folder / "tls.key", client_ca=None)
        self.issue()

    def issue(self) -> None:
        issued = self.ca.issue_cert("127.0.0.1", "localhost")
        self.tls.certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        self.tls.key.write_bytes(issued.private_key_pem.bytes())

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        return context


async def serial(wire: Wire) -> str:
    shown = wire.writer.get_extra_info("ssl_object").getpeercert()
    return str(shown["serialNumber"])


async def test_certificates_are_reloaded_when_their_files_change(receiver, tmp_path: Path) -> None:
    """New connections get the new certificate, open ones live on; a broken pair changes nothing and is counted."""
    authority = Authority(tmp_path)
    running = await receiver(
        integration("a"), addresses=(Address(host="127.0.0.1", port=0, tls=authority.tls),)
    )
    [listener] = running.front.listeners
    before = await Wire.open(running.port, ssl=authority.context())
    assert (await before.request("POST", running.url("a"), b"{}")).status == 200
    assert await listener.reload_tls() is False
    authority.issue()
    assert await listener.reload_tls() is True
    after = await Wire.open(running.port, ssl=authority.context())
    assert await serial(after) != await serial(before)
    for wire in (before, after):
        assert (await wire.request("POST", running.url("a"), b"{}")).status == 200
    authority.tls.key.write_bytes(b"broken")
    assert await listener.reload_tls() is False
    last = await Wire.open(running.port, ssl=authority.context())
    assert await serial(last) == await serial(after)
    assert running.metric("tocsin_tls_reloads_total", outcome="done") == 1
    assert running.metric("tocsin_tls_reloads_total", outcome="failed") == 1
    for wire in (before, after, last):
        await wire.close()


async def test_client_certificates(receiver, tmp_path: Path) -> None:
    """With a client authority only senders with its certificate get through."""
    authority = Authority(tmp_path)
    authority.ca.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    tls = Tls(certificate=authority.tls.certificate, key=authority.tls.key, client_ca=tmp_path / "ca.crt")
    running = await receiver(integration("a"), addresses=(Address(host="127.0.0.1", port=0, tls=tls),))
    context = authority.context()
    authority.ca.issue_cert("sender@example.com").configure_cert(context)
    known = await Wire.open(running.port, ssl=context)
    assert (await known.request("POST", running.url("a"), b"{}")).status == 200
    await known.close()

    async def stranger() -> None:
        wire = await Wire.open(running.port, ssl=authority.context())
        try:
            await wire.request("POST", running.url("a"), b"{}")
        finally:
            await wire.close()

    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await stranger()
    assert await running.alerts() == 1


async def test_a_broken_certificate_is_an_error_at_the_start(receiver, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("nothing")
    tls = Tls(certificate=tmp_path / "x", key=tmp_path / "x")
    with pytest.raises(OSError):
        await receiver(integration("a"), addresses=(Address(host="127.0.0.1", port=0, tls=tls),))


# --- the end --------------------------------------------------------------------------------------------------------


async def test_draining_loses_nothing_that_was_answered(receiver) -> None:
    """Senders that never stop, then a drain: every 2xx is stored, nothing else is, and the drain ends by itself."""
    running = await receiver(integration("a"))
    answered: list[str] = []

    async def sender(number: int) -> None:
        count = 0
        while True:
            try:
                wire = await Wire.open(running.port)
            except OSError:
                return
            try:
                while True:
                    count += 1
                    uid = f"{number}-{count}"
                    answer = await wire.request(
                        "POST", running.url("a"), b'{"alert_uid": "%s"}' % uid.encode()
                    )
                    if answer.status == 200:
                        answered.append(uid)
                    if answer.headers.get("connection") == "close":
                        break
            except (OSError, asyncio.IncompleteReadError):
                return
            finally:
                await wire.close()

    senders = [asyncio.create_task(sender(n)) for n in range(8)]
    while len(answered) < 100:
        await asyncio.sleep(0.005)
    assert await running.front.drain() is True
    await asyncio.gather(*senders)
    stored = {one["alert_uid"] for one in await running.payloads()}
    assert set(answered) <= stored
    assert len(stored - set(answered)) <= 8, (
        "at most one request of each sender was cut off before its answer"
    )
    with pytest.raises(OSError):
        await Wire.open(running.port)


async def test_a_body_that_is_being_sent_may_end_during_the_drain(receiver) -> None:
    """Readiness says no at once, the request in flight is finished, and its connection ends with the answer."""
    running = await receiver(integration("a"))
    idle = await Wire.open(running.port)
    await idle.request("POST", running.url("a"), b"{}")
    wire = await Wire.open(running.port)
    await wire.send(f"POST {running.url('a')} HTTP/1.1\r\nHost: r\r\nContent-Length: 2\r\n\r\n{{".encode())
    while running.metric("tocsin_bodies_in_flight_bytes") == 0:
        await asyncio.sleep(0.005)
    draining = asyncio.create_task(running.front.drain())
    assert await idle.at_end()
    assert running.front.not_ready()
    await wire.send(b"}")
    answer = await wire.answer()
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert await draining is True
    assert await running.alerts() == 2
    for one in (idle, wire):
        await one.close()


async def test_while_load_balancers_learn_of_it_requests_are_still_taken(receiver) -> None:
    """During `drain_delay` new connections are served, and told to end."""
    running = await receiver(integration("a"), settings=Settings(drain_delay=0.3))
    draining = asyncio.create_task(running.front.drain())
    while not running.front.not_ready():
        await asyncio.sleep(0)
    answer = await running.post("a", b"{}")
    assert (answer.status, answer.headers["connection"]) == (200, "close")
    assert (await running.request("GET", "/-/ready")).status == 503
    assert await draining is True


async def test_the_deadline_of_a_drain_holds(receiver) -> None:
    """A sender that does not finish its body is cut off."""
    running = await receiver(integration("a"), settings=Settings(drain_deadline=0.1))
    wire = await Wire.open(running.port)
    await wire.send(f"POST {running.url('a')} HTTP/1.1\r\nHost: r\r\nContent-Length: 2\r\n\r\n{{".encode())
    while running.metric("tocsin_bodies_in_flight_bytes") == 0:
        await asyncio.sleep(0.005)
    assert await running.front.drain() is False
    assert await wire.at_end()
    await wire.close()
    assert "cut off" in running.log.getvalue()
