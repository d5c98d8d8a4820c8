"""Limits that slow, greedy or broken senders meet, and that others do not notice."""

from __future__ import annotations

import asyncio

import pytest
from receiving import Wire, integration

from tocsin.receive.connection import Connection
from tocsin.receive.settings import Settings


def connections(running) -> list[Connection]:
    return running.front.listeners[0]._server.connections


async def sweep(running, seconds: float) -> None:
    """What the watch does once a second, `seconds` from now."""
    running.front.listeners[0]._server.sweep(asyncio.get_running_loop().time() + seconds)


def head(running, length: int, more: str = "") -> bytes:
    return f"POST {running.url('a')} HTTP/1.1\r\nHost: r\r\nContent-Length: {length}\r\n{more}\r\n".encode()


async def reached(check) -> None:
    """Waits until the receiver has seen what was sent."""
    while not check():
        await asyncio.sleep(0.005)


async def test_many_slow_senders_do_not_hinder_a_fast_one(receiver) -> None:
    """Two hundred unfinished heads and bodies; an alert is answered all the while, and the slow ones are ended."""
    running = await receiver(integration("a"))
    slow = [await Wire.open(running.port) for _ in range(200)]
    for number, wire in enumerate(slow):
        await wire.send(head(running, 1000) + b'{"a":' if number % 2 else b"POST /integrations/v1/web")
    await reached(lambda: sum(one.body is not None for one in connections(running)) == 100)
    assert (await running.post("a", b"{}")).status == 200
    await sweep(running, 11)
    assert running.metric("tocsin_connections_closed_total", reason="header-timeout") == 100
    for wire in slow[0::2]:
        assert await wire.at_end()
    assert (await running.post("a", b"{}")).status == 200
    await sweep(running, 31)
    for wire in slow[1::2]:
        answer = await wire.answer()
        assert (answer.problem["status"], answer.headers["connection"]) == (408, "close")
        assert await wire.at_end()
    assert (await running.alerts(), running.metric("tocsin_bodies_in_flight_bytes")) == (2, 0)
    assert "Traceback" not in running.log.getvalue()
    for wire in slow:
        await wire.close()


async def test_senders_in_time_are_left_alone(receiver) -> None:
    """The limits count from the begin of the head, and of the body."""
    running = await receiver(integration("a"))
    wire = await Wire.open(running.port)
    await wire.send(head(running, 2))
    await reached(lambda: any(one.body is not None for one in connections(running)))
    await sweep(running, 29)
    await wire.send(b"{}")
    assert (await wire.answer()).status == 200
    await sweep(running, 3600)
    assert (await wire.request("POST", running.url("a"), b"{}")).status == 200
    await wire.close()


async def test_an_announced_body_over_the_limit_is_413_at_once(receiver) -> None:
    """Nothing of it is read; the limit is in the answer, which says how to send less."""
    running = await receiver(integration("a"))
    wire = await Wire.open(running.port)
    await wire.send(head(running, 16 * 1024 * 1024 + 1))
    problem = (await wire.answer()).problem
    assert (problem["status"], problem["limit"]) == (413, 16 * 1024 * 1024)
    assert (
        running.metric("tocsin_requests_refused_total", integration="default/a", reason="body-too-large") == 1
    )
    await wire.close()


async def test_a_body_over_the_limit_is_413_although_it_was_not_announced(receiver) -> None:
    running = await receiver(integration("a"), settings=Settings(body_limit=100_000))
    wire = await Wire.open(running.port)
    piece = b"8000\r\n" + b" " * 0x8000 + b"\r\n"
    answer = await wire.request(
        "POST", running.url("a"), piece * 4 + b"0\r\n\r\n", {"Transfer-Encoding": "chunked"}
    )
    assert answer.problem["status"] == 413
    await wire.close()
    assert (await running.post("a", b" " * 99_000 + b"{}")).status == 200
    assert (await running.post("a", b" " * 100_001)).problem["status"] == 413
    assert running.metric("tocsin_bodies_in_flight_bytes") == 0


async def test_all_bodies_in_flight_share_a_limit(receiver) -> None:
    """Over it a large body is 503 with Retry-After; small ones still get through, and the room comes back."""
    running = await receiver(integration("a"), settings=Settings(bodies_limit=1_000_000))
    holders = [await Wire.open(running.port) for _ in range(4)]
    for wire in holders:
        await wire.send(head(running, 300_000) + b" " * 200_000)
    await reached(lambda: running.metric("tocsin_bodies_in_flight_bytes") >= 800_000)
    answer = await running.post("a", b" " * 300_000)
    assert (answer.problem["status"], int(answer.headers["retry-after"]) > 0) == (503, True)
    assert (await running.post("a", b"{}")).status == 200
    for wire in holders:
        await wire.send(b" " * 99_998 + b"{}")
        await wire.answer()
        await wire.close()
    assert running.metric("tocsin_bodies_in_flight_bytes") == 0
    assert (await running.post("a", b" " * 299_998 + b"{}")).status == 200


async def test_what_is_only_announced_takes_no_room(receiver) -> None:
    """Sixty senders announce 16 MiB each and send nothing: nobody is refused for it."""
    running = await receiver(integration("a"), settings=Settings(bodies_limit=32 * 1024 * 1024))
    waiting = [await Wire.open(running.port) for _ in range(60)]
    for wire in waiting:
        await wire.send(head(running, 16 * 1024 * 1024))
    await reached(lambda: sum(one.body is not None for one in connections(running)) == 60)
    assert (await running.post("a", b" " * 1_000_000 + b"{}")).status == 200
    for wire in waiting:
        await wire.close()


async def test_a_sender_that_leaves_in_the_middle_of_a_body(receiver) -> None:
    """Nothing is stored, no room is kept, nothing is logged as our fault."""
    running = await receiver(integration("a"))
    wire = await Wire.open(running.port)
    await wire.send(head(running, 1000) + b"{" + b" " * 500)
    await reached(lambda: running.metric("tocsin_bodies_in_flight_bytes") > 0)
    await wire.close()
    await reached(lambda: running.metric("tocsin_bodies_in_flight_bytes") == 0)
    assert await running.alerts() == 0
    assert "Traceback" not in running.log.getvalue()


async def test_expect_100_continue(receiver) -> None:
    """curl asks before it sends large bodies: a good request is told to go on, a bad one is answered right away."""
    running = await receiver(integration("a"))
    wire = await Wire.open(running.port)
    await wire.send(head(running, 2, "Expect: 100-continue\r\n"))
    assert await wire.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    await wire.send(b"{}")
    assert (await wire.answer()).status == 200
    await wire.close()
    wire = await Wire.open(running.port)
    await wire.send(head(running, 10**9, "Expect: 100-continue\r\n"))
    assert (await wire.answer()).status == 413
    await wire.close()


async def test_the_answer_to_a_refused_body_arrives_while_it_is_still_sent(receiver) -> None:
    """What follows the refusal is read and dropped, so that the sender sees the answer and not a reset."""
    running = await receiver(integration("a"))
    wire = await Wire.open(running.port)
    await wire.send(head(running, 2_000_000).replace(b"/webhook/", b"/zabbix/") + b" " * 1_000_000)
    await wire.send(b" " * 1_000_000)
    assert (await wire.answer()).problem["status"] == 400
    assert await wire.at_end()
    await wire.close()


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST /x HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400),
        (b"GET /x HTTP/1.1\r\nHost: r\r\nX: " + b"y" * 70_000 + b"\r\n\r\n", 431),
        (b"GET /" + b"y" * 70_000 + b" HTTP/1.1\r\nHost: r\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", 400),
    ],
)
async def test_what_is_no_http_is_refused_as_a_problem(receiver, request_bytes: bytes, status: int) -> None:
    """Broken requests, too large headers, and TLS on a plain port: 4xx as a problem, no traceback."""
    running = await receiver(integration("a"))
    wire = await Wire.open(running.port)
    await wire.send(request_bytes)
    answer = await wire.answer()
    assert answer.problem["status"] == status
    assert await wire.at_end()
    await wire.close()
    assert "Traceback" not in running.log.getvalue()
    assert (await running.post("a", b"{}")).status == 200


async def test_connections_are_bounded_and_the_silent_ones_go_first(receiver) -> None:
    """A full receiver ends a connection without any request, then an idle one; if all work, the new one gets 503."""
    running = await receiver(integration("a"), settings=Settings(connections_limit=2))
    silent = await Wire.open(running.port)
    await reached(lambda: len(connections(running)) == 1)
    idle = await Wire.open(running.port)
    assert (await idle.request("POST", running.url("a"), b"{}")).status == 200
    first = await Wire.open(running.port)
    await first.send(head(running, 2))
    assert await silent.at_end()
    await reached(lambda: any(one.body is not None for one in connections(running)))
    second = await Wire.open(running.port)
    await second.send(head(running, 2))
    assert await idle.at_end()
    await reached(lambda: sum(one.body is not None for one in connections(running)) == 2)
    refused = await Wire.open(running.port)
    assert (await refused.answer()).problem["status"] == 503
    for wire in (first, second):
        await wire.send(b"{}")
        assert (await wire.answer()).status == 200
    for wire in (silent, idle, first, second, refused):
        await wire.close()


@pytest.mark.parametrize(
    ("version", "header", "expected"),
    [("1.1", "", ""), ("1.1", "close", "close"), ("1.0", "", "close"), ("1.0", "keep-alive", "keep-alive")],
)
async def test_keep_alive(receiver, version: str, header: str, expected: str) -> None:
    """As HTTP wants it for both versions."""
    running = await receiver(integration("a"))
    more = f"Connection: {header}\r\n" if header else ""
    wire = await Wire.open(running.port)
    await wire.send(
        f"POST {running.url('a')} HTTP/{version}\r\nHost: r\r\n{more}Content-Length: 2\r\n\r\n{{}}".encode()
    )
    answer = await wire.answer()
    assert (answer.status, answer.headers.get("connection", "")) == (200, expected)
    if expected == "close":
        assert await wire.at_end()
    await wire.close()


async def test_refusals_of_complete_requests_keep_the_connection(receiver) -> None:
    running = await receiver(integration("a"))
    wire = await Wire.open(running.port)
    assert (await wire.request("POST", running.url("a"), b"nonsense")).status == 400
    assert (await wire.request("POST", "/integrations/v1/webhook/unknown/", b"{}")).status == 403
    assert (await wire.request("GET", "/nothing")).status == 404
    assert (await wire.request("POST", running.url("a"), b"{}")).status == 200
    await wire.close()
