"""One exchange and its answer, whatever it is; and the proxy that the operator may put between."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from vendors import LOOPBACK, Received, Scripted, Service

from tocsin.notify.client import Cause, FetchFailed, HttpClient, Outgoing
from tocsin.notify.guard import Hosts


class Proxy(Service):
    """A forward proxy for plain HTTP that answers everything itself."""

    def answer(self, got: Received) -> web.Response:
        return web.Response(text=f"proxied {got.headers['Host']}")


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async with Service.running() as made:
        yield made


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    async with Proxy.running() as made:
        yield made


async def cause(client: HttpClient, url: str, **options: float) -> Cause:
    with pytest.raises(FetchFailed) as failed:
        await client.exchange("POST", url, **options)
    await client.close()
    return failed.value.cause


async def test_any_status_is_an_answer(service: Service) -> None:
    """Status, headers in lower case, and as much of the body as the limit allows."""
    service.script.append(Scripted(status=503, headers={"Retry-After": "5"}, body=b"x" * 70_000))
    client = HttpClient(Outgoing(allowed=LOOPBACK))
    answer = await client.exchange("PUT", f"{service.url}/a?b=1", body=b"{}", headers={"X-One": "1"})
    await client.close()
    assert (answer.status, answer.ok, answer.truncated, len(answer.body)) == (503, False, True, 65_536)
    assert answer.headers["retry-after"] == "5"
    got = service.received[0]
    assert (got.method, got.path, got.body, got.headers["X-One"]) == ("PUT", "/a?b=1", b"{}", "1")


async def test_why_there_is_no_answer() -> None:
    """In time, by the guard, by the URL, or otherwise: deliveries are judged by it."""
    assert await cause(HttpClient(Outgoing()), "http://127.0.0.1:1/") is Cause.REFUSED
    assert await cause(HttpClient(Outgoing()), "http://localhost:1/") is Cause.REFUSED
    assert await cause(HttpClient(Outgoing(allowed=LOOPBACK)), "http://127.0.0.1:1/") is Cause.OTHER
    assert await cause(HttpClient(), "ftp://x.example/") is Cause.URL
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        assert await cause(HttpClient(Outgoing(allowed=LOOPBACK, timeout=0.2)), url) is Cause.TIMEOUT
        assert await cause(HttpClient(Outgoing(allowed=LOOPBACK)), url, timeout=0.2) is Cause.TIMEOUT


async def test_names_go_through_the_proxy(service: Service, proxy: Proxy) -> None:
    """They are not looked up here; what is allowed by name or excepted goes straight."""
    outgoing = Outgoing(proxy=proxy.url, allowed=("localhost", *LOOPBACK), no_proxy=("127.0.0.0/8",))
    client = HttpClient(outgoing)
    assert (await client.exchange("GET", "http://hooks.example/x")).body == b"proxied hooks.example"
    await client.exchange("GET", f"http://localhost:{service.port}/named")
    await client.exchange("GET", f"{service.url}/network")
    await client.close()
    assert [one.path for one in service.received] == ["/named", "/network"]
    assert len(proxy.received) == 1


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "[::1]", "2130706433", "127.1", "0x7f000001", "169.254.169.254"]
)
async def test_the_proxy_is_no_way_around_the_guard(proxy: Proxy, host: str) -> None:
    """Private addresses, in any spelling, are refused before the proxy is asked."""
    client = HttpClient(Outgoing(proxy=proxy.url))
    assert await cause(client, f"http://{host}/") is Cause.REFUSED
    assert proxy.received == []


@pytest.mark.parametrize("proxy_url", ["proxy.example:3128", "socks5://x", "nonsense"])
def test_a_proxy_that_is_no_url_is_refused_at_the_start(proxy_url: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        HttpClient(Outgoing(proxy=proxy_url))


def test_exceptions_from_the_proxy() -> None:
    """Names, names with everything below, addresses and networks."""
    hosts = Hosts(["Plain.Example", ".below.example", "10.1.0.0/16", "192.168.0.1"])
    for host in ("plain.example", "below.example", "a.b.BELOW.example.", "10.1.2.3", "192.168.0.1"):
        assert hosts.covers(host), host
    for host in ("x.plain.example", "notbelow.example", "10.2.0.1", "192.168.0.2", ""):
        assert not hosts.covers(host), host
    assert not Hosts().covers("x")
