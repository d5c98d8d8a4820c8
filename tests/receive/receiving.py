"""What the tests of the receiver share: declared objects, a running receiver, and a client that sends bytes as they are."""

from __future__ import annotations

import asyncio
import io
import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import msgspec
from sqlalchemy import func, select

from tocsin.api.common import Identity, Metadata
from tocsin.api.integration import Integration, IntegrationSpec
from tocsin.flow.compiler import compile_flow
from tocsin.flow.inventory import Inventory
from tocsin.flow.model import EMPTY_FLOW, Micros
from tocsin.flow.program import Program, link
from tocsin.notify.client import HttpClient
from tocsin.receive.credentials import Credentials
from tocsin.receive.environment import Environment
from tocsin.receive.front import Front
from tocsin.receive.ingest import Ingest
from tocsin.receive.listener import Address
from tocsin.receive.settings import Settings
from tocsin.sources import load_types
from tocsin.store import KeyRing, Store, credentials, deadletters, revisions
from tocsin.store.tables import alert, alert_group
from tocsin.telemetry import Telemetry

PAYLOADS = Path(__file__).parents[1] / "payloads"
KEYS = KeyRing((b"k" * 32,))


def identity(name: str) -> Identity:
    return Identity("Integration", "default", name)


def integration(name: str, kind: str = "webhook", **spec: Any) -> Integration:
    """An Integration in namespace `default`; `spec` in camelCase as in YAML."""
    return Integration(
        metadata=Metadata(name=name), spec=msgspec.convert({"type": kind, **spec}, IntegrationSpec)
    )


def token_of(name: str) -> str:
    return f"{name:x<25}"


@dataclass
class Answer:
    """`headers` have lower-case names. `body` is b"" for HEAD."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def problem(self) -> Any:
        assert self.headers["content-type"] == "application/problem+json", (self.status, self.body)
        shown = json.loads(self.body)
        assert shown["status"] == self.status
        assert {"type", "title", "detail"} <= set(shown)
        return shown


class Wire:
    """One connection. Sends exactly what it is told to, so that broken requests are possible."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, **options: Any) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port, **options))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *, head_only: bool = False) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
        names = {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in lines[1:] if ": " in line}
        length = int(headers.get("content-length", 0))
        body = b"" if head_only else await self.reader.readexactly(length)
        return Answer(int(lines[0].split(" ")[1]), names, body)

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        lines = [f"{method} {path} HTTP/1.1", "Host: receiver"]
        sent = {k.lower() for k in headers or {}}
        if body is not None and not {"content-length", "transfer-encoding"} & sent:
            lines.append(f"Content-Length: {len(body)}")
        lines += [f"{key}: {value}" for key, value in (headers or {}).items()]
        await self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b""))
        return await self.answer(head_only=method == "HEAD")

    async def at_end(self) -> bool:
        """Whether the other side has closed; waits for it."""
        try:
            return await self.reader.read(1) == b""
        except ConnectionError:
            return True

    async def close(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


@dataclass
class LiveFlow:
    """The flow in force, set by the tests."""

    program: Program
    not_ready: str = ""


@dataclass
class Receiver:
    store: Store
    live: LiveFlow
    credentials: Credentials
    environment: Environment
    ingest: Ingest
    front: Front
    log: io.StringIO
    clock: list[float]
    objects: dict[Identity, Integration] = field(default_factory=dict)

    @classmethod
    async def start(
        cls,
        folder: Path,
        objects: tuple[Any, ...],
        *,
        settings: Settings | None = None,
        addresses: tuple[Address, ...] = (Address(host="127.0.0.1", port=0),),
        secrets: dict[tuple[str, str], str] | None = None,
        client: HttpClient | None = None,
    ) -> Self:
        folder.mkdir()
        log = io.StringIO()
        telemetry = Telemetry.create(stream=log, level="debug", process_metrics=False)
        store = await Store.open(f"sqlite:///{folder}/tocsin.db", keys=KEYS)
        clock: list[float] = [0.0]
        environment = Environment.create(
            telemetry, settings or Settings(), seconds=lambda: time.monotonic() + clock[0]
        )
        live = LiveFlow(link(EMPTY_FLOW, types=load_types()))
        held = Credentials(store, environment)
        ingest = Ingest(store, live, held, environment, client)
        front = Front(addresses, ingest=ingest, not_ready=lambda: live.not_ready, environment=environment)
        made = cls(store, live, held, environment, ingest, front, log, clock)
        for (name, key), value in (secrets or {}).items():
            await made.put_secret(name, key, value)
        await made.declare(*objects)
        await front.start()
        return made

    async def stop(self) -> None:
        await self.front.close()
        await self.store.close()

    @property
    def port(self) -> int:
        return self.front.listeners[0].port

    async def declare(self, *objects: Any) -> None:
        """Compiles, publishes and loads these objects beside those that are there; each gets its token."""
        for one in objects:
            self.objects[identity(one.metadata.name)] = one
        for one in self.objects:
            await self.put_token(one.name, token_of(one.name))
        await self.publish()

    async def put_token(self, name: str, token: str, *, overlap: int = 0, ago: int = 0) -> None:
        """`overlap` and `ago` (when it was given) in microseconds. The receiver is not told."""
        given = credentials.GivenToken(integration=identity(name), token=token, overlap=overlap)
        now = Micros(self.environment.now() - ago)
        await self.store.write(lambda c: credentials.put_token(c, KEYS, given, now))

    async def publish(self) -> None:
        inventory = Inventory.of(self.objects.values(), secrets_known=False)
        compiled = compile_flow(inventory, types=load_types(), now=self.environment.now())
        await self.store.write(lambda c: revisions.publish(c, compiled.flow, 1))
        program = link(compiled.flow, types=load_types(), previous=self.live.program)
        await self.credentials.refresh(program)
        self.live.program = program

    async def delete(self, name: str, *, until: int) -> None:
        del self.objects[identity(name)]
        await self.store.write(lambda c: credentials.entomb(c, identity(name), until))
        await self.publish()

    async def put_secret(self, name: str, key: str, value: str) -> None:
        now = self.environment.now()
        await self.store.write(
            lambda c: credentials.put_secret(c, KEYS, ("default", name, key), (value, value.encode()), now)
        )
        await self.credentials.refresh()

    def url(self, name: str, suffix: str = "") -> str:
        kind = self.objects[identity(name)].spec.type
        return f"/integrations/v1/{kind}/{token_of(name)}/{suffix}"

    async def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One exchange on a connection of its own."""
        wire = await Wire.open(self.port)
        try:
            return await wire.request(method, path, body, headers)
        finally:
            await wire.close()

    async def post(self, name: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
        """Bytes are sent as they are, anything else as JSON."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.request("POST", self.url(name), data, headers)

    async def alerts(self) -> int:
        return int(await self.store.read(lambda c: c.scalar(select(func.count()).select_from(alert))))

    async def groups(self) -> int:
        return int(await self.store.read(lambda c: c.scalar(select(func.count()).select_from(alert_group))))

    async def payloads(self) -> list[Any]:
        """Of all alerts, in order of arrival."""
        from tocsin.store import alerts

        def load(connection: Any) -> list[Any]:
            numbers = connection.scalars(select(alert.c.id).order_by(alert.c.id)).all()
            found = [alerts.payload_of(connection, number) for number in numbers]
            return [None if one is None else json.loads(one) for one in found]

        return await self.store.read(load)

    async def outcomes(self) -> list[Any]:
        from tocsin.store import alerts

        def load(connection: Any) -> list[Any]:
            numbers = connection.scalars(select(alert.c.id).order_by(alert.c.id)).all()
            return [alerts.get(connection, number).outcome for number in numbers]

        return await self.store.read(load)

    async def dead_letters(self) -> list[tuple[str, bytes]]:
        """Reason and body of each, oldest first."""

        def load(connection: Any) -> list[tuple[str, bytes]]:
            letters = deadletters.list_letters(connection).items
            return [(one.reason, deadletters.body_of(connection, one.id) or b"") for one in reversed(letters)]

        return await self.store.read(load)

    def metric(self, name: str, **labels: str) -> float:
        return self.environment.telemetry.registry.get_sample_value(name, labels) or 0.0
