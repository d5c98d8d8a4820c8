"""Connections: aiohttp's HTTP/1 protocol with limits that slow or greedy senders cannot get around.

Deadlines cost nothing per request: one sweep a second looks at every connection.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeGuard, cast

from aiohttp import StreamReader, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from tocsin.problems import Problem, malformed, unavailable
from tocsin.receive.answers import Answer, refused
from tocsin.receive.environment import Environment
from tocsin.receive.settings import Settings

SWEEP = 1.0
"""Seconds between two looks at all connections."""

LINGER = 5.0
"""Seconds that the rest of a refused body is waited for."""

Handler = Callable[[web.BaseRequest], Awaitable[Any]]
RequestFactory = Callable[
    [RawRequestMessage, StreamReader, "Connection", AbstractStreamWriter, "asyncio.Task[None]"],
    web.BaseRequest,
]


class SlowBody(Exception):
    """The body was not there in time."""


class Delivery(web.BaseRequest):
    """A request to an alert or heartbeat URL: aiohttp's request with only those fields that this path reads."""

    def __init__(self, message: RawRequestMessage, payload: StreamReader, connection: Connection) -> None:
        self._message = message
        self._payload = payload
        self._protocol = connection
        self._headers = message.headers
        self._method = message.method
        self._version = message.version
        self._rel_url = message.url
        self._cache = {}
        self._state = {}


Deliver = Callable[[Delivery], Awaitable[Answer]]
_PLAIN = "/integrations/v1/"
_DELIVERY = re.compile(r"(?:https?://[^/]*)?/+(?:integrations/+v1/|v1/+namespaces/)")


def is_delivery(message: object) -> TypeGuard[RawRequestMessage]:
    """Whether a parsed message is a request to an alert or heartbeat URL. Broken requests are none."""
    if not isinstance(message, RawRequestMessage):
        return False
    path = message.path
    return path.startswith(_PLAIN) or _DELIVERY.match(path) is not None


class Connection(RequestHandler):
    """One connection of a sender. `body` is the stream that is being read now, since `body_since` (loop time)."""

    __slots__ = ("body", "body_since", "opened_at", "server")

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(server, **options)
        self.server = server
        self.opened_at = 0.0
        self.body_since = 0.0
        self.body: StreamReader | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self.server.admit():
            cast("asyncio.Transport", transport).write(_FULL)
            transport.close()
            return
        self.opened_at = self._loop.time()
        super().connection_made(transport)

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002 -- aiohttp's signature
        """Aiohttp calls this after every read; there is only something to do if reading was paused."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    async def start(self) -> None:
        """Aiohttp's loop without its task, writer and response object per request, for deliveries only.

        The first request that is none hands the connection over to aiohttp's own loop for the rest of its life.
        """
        server = self.server
        keepalive = server.environment.settings.keepalive_timeout
        while not self._force_close:
            if not self._messages:
                self._waiter = self._loop.create_future()
                try:
                    await self._waiter
                finally:
                    self._waiter = None
            message, payload = self._messages[0]
            if server.deliver is None or self._upgraded or not is_delivery(message):
                return await super().start()
            self._consume()
            server.requests_count += 1
            goes_on = await self._deliver(server.deliver, Delivery(message, payload, self))
            if not payload.is_eof():
                await _linger(payload)
                break
            if not goes_on or self._close:
                break
            self._next_keepalive_close_time = until = self._loop.time() + keepalive
            if self._keepalive_handle is None:
                self._keepalive_handle = self._loop.call_at(until, self._process_keepalive)
        if not self._force_close:
            self._task_handler = None
            if self.transport is not None:
                self.transport.close()
        return None

    def _consume(self) -> None:
        """Takes the first message off the queue and lets the parser go on."""
        self._messages.popleft()
        if self._parser is not None:
            self._parser.message_consumed()
        if self._buffer_paused and len(self._messages) <= self._msg_queue_resume_size:
            self._resume_reading_if_drained()

    async def _deliver(self, deliver: Deliver, request: Delivery) -> bool:
        """Answers one delivery; whether the connection can take another one."""
        self._current_request = request
        self._request_in_progress = True
        try:
            answer = await deliver(request)
            return answer.write(request, self)
        except BaseException:
            self.force_close()
            raise
        finally:
            self._current_request = None
            self._request_in_progress = False
            if self._handler_waiter is not None:
                self._handler_waiter.set_result(None)

    @property
    def is_idle(self) -> bool:
        """Whether no request is being handled or waits to be."""
        return self._waiter is not None and not self._messages

    @property
    def is_silent(self) -> bool:
        """Whether no complete request head has arrived yet."""
        return self._request_count == 0

    def close_slow(self, now: float, settings: Settings) -> str:
        """Ends what has taken too long; the reason, or "" if all is well."""
        if self._request_count == 0 and now - self.opened_at > settings.header_timeout:
            self.force_close()
            return "header-timeout"
        if self.body is not None and now - self.body_since > settings.body_timeout:
            self.body.set_exception(SlowBody())
            self.body = None
            return "body-timeout"
        return ""

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 -- aiohttp's signature
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """A problem instead of aiohttp's pages. Only what is our own fault is logged with its traceback."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            self.server.environment.telemetry.log.error("request failed", exc_info=exc)
            problem = Problem(
                status=500,
                kind="internal-error",
                detail="the request failed inside Tocsin; its log says why",
                action="send it again; report the log entry if it happens again",
            )
        elif isinstance(exc, LineTooLong):
            problem = Problem(
                status=431,
                kind="headers-too-large",
                detail="the request line or a header is too long",
                action=f"keep each below {self.server.environment.settings.header_line_limit} bytes",
            )
        else:
            problem = malformed("not a valid HTTP request", field="request")
        return cast("web.StreamResponse", refused(problem, keep_alive=False))

    def log_exception(self, *args: Any, **kw: Any) -> None:
        self.server.environment.telemetry.log.error(
            str(args[0]) if args else "connection failed", exc_info=kw.get("exc_info", True)
        )


async def _linger(payload: StreamReader) -> None:
    """Reads and drops what is left of a refused body for a while, so that the sender gets to see the answer."""
    with suppress(Exception):
        async with asyncio.timeout(LINGER):
            while not payload.is_eof():
                await payload.readany()


class Server(web.Server):
    """Makes the connections of one or more addresses and watches over them."""

    def __init__(
        self,
        handler: Handler,
        request_factory: RequestFactory,
        deliver: Deliver | None,
        environment: Environment,
    ) -> None:
        """`deliver` answers alert and heartbeat URLs, `handler` everything else."""
        settings = environment.settings
        super().__init__(
            cast("Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]", handler),
            request_factory=request_factory,  # type: ignore[arg-type]
            access_log=None,
            keepalive_timeout=settings.keepalive_timeout,
            max_line_size=settings.header_line_limit,
            max_field_size=settings.header_line_limit,
            max_headers=settings.header_count_limit,
            auto_decompress=False,
        )
        self.environment = environment
        self.deliver = deliver
        self.draining = False

    def __call__(self) -> Connection:
        return Connection(self, loop=self._loop, **self._kwargs)

    def connection_made(self, handler: RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        self.environment.tallies.connections += 1

    def connection_lost(self, handler: RequestHandler, exc: BaseException | None = None) -> None:
        if handler in self._connections:
            self.environment.tallies.connections -= 1
        super().connection_lost(handler, exc)

    def admit(self) -> bool:
        """Makes room for one more connection at the cost of one that has nothing to say, if need be."""
        if len(self._connections) < self.environment.settings.connections_limit:
            return True
        held = [cast("Connection", connection) for connection in self._connections]
        idle = next((c for c in held if c.is_silent), None) or next((c for c in held if c.is_idle), None)
        if idle is None:
            self.environment.tallies.connections_closed["refused"] += 1
            return False
        self.environment.tallies.connections_closed["evicted"] += 1
        idle.force_close()
        return True

    def sweep(self, now: float) -> None:
        """Ends connections that are slower than the settings allow. `now` is the loop's time."""
        for connection in list(self._connections):
            reason = cast("Connection", connection).close_slow(now, self.environment.settings)
            if reason:
                self.environment.tallies.connections_closed[reason] += 1

    async def watch(self) -> None:
        """Sweeps until cancelled."""
        while True:
            await asyncio.sleep(SWEEP)
            self.sweep(self._loop.time())


def _full() -> bytes:
    problem = unavailable("too-many-connections", "this receiver holds as many connections as it may")
    body = problem.body()
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 5\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )


_FULL = _full()
