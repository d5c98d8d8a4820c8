"""The HTTP client against real servers on loopback, which it reaches only where the operator allows that."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import trustme
from aiohttp import web
from names import Names

from tocsin.notify.client import FetchFailed, HttpClient, Outgoing

LOOPBACK = ("127.0.0.0/8", "::1")


class Server:
    """Counts what reaches it."""

    def __init__(self) -> None:
        self.hits: list[str] = []
        self.headers: dict[str, str] = {}
        self.release = asyncio.Event()
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.hits.append(request.path)
        self.headers = dict(request.headers)
        match request.path:
            case "/redirect":
                return web.Response(status=302, headers={"Location": f"http://127.0.0.1:{self.port}/secret"})
            case "/big":
                return web.Response(body=b"x" * 70_000)
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                while True:
                    await response.write(b"x" * 10_000)
            case "/hang":
                await self.release.wait()
            case "/missing":
                return web.Response(status=404, text="no such thing")
            case "/last":
                closing = web.Response(text="ok")
                closing.force_close()
                return closing
            case "/cookie":
                response = web.Response(text="ok")
                response.set_cookie("session", "1")
                return response
        return web.Response(text="ok")


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.port = runner.addresses[0][1]
    await web.TCPSite(runner, "127.0.0.2", made.port).start()
    yield made
    made.release.set()
    await runner.cleanup()


@pytest.fixture
async def client() -> AsyncIterator[Callable[..., HttpClient]]:
    made: list[HttpClient] = []

    def make(**options: object) -> HttpClient:
        made.append(HttpClient(Outgoing(**options)))
        return made[-1]

    yield make
    for one in made:
        await one.close()


async def refused(request: Awaitable[bytes]) -> str:
    with pytest.raises(FetchFailed) as failure:
        await request
    return str(failure.value)


SPELLINGS = [
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "localhost",
]
SPELLINGS += [
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "0",
    "0.0.0.0",
    "[::]",
]
SPELLINGS += ["127.0.0.1.", "127。0。0。1", "①②⑦.0.0.1", "user:pass@127.0.0.1"]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_loopback_reaches_it(server: Server, client, host: str) -> None:
    """Decimal, octal, hexadecimal, short, IPv6 and Unicode forms: no request arrives."""
    await refused(client().get(f"http://{host}:{server.port}/secret"))
    assert server.hits == []


async def test_a_name_that_resolves_to_a_private_address_is_refused(server: Server, client) -> None:
    """The name looks public, its address is not. The reason says which address it is and why."""
    names = Names(server.port, internal_example=[["127.0.0.1"]], mapped_example=[["::ffff:127.0.0.1"]])
    sender = client(resolver=names)
    assert "127.0.0.1 is loopback" in await refused(sender.get("http://internal.example/secret"))
    assert "127.0.0.1 within" in await refused(sender.get("http://mapped.example/secret"))
    assert server.hits == []


async def test_a_name_with_several_addresses_never_leads_to_the_refused_one(server: Server, client) -> None:
    """Whatever stands beside it among the answers."""
    names = Names(server.port, mixed_example=[["10.0.0.1", "127.0.0.1", "::1"]])
    assert "requests may not go there" in await refused(
        client(resolver=names).get("http://mixed.example/secret")
    )
    assert server.hits == []


async def test_a_name_that_changes_its_answer_is_judged_again(server: Server, client) -> None:
    """Rebinding: what was allowed a moment ago is looked up and judged anew for the next connection."""
    names = Names(server.port, rebind_example=[["127.0.0.2"], ["127.0.0.1"]])
    sender = client(resolver=names, allowed=("127.0.0.2",))
    assert await sender.get("http://rebind.example/last") == b"ok"
    assert "127.0.0.1 is loopback" in await refused(sender.get("http://rebind.example/second"))
    assert names.asked == ["rebind.example", "rebind.example"]
    assert server.hits == ["/last"]


async def test_what_the_operator_allows_is_reached(server: Server, client) -> None:
    """By network, and by a name that then may lead anywhere; an allowed name opens no door to others."""
    assert await client(allowed=LOOPBACK).get(f"http://127.0.0.1:{server.port}/a") == b"ok"
    names = Names(server.port, hooks_internal=[["127.0.0.1"]], other_internal=[["127.0.0.1"]])
    sender = client(allowed=("hooks.internal",), resolver=names)
    assert await sender.get("http://hooks.internal/b") == b"ok"
    await refused(sender.get("http://other.internal/c"))
    await refused(sender.get(f"http://127.0.0.1:{server.port}/d"))
    assert server.hits == ["/a", "/b"]


async def test_redirects_are_not_followed(server: Server, client) -> None:
    """A redirect is an answer that is no success; where it points to is never asked."""
    with pytest.raises(FetchFailed, match="answered 302") as failure:
        await client(allowed=LOOPBACK).get(f"http://127.0.0.1:{server.port}/redirect")
    assert failure.value.status == 302
    assert server.hits == ["/redirect"]


async def test_answers_are_bounded_in_size_and_time(server: Server, client) -> None:
    """More than the limit is not read, whether announced or endless; no answer in time is a failure in words."""
    sender = client(allowed=LOOPBACK)
    assert "larger than 65536 bytes" in await refused(sender.get(f"http://127.0.0.1:{server.port}/big"))
    assert "larger than 65536 bytes" in await refused(sender.get(f"http://127.0.0.1:{server.port}/endless"))
    hasty = client(allowed=LOOPBACK, timeout=0.2)
    assert "no answer in time" in await refused(hasty.get(f"http://127.0.0.1:{server.port}/hang"))


async def test_failures_name_the_host_and_nothing_of_the_url(server: Server, client) -> None:
    """Paths and queries may be credentials; status codes are kept for those who care."""
    sender = client(allowed=LOOPBACK)
    for url in (f"http://127.0.0.1:{server.port}/missing?token=hunter2", "http://127.0.0.1:1/hunter2"):
        message = await refused(sender.get(url))
        assert "127.0.0.1" in message
        assert "hunter2" not in message


@pytest.mark.parametrize(
    "url", ["", "/x", "http://", "ftp://example.com/", "file:///etc/passwd", "http://[x", "gopher://x"]
)
async def test_other_urls_are_refused_before_anything_is_sent(client, url: str) -> None:
    """Only http and https have a host that can be asked; callers may narrow that to https."""
    await refused(client(allowed=LOOPBACK).get(url))


async def test_callers_may_insist_on_https(server: Server, client) -> None:
    sender = client(allowed=LOOPBACK)
    assert "only https" in await refused(sender.get(f"http://127.0.0.1:{server.port}/", schemes=("https",)))
    assert server.hits == []


async def test_no_cookies_no_proxies_no_compression(server: Server, client, monkeypatch) -> None:
    """Nothing of one exchange is in the next, and the environment of the process does not change where requests go."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    sender = client(allowed=LOOPBACK)
    await sender.get(f"http://127.0.0.1:{server.port}/cookie")
    await sender.get(f"http://127.0.0.1:{server.port}/again")
    assert "Cookie" not in server.headers
    assert server.headers["Accept-Encoding"] == "identity"
    assert server.headers["User-Agent"].startswith("Tocsin/")


async def test_https_needs_a_certificate_for_the_name_that_was_asked() -> None:
    """An authority that the operator trusts is enough for its names, and for no others."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("hooks.example").configure_cert(context)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)

    async def ok(_: web.BaseRequest) -> web.Response:
        return web.Response(text="ok")

    runner = web.ServerRunner(web.Server(ok))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    names = Names(runner.addresses[0][1], hooks_example=[["127.0.0.1"]], other_example=[["127.0.0.1"]])
    knowing = HttpClient(Outgoing(allowed=LOOPBACK, trust=trust, resolver=names))
    unknowing = HttpClient(Outgoing(allowed=LOOPBACK, resolver=names))
    try:
        assert await knowing.get("https://hooks.example/") == b"ok"
        assert "certificate" in await refused(knowing.get("https://other.example/"))
        assert "certificate" in await refused(unknowing.get("https://hooks.example/"))
    finally:
        await knowing.close()
        await unknowing.close()
        await runner.cleanup()


async def test_a_closed_client_opens_again(server: Server, client) -> None:
    """Closing is for the end of a process; a late request is not lost by it."""
    sender = client(allowed=LOOPBACK)
    await sender.close()
    assert await sender.get(f"http://127.0.0.1:{server.port}/") == b"ok"
