"""One address: its socket, its certificate, and which services answer there.

Alert URLs go straight to the receiver, before any router; health and metrics come next, then another aiohttp application
(the console's) if there is one.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Any

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage

from tocsin.problems import not_found
from tocsin.receive.answers import Answer, refused
from tocsin.receive.connection import Connection, Delivery, Server, is_delivery
from tocsin.receive.environment import Environment
from tocsin.receive.health import Health
from tocsin.receive.ingest import Ingest
from tocsin.receive.tls import Certificate

_BACKLOG = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where to listen and what to answer there. Port 0 takes a free one."""

    host: str
    port: int
    tls: Certificate | None = None
    ingest: bool = True
    health: bool = True
    metrics: bool = True
    app: web.Application | None = None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the addresses of one process have in common."""

    health: Health
    environment: Environment
    ingest: Ingest | None = None


class Listener:
    """Serves one address from `start` to `close`."""

    def __init__(self, address: Address, services: Services) -> None:
        self.address = address
        self._services = services
        self._ingest = services.ingest if address.ingest else None
        self._runner: web.AppRunner | None = None
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Server | None = None
        self._fingerprint = b""
        self._watch: asyncio.Task[None] | None = None
        self._server: Server | None = None

    @property
    def port(self) -> int:
        """The port in use, also where 0 was asked for."""
        assert self._socket is not None
        return int(self._socket.getsockname()[1])

    async def start(self) -> None:
        """Raises OSError if the address cannot be taken or the certificate cannot be used."""
        if self.address.app is not None:
            self._runner = web.AppRunner(self.address.app, access_log=None, handle_signals=False)
            await self._runner.setup()
        self._server = Server(
            self._handle,
            self._make_request,
            None if self._ingest is None else self._ingest.handle,
            self._services.environment,
        )
        self._socket = _listen(self.address)
        await self._accept()
        self._watch = asyncio.create_task(self._server.watch(), name=f"watch {self.address}")

    async def reload_tls(self) -> bool:
        """Uses changed certificate files for new connections; True if there was a change. A broken pair changes nothing."""
        tls = self.address.tls
        if tls is None or self._accepting is None:
            return False
        environment = self._services.environment
        try:
            if await asyncio.to_thread(tls.fingerprint) == self._fingerprint:
                return False
            before = self._accepting
            await self._accept()
        except OSError as error:
            environment.tallies.tls_reloads["failed"] += 1
            environment.telemetry.log.error(  # noqa: TRY400 -- the cause is said in words
                "certificate not reloaded, the old one stays in use",
                address=str(self.address),
                error=str(error),
            )
            return False
        before.close()
        environment.tallies.tls_reloads["done"] += 1
        environment.telemetry.log.info("certificate reloaded", address=str(self.address))
        return True

    def announce_drain(self) -> None:
        """From now on every answer ends its connection."""
        if self._server is not None:
            self._server.draining = True

    async def stop_accepting(self) -> None:
        if self._accepting is not None:
            self._accepting.close()
            self._accepting = None
        if self._socket is not None:
            self._socket.close()
        if self._runner is not None:
            await self._runner.shutdown()

    def close_idle(self) -> int:
        """Ends connections without a request; the number of those that still have one."""
        busy = 0
        for connection in [] if self._server is None else self._server.connections:
            assert isinstance(connection, Connection)
            if connection.is_idle:
                connection.force_close()
            else:
                busy += 1
        return busy

    async def close(self) -> None:
        """Ends everything, requests in flight too."""
        await self.stop_accepting()
        if self._server is not None:
            await self._server.shutdown(0.1)
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def _accept(self) -> None:
        """Accepts on a copy of the listening socket, so that connections queue through a change of the certificate."""
        assert self._socket is not None
        assert self._server is not None
        options: dict[str, Any] = {}
        if self.address.tls is not None:
            fingerprint = await asyncio.to_thread(self.address.tls.fingerprint)
            options["ssl"] = await asyncio.to_thread(self.address.tls.context)
            options["ssl_handshake_timeout"] = self._services.environment.settings.header_timeout
            self._fingerprint = fingerprint
        self._accepting = await asyncio.get_running_loop().create_server(
            self._server, sock=self._socket.dup(), backlog=_BACKLOG, **options
        )

    def _make_request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: Connection,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        if self._ingest is not None and is_delivery(message):
            return Delivery(message, payload, protocol)
        if self._runner is not None and self._runner.server is not None and not self._is_probe(message.path):
            return self._runner.server.request_factory(message, payload, protocol, writer, task)
        return web.BaseRequest(message, payload, protocol, writer, task, asyncio.get_running_loop())

    def _handle(self, request: web.BaseRequest) -> Awaitable[Any]:
        if type(request) is Delivery:
            assert self._ingest is not None
            return self._ingest.handle(request)
        if isinstance(request, web.Request):
            assert self._runner is not None
            assert self._runner.server is not None
            return self._runner.server.request_handler(request)
        return self._probe(request)

    def _is_probe(self, target: str) -> bool:
        path = target.partition("?")[0].rstrip("/")
        return self.address.health and self._services.health.knows(path, metrics=self.address.metrics)

    async def _probe(self, request: web.BaseRequest) -> Answer:
        if self.address.health:
            answer = self._services.health.answer(request.path, request, metrics=self.address.metrics)
            if answer is not None:
                return answer
        return refused(not_found("nothing is answered at this URL"), keep_alive=request.content.is_eof())


def _listen(address: Address) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    found = socket.getaddrinfo(
        address.host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE, family=0
    )
    chosen = next((entry for entry in found if entry[0] == family), found[0])
    listening = socket.socket(chosen[0], socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.setblocking(False)  # noqa: FBT003 -- the socket's own signature
        listening.bind(chosen[4])
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening
