"""A world of messages: the real store, compiler, channels and HTTP client; the clock and the far end are ours."""

from __future__ import annotations

import asyncio
import io
import json
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.api.objects import parse_object
from tocsin.control.vault import Vault
from tocsin.dispatch.deliveries.worker import Means, Worker
from tocsin.flow.compiler import compile_flow
from tocsin.flow.groups import Action, Actor, Verb, Via
from tocsin.flow.inventory import Inventory
from tocsin.flow.model import EMPTY_FLOW, Micros
from tocsin.flow.program import Program, link
from tocsin.notify.client import HttpClient, Outgoing
from tocsin.notify.guard import Guard
from tocsin.notify.tools import Tools
from tocsin.sources import load_types
from tocsin.store import Arrival, KeyRing, Store, Stored, actions, deliveries, groups, logbook, revisions
from tocsin.store.deliveries import Delivery, DeliveryState, NewDelivery
from tocsin.telemetry import Telemetry

TYPES = load_types()
KEYS = KeyRing((b"k" * 32,))
ANN = Actor(name="ann", via=Via.API)
SECOND = 1_000_000
MINUTE = 60 * SECOND
START = Micros(1_800_000_000 * SECOND)
LOOPBACK = ("127.0.0.0/8",)
CONSOLE = "https://tocsin.example"

_migrated: list[bytes] = []


async def new_database(path: Path) -> str:
    """The URL of a database that is migrated already: migrating takes longer than most tests."""
    if not _migrated:
        await (await Store.open(f"sqlite:///{path}", keys=KEYS)).close()
        _migrated.append(path.read_bytes())
    path.write_bytes(_migrated[0])
    return f"sqlite:///{path}"


def obj(kind: str, name: str, **spec: Any) -> dict:
    return {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def integration(name: str = "web", **spec: Any) -> dict:
    return obj("Integration", name, **({"type": "webhook"} | spec))


def secret_ref(name: str) -> dict:
    return {"name": "secrets", "key": name}


def responder(name: str, *channels: str, **spec: Any) -> dict:
    """One contact on each of these channels, called as the channel."""
    contacts = [{"name": c, "channelRef": {"name": c}, "address": f"{name}@{c}"} for c in channels]
    return obj("Responder", name, **({"contacts": contacts} | spec))


@dataclass
class Hit:
    """One message that arrived."""

    path: str
    body: Any
    key: str
    headers: dict[str, str] = field(repr=False)

    @property
    def number(self) -> int:
        return int(self.body["alertGroup"]["number"])


class Sink:
    """Takes everything, unless `answers[path]` says otherwise: statuses, or (status, headers), or "hang", in turn. `documents[path]` is what it says."""

    def __init__(self) -> None:
        self.hits: list[Hit] = []
        self.answers: dict[str, deque[Any]] = defaultdict(deque)
        self.always: dict[str, Any] = {}
        self.documents: dict[str, dict[str, Any]] = {}
        self.delay = 0.0
        self.release = asyncio.Event()
        self.arrived = asyncio.Event()
        self.base = ""

    async def start(self) -> None:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self.release.set()
        await self._runner.cleanup()

    def channel(self, name: str, **spec: Any) -> dict:
        """A plain webhook at its own path."""
        return obj("NotificationChannel", name, **({"webhook": {"url": f"{self.base}/{name}"}} | spec))

    def pager(self, name: str, **spec: Any) -> dict:
        """One that edits: an Alertmanager, whose alerts change when they are sent again."""
        return obj(
            "NotificationChannel", name, **({"alertmanager": {"urls": [f"{self.base}/{name}"]}} | spec)
        )

    def slack(self, name: str, **spec: Any) -> dict:
        """A Slack that gives each message a time of its own."""
        target = {"apiUrl": f"{self.base}/{name}", "tokenSecretRef": secret_ref("slack"), "channel": "#ops"}
        return obj("NotificationChannel", name, **({"slack": target} | spec))

    def at(self, name: str) -> list[Hit]:
        return [hit for hit in self.hits if hit.path.split("/")[1] == name]

    async def wait_for(self, count: int, seconds: float = 20) -> None:
        async with asyncio.timeout(seconds):
            while len(self.hits) < count:
                self.arrived.clear()
                await self.arrived.wait()

    async def _answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            document = json.loads(body)
        except ValueError:
            document = body.decode()
        key = request.headers.get("Idempotency-Key", "")
        self.hits.append(Hit(request.path, document, key, dict(request.headers)))
        self.arrived.set()
        await asyncio.sleep(self.delay)
        name = request.path.split("/")[1]
        queue = self.answers[name]
        answer = queue.popleft() if queue else self.always.get(name, 200)
        if answer == "hang":
            await self.release.wait()
            answer = 200
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        slack = {"ok": True, "channel": "C1", "ts": f"{len(self.hits)}.0"} if "/chat." in request.path else {}
        return web.json_response(self.documents.get(name, slack), status=status, headers=headers)


@dataclass
class VirtualClock:
    moment: Micros = START

    def now(self, _connection: Connection) -> Micros:
        return self.moment

    async def wait(self, _duration: int, _woken: asyncio.Event) -> None:
        await asyncio.sleep(0)


@dataclass
class Live:
    program: Program = field(default_factory=lambda: link(EMPTY_FLOW, types=TYPES))


class World:
    """`send` does all that is due now; `after` lets time go by first."""

    def __init__(self, url: str, sink: Sink) -> None:
        self.url = url
        self.sink = sink
        self.clock = VirtualClock()
        self.live = Live()
        self.objects: dict[tuple[str, str], dict] = {}
        self.secrets: dict[str, str] = {}
        self.log = io.StringIO()
        self.http = HttpClient(Outgoing(allowed=LOOPBACK, timeout=5.0))
        self.store: Store
        self.worker: Worker

    @property
    def now(self) -> Micros:
        return self.clock.moment

    async def open(self) -> None:
        """Again after the store was closed, too."""
        self.store = await Store.open(self.url, keys=KEYS)
        self.worker = self.new_worker()

    def new_worker(self, *, sole: bool = False) -> Worker:
        """Another process's, for all that the store can tell."""
        tools = Tools(http=self.http, guard=Guard(LOOPBACK), console_url=CONSOLE)
        self.telemetry = Telemetry.create(stream=self.log, process_metrics=False, level="debug")
        means = Means(tools=tools, keys=KEYS, sole=sole)
        return Worker(self.store, self.live, means, clock=self.clock, telemetry=self.telemetry)

    async def close(self) -> None:
        self.sink.release.set()
        await self.http.close()
        await self.store.close()

    # --- what is declared ---

    async def apply(self, *objects: dict) -> None:
        for one in objects:
            self.objects[one["kind"], one["metadata"]["name"]] = one
        await self.publish()

    async def delete(self, kind: str, name: str) -> None:
        del self.objects[kind, name]
        await self.publish()

    async def publish(self, *, load: bool = True) -> None:
        """`load` False: this process is a moment behind."""
        inventory = Inventory.of([parse_object(o) for o in self.objects.values()])
        values = {("default", "secrets", key): value.encode() for key, value in self.secrets.items()}
        digests = {key: KEYS.digest(value.encode()) for key, value in self.secrets.items()}
        inventory = inventory.with_secret("default", "secrets", digests)
        flow = compile_flow(inventory, types=TYPES, now=self.now).flow

        def publish(connection: Connection) -> None:
            Vault(KEYS, values).store(connection, flow, self.now)
            revisions.publish(connection, flow, 1)

        await self.store.write(publish)
        if load:
            self.live.program = link(flow, types=TYPES, previous=self.live.program)
            self.worker.follow()

    # --- what happens ---

    async def alert(self, name: str = "web", /, **payload: Any) -> Stored:
        program = self.live.program.integrations[Identity("Integration", "default", name)]
        arrival = Arrival(
            integration=program.identity,
            decision=program.evaluate(payload, self.now),
            payload=msgspec.json.encode(program.redact(payload)),
            received_at=self.now,
            now=self.now,
            manifest=self.live.program.digest,
        )
        (stored,) = await self.store.ingest((arrival,))
        return stored

    async def act(self, number: int, verb: str, **more: Any) -> None:
        action = Action(verb=Verb(verb), at=self.now, actor=ANN, **more)
        await self.store.write(lambda c: actions.act(c, number, action))

    async def order(self, kind: str, channel: str, group: int | None = None, **more: Any) -> str:
        """Enqueues a delivery; its key."""
        data = {name: more.pop(name) for name in list(more) if name not in ("responder", "contact", "key")}
        given = more.pop("key", f"{kind}/{group}/{channel}/{more.get('responder', '')}")
        new = NewDelivery(
            key=given,
            kind=kind,
            at=self.now,
            channel=f"default/{channel}",
            group=group,
            responder=f"default/{more['responder']}" if "responder" in more else "",
            contact=more.get("contact", channel if "responder" in more else ""),
            data=json.dumps(data),
        )
        await self.store.write(lambda c: deliveries.enqueue(c, [new]))
        return given

    async def send(self) -> int:
        return await self.worker.run_due()

    async def after(self, seconds: float) -> int:
        self.clock.moment = Micros(self.now + int(seconds * SECOND))
        return await self.send()

    # --- what can be seen ---

    async def delivery(self, key: str) -> Delivery:
        (found,) = [one for one in await self.deliveries() if one.key == key]
        return found

    async def deliveries(self) -> list[Delivery]:
        found = await self.store.read(lambda c: deliveries.list_deliveries(c, limit=100_000))
        return sorted(found, key=lambda one: one.id)

    async def states(self) -> dict[str, str]:
        return {one.key: DeliveryState(one.state).name.lower() for one in await self.deliveries()}

    async def group(self, number: int) -> groups.AlertGroup:
        found = await self.store.read(lambda c: groups.get(c, number))
        assert found is not None, number
        return found

    async def entries(self, number: int) -> list[tuple[str, str]]:
        """The group's log: kind and reason."""
        found = await self.store.read(lambda c: logbook.list_entries(c, number, limit=1000))
        return [(e.kind.name.lower(), e.reason) for e in found]

    def metric(self, name: str, **labels: str) -> float:
        return self.telemetry.registry.get_sample_value(name, labels) or 0.0


def keys(hits: Iterable[Hit]) -> list[str]:
    return [hit.key for hit in hits]


Make = Callable[..., Awaitable[World]]
"""`await world(*objects)`, as the fixture gives it."""
