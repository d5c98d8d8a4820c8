"""What tests of paging services share: a server that answers as the vendor's documentation says, channels and messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from tocsin.api.notificationchannel import ChannelTarget
from tocsin.flow.groups import State
from tocsin.flow.model import ChannelFragment, Micros, SecretKey
from tocsin.notify.channel import Channel
from tocsin.notify.client import HttpClient, Outgoing
from tocsin.notify.factory import build
from tocsin.notify.guard import Guard
from tocsin.notify.message import Message
from tocsin.notify.tools import Tools

LOOPBACK = ("127.0.0.0/8", "::1")
SECRET = "s3cr3t-value-of-a-token"
NIGHT = Micros(1_767_225_600_000_000)

Rule = Callable[[web.Request, Any], web.Response | None]
"""Looks at one request (and its JSON or form): a refusal, or None for the vendor's usual answer."""


@dataclass
class Service:
    """Remembers what reached it; `next` are answers that come before the usual ones."""

    rule: Rule
    usual: Callable[[web.Request, Any], web.Response]
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    next: list[web.Response] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.Response:
        if request.content_type == "application/json":
            body: Any = await request.json()
        else:
            body = dict(await request.post())
        self.requests.append((request.method, request.path_qs, body))
        self.headers.append(dict(request.headers))
        if self.next:
            return self.next.pop(0)
        return self.rule(request, body) or self.usual(request, body)

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.requests]


async def start(service: Service) -> web.AppRunner:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    service.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner


OPEN: list[HttpClient] = []


def tools(**more: Any) -> Tools:
    """Whoever uses them calls `close` at the end."""
    OPEN.append(HttpClient(Outgoing(allowed=LOOPBACK)))
    return Tools(http=OPEN[-1], guard=Guard(LOOPBACK), **more)


async def close() -> None:
    while OPEN:
        await OPEN.pop().close()


def channel(target: dict[str, Any], *, given: Tools | None = None, secrets: tuple[str, ...] = ()) -> Channel:
    """`target` as in YAML; `secrets` are paths such as `pagerduty.routingKeySecretRef`, all with the value SECRET."""
    fragment = ChannelFragment(
        namespace="ops",
        name="pager",
        target=msgspec.convert(target, ChannelTarget),
        secrets={path: SecretKey(namespace="ops", name="pager", key="token") for path in secrets},
    )
    return build(fragment, dict.fromkeys(secrets, SECRET), given or tools())


def message(**changes: Any) -> Message:
    given: dict[str, Any] = {
        "kind": "group",
        "key": "group/12/1/ops/pager",
        "title": "Disk full on db-1",
        "text": "The disk of **db-1** is [full](https://example.org/d).",
        "link": "https://tocsin.example.org/groups/G12",
        "source_link": "https://prometheus.example.org/graph",
        "number": 12,
        "public_id": "G12ABC",
        "integration": "Prometheus of payments",
        "labels": (("severity", "critical"), ("team", "payments")),
        "alerts_count": 3,
        "started_at": NIGHT,
        "state": State.FIRING,
    }
    return Message(**(given | changes))
