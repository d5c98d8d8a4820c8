"""A client of the API and the world behind it."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
from aiohttp.test_utils import TestServer
from dispatching import World

from tocsin.console.api.application import standalone
from tocsin.console.api.context import Context
from tocsin.console.api.guard import ApiToken, Guard
from tocsin.console.api.throttle import Throttle
from tocsin.notify.client import HttpClient
from tocsin.telemetry import Telemetry


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> Any:
        """The body of a refusal, whose shape is checked."""
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.body
        shown = self.json
        assert shown["status"] == self.status
        assert shown["detail"]
        return shown


class Api:
    world: World
    server: TestServer
    session: aiohttp.ClientSession
    context: Context

    @classmethod
    async def start(
        cls,
        url: str,
        objects: tuple[dict, ...],
        *,
        at: str = "2026-07-01T12:00:00Z",
        tokens: tuple[ApiToken, ...] = (),
        listen: tuple[str, ...] = ("127.0.0.1",),
        per_minute: int = 100_000,
        http: HttpClient | None = None,
    ) -> Self:
        self = cls()
        self.world = World(url, at)
        await self.world.open()
        await self.world.apply(*objects)
        await self.world.run()
        self.world.live.revision = 1
        self.context = Context(
            store=self.world.store,
            live=self.world.live,
            telemetry=Telemetry.create(stream=self.world.log, process_metrics=False),
            guard=Guard(tokens=tokens, listen=listen),
            throttle=Throttle(per_minute),
            now=lambda: self.world.now,
            findings=lambda: 3,
            http=http,
        )
        self.server = TestServer(standalone(self.context))
        await self.server.start_server()
        self.session = aiohttp.ClientSession()
        return self

    async def stop(self) -> None:
        await self.session.close()
        await self.server.close()
        await self.world.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        raw: bytes | io.BytesIO | None = None,
    ) -> Reply:
        """`path` below /api/v1, or a whole URL. Writes are sent as JSON."""
        url = path if path.startswith("http") else str(self.server.make_url("/api/v1" + path))
        sent = {"Content-Type": "application/json"} if method not in ("GET", "HEAD") else {}
        data = raw
        if body is not None:
            data = json.dumps(body).encode()
        async with self.session.request(
            method, url, data=data, headers={**sent, **(headers or {})}
        ) as response:
            return Reply(response.status, dict(response.headers), await response.read())

    async def get(self, path: str) -> Any:
        reply = await self.ask("GET", path)
        assert reply.status == 200, reply.body
        return reply.json

    async def post(self, path: str, body: Any = None) -> Any:
        reply = await self.ask("POST", path, body)
        assert reply.status == 200, reply.body
        return reply.json if reply.body else None

    async def firing(self, uid: str, to: str = "web", **more: Any) -> str:
        """The public id of the group."""
        stored = await self.world.alert(to, alert_uid=uid, title=uid, state="alerting", **more)
        return stored.alert_group_id
