"""Loopback servers that stand for the services of chat tools, and what tests send to them.

A server records what it gets. `script` answers the next requests instead of the service's own rules.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from tocsin.flow.model import ChannelFragment, SecretKey
from tocsin.notify.channel import Channel, DeliveryFailed
from tocsin.notify.client import HttpClient, Outgoing
from tocsin.notify.factory import build
from tocsin.notify.guard import Guard
from tocsin.notify.message import Message, Recipient
from tocsin.notify.tools import Tools
from tocsin.store.keys import KeyRing

LOOPBACK = ("127.0.0.0/8",)
KEYS = KeyRing((b"k" * 32,))
NOBODY = Recipient()
EVIL = "https://evil.example/x"


@dataclass
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Scripted:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: Any = None


class Service:
    """Override `answer`."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.script: deque[Scripted] = deque()
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Any:
        return self.received[-1].json

    def answer(self, got: Received) -> web.Response:
        return web.Response()

    async def handle(self, request: web.Request) -> web.Response:
        got = Received(request.method, request.path_qs, dict(request.headers), await request.read())
        self.received.append(got)
        if self.script:
            scripted = self.script.popleft()
            body = scripted.body
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            return web.Response(
                status=scripted.status, headers=scripted.headers, body=b"" if body is None else raw
            )
        return self.answer(got)

    @classmethod
    @asynccontextmanager
    async def running(cls) -> AsyncIterator[Self]:
        self = cls()
        app = web.Application(client_max_size=10_000_000)
        app.router.add_route("*", "/{path:.*}", self.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


@asynccontextmanager
async def channel(
    target: Any, secrets: dict[str, str], *, console_url: str = "https://tocsin.example", **more: Any
) -> AsyncIterator[Channel]:
    """What the factory makes of this target."""
    fragment = ChannelFragment(
        namespace="ops",
        name="chat",
        target=target,
        secrets={
            path: SecretKey(namespace="ops", name="s", key=path, digest=KEYS.digest(value.encode()))
            for path, value in secrets.items()
        },
    )
    client = HttpClient(Outgoing(**{"allowed": LOOPBACK, **more}))
    tools = Tools(http=client, guard=Guard(LOOPBACK), console_url=console_url, keys=KEYS)
    try:
        yield build(fragment, secrets, tools)
    finally:
        await client.close()


def group(**over: Any) -> Message:
    """A firing group's message."""
    fields: dict[str, Any] = {
        "kind": "group",
        "key": "group/12/1/ops/chat/0",
        "title": "Disk is full",
        "text": "only 1 % left",
        "link": "https://tocsin.example/groups/IABCDEFGHJKLM",
        "source_link": "https://prometheus.example/graph?a=1&b=2",
        "number": 12,
        "public_id": "IABCDEFGHJKLM",
        "integration": "Shop",
        "labels": (("severity", "critical"),),
        "alerts_count": 1,
        "started_at": 1_782_000_000_000_000,
    }
    return Message(**{**fields, **over})


async def failure(attempt: Any) -> DeliveryFailed:
    """The failure that this ends with."""
    try:
        await attempt
    except DeliveryFailed as failed:
        return failed
    raise AssertionError("it was delivered")
