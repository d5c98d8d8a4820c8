"""The application as a whole: admission, errors, slashes, limits."""

from __future__ import annotations

import io
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from asking import Api
from dispatching import integration

from tocsin.console.api import PREFIX, api_application, build_api
from tocsin.console.api.guard import parse_tokens
from tocsin.console.api.routes import ROUTES
from tocsin.store import StoreUnavailable
from tocsin.telemetry import Telemetry

Start = Callable[..., Awaitable[Api]]
READER, ACTOR = "r" * 24, "a" * 24
TOKENS = parse_tokens(f"dash read {READER}\nops act {ACTOR}")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def test_tokens_and_scopes(api: Start) -> None:
    """No token 401, a reading token may not act (403), the name of the token is who acted."""
    a = await api(integration(), tokens=TOKENS, listen=("0.0.0.0",))
    group = await a.firing("u1")
    path = f"/alert_groups/{group}/acknowledge"
    refused = await a.ask("POST", path, {})
    assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Bearer realm="tocsin"')
    assert refused.problem["detail"]
    forbidden = await a.ask("POST", path, {}, headers=bearer(READER))
    assert (forbidden.status, "act" in forbidden.problem["detail"]) == (403, True)
    assert (await a.ask("GET", "/alert_groups", headers=bearer(READER))).status == 200
    assert (
        await a.ask("POST", path, raw=b"", headers={"Authorization": ACTOR, "Content-Type": "text/plain"})
    ).status == 200
    shown = (await a.ask("GET", f"/alert_groups/{group}", headers=bearer(READER))).json
    assert shown["acknowledged_by"] == "ops"


async def test_every_route_is_guarded(api: Start) -> None:
    """Without token nothing is answered, whatever method and path, existing or not."""
    a = await api(tokens=TOKENS)
    paths = {r.path.split("{")[0].rstrip("/") for r in ROUTES} | {"/nothing", ""}
    for path in paths:
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS", "PUT"):
            assert (await a.ask(method, path)).status == 401, (method, path)


async def test_without_tokens_off_loopback_nobody_is_served(api: Start) -> None:
    """The listener is what counts, although the client is local."""
    a = await api(listen=("0.0.0.0",))
    reply = await a.ask("GET", "/alert_groups")
    assert (reply.status, "token" in reply.problem["detail"]) == (401, True)


async def test_foreign_pages_do_not_get_in(api: Start) -> None:
    """A foreign Host (DNS rebinding), a foreign Origin, a form: each 401, and nothing happens."""
    a = await api(integration())
    group = await a.firing("u1")
    path = f"/alert_groups/{group}/resolve"
    for headers in (
        {"Host": "evil.example"},
        {"Origin": "http://evil.example"},
        {"Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        assert (await a.ask("POST", path, raw=b"{}", headers=headers)).status == 401
    assert (await a.get(f"/alert_groups/{group}"))["state"] == "firing"


@pytest.mark.parametrize(
    "path",
    [
        "/alert_groups",
        "/alerts",
        "/integrations",
        "/endpoints",
        "/heartbeats",
        "/windows",
        "/dead_letters",
        "/dead_timers",
        "/status",
    ],
)
async def test_a_trailing_slash_is_optional(api: Start, path: str) -> None:
    """Both forms are answered alike, never by a redirect; HEAD too."""
    a = await api(integration())
    plain, slashed = await a.ask("GET", path), await a.ask("GET", path + "/")
    assert (plain.status, slashed.status) == (200, 200)
    assert plain.headers["Content-Type"] == "application/json"
    head = await a.ask("HEAD", path)
    assert (head.status, head.body) == (200, b"")


async def test_errors_are_problems(api: Start) -> None:
    """404, 405 with Allow, 413: JSON with `detail`."""
    a = await api()
    assert (await a.ask("GET", "/nothing")).problem["status"] == 404
    assert (await a.ask("GET", str(a.server.make_url("/elsewhere")))).problem["status"] == 404
    wrong = await a.ask("PUT", "/alert_groups", {})
    assert (wrong.status, set(wrong.headers["Allow"].split(", "))) == (405, {"GET", "HEAD"})
    assert wrong.problem
    big = await a.ask("POST", "/preview", raw=io.BytesIO(b"x" * (17 * 1024 * 1024)))
    assert big.status == 413
    assert big.problem


async def test_too_many_requests(api: Start) -> None:
    """429 with RateLimit-Reset in seconds, per token; a person at this machine is not limited."""
    a = await api(tokens=TOKENS, per_minute=2)
    replies = [await a.ask("GET", "/status", headers=bearer(READER)) for _ in range(3)]
    assert [r.status for r in replies] == [200, 200, 429]
    assert int(replies[2].headers["RateLimit-Reset"]) == int(replies[2].headers["Retry-After"]) == 31
    assert replies[2].problem
    assert (await a.ask("GET", "/status", headers=bearer(ACTOR))).status == 200
    here = await api(per_minute=1)
    assert [(await here.ask("GET", "/status")).status for _ in range(3)] == [200] * 3


async def test_an_unreachable_store_is_503(api: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Come again; nothing of the database's words shows."""

    async def fail(_fn: object) -> None:
        raise StoreUnavailable("password=hunter2")

    a = await api()
    monkeypatch.setattr(a.world.store, "read", fail)
    reply = await a.ask("GET", "/status")
    assert (reply.status, reply.headers["Retry-After"], b"hunter2" in reply.body) == (503, "5", False)


async def test_a_mistake_inside_is_500_without_words(api: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """The log has the traceback, the answer has not."""

    async def fail(_fn: object) -> None:
        raise RuntimeError("inner words")

    a = await api()
    monkeypatch.setattr(a.world.store, "read", fail)
    reply = await a.ask("GET", "/status")
    assert (reply.status, b"inner words" in reply.body) == (500, False)
    assert "inner words" in a.world.log.getvalue()


async def test_it_mounts_on_any_application(api: Start) -> None:
    """As a sub-application beside other pages."""
    a = await api(integration())

    async def page(_request: web.Request) -> web.Response:
        return web.Response(text="page")

    app = web.Application()
    app.router.add_get("/page", page)
    app.add_subapp(PREFIX, api_application(a.context))
    async with TestClient(TestServer(app)) as client:
        assert (await client.get("/api/v1/status")).status == 200
        assert await (await client.get("/page")).text() == "page"


async def test_build_api_twice_for_two_addresses(api: Start) -> None:
    """A process with two listeners: both answer, the metrics are registered once."""
    a = await api(integration())
    telemetry = Telemetry.create(stream=a.world.log, process_metrics=False)
    for _ in range(2):
        app = build_api(a.world.store, a.world.live, telemetry, listen=("127.0.0.1",))
        async with TestClient(TestServer(app)) as client:
            assert (await client.get("/api/v1/status/")).status == 200
