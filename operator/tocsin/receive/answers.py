"""Answers as ready bytes: what the fast path writes instead of aiohttp's response objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import msgspec
from aiohttp import web

from tocsin.flow.groups import State
from tocsin.problems import CONTENT_TYPE, Problem
from tocsin.store.arrivals import Stored

if TYPE_CHECKING:
    from tocsin.receive.connection import Connection

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"

_OK_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\nDate: %b\r\n%b\r\n"
_OK = 200
_HTTP_11 = (1, 1)
_encoder = msgspec.json.Encoder()


class Answer:
    """One response, and the Integration (`namespace/name`) that it is about. aiohttp's connection calls `prepare` and `write_eof`, and reads `keep_alive`."""

    __slots__ = ("body", "content_type", "headers", "integration", "keep_alive", "status")

    def __init__(
        self,
        body: bytes,
        *,
        status: int = 200,
        content_type: str = JSON,
        headers: Sequence[tuple[str, str]] = (),
        keep_alive: bool = True,
    ) -> None:
        self.status = status
        self.body = body
        self.content_type = content_type
        self.headers = headers
        self.keep_alive = keep_alive
        self.integration = ""

    @property
    def body_length(self) -> int:
        return len(self.body)

    def write(self, request: web.BaseRequest, connection: Connection) -> bool:
        """Writes the whole response at once; whether the connection can take another request."""
        transport = connection.transport
        if transport is None or transport.is_closing():
            return False
        server = connection.server
        keep_alive = self.keep_alive and request.keep_alive and not server.draining
        self.keep_alive = keep_alive
        ending = b"" if keep_alive and request.version >= _HTTP_11 else _ending(keep_alive=keep_alive)
        date = server.environment.http_clock.http_date()
        if self.status == _OK and not self.headers and self.content_type is JSON:
            head = _OK_HEAD % (len(self.body), date, ending)
        else:
            head = self._head(date, ending)
        transport.write(head if request.method == "HEAD" else head + self.body)
        return keep_alive

    async def prepare(self, request: web.BaseRequest) -> None:
        """Aiohttp's way to have a response written, for requests that are no deliveries."""
        connection = cast("Connection", request.protocol)
        if not self.write(request, connection) and connection.transport is None:
            raise ConnectionResetError("the sender is gone")

    async def write_eof(self) -> None:
        """Everything is written already."""

    def _head(self, date: bytes, ending: bytes) -> bytes:
        lines = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {self.content_type}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers),
        ]
        return "\r\n".join(lines).encode("latin-1") + b"\r\nDate: " + date + b"\r\n" + ending + b"\r\n"


def refused(problem: Problem, *, keep_alive: bool = True) -> Answer:
    return Answer(
        problem.body(),
        status=problem.status,
        content_type=CONTENT_TYPE,
        headers=problem.header_items(),
        keep_alive=keep_alive,
    )


def stored(results: Sequence[Stored], *, as_list: bool) -> Answer:
    """What became of the alerts of one body: an object, or a list of them where the body was a list."""
    if as_list:
        return Answer(_encoder.encode([_facts(result) for result in results]))
    return Answer(_encoder.encode(_facts(results[0])))


class _Facts(msgspec.Struct, frozen=True):
    """The answer's JSON for one alert."""

    alert_id: str
    alert_group_id: str
    number: int
    state: State
    route: str
    created: bool
    joined: bool
    duplicate: bool
    digested: bool


def _facts(result: Stored) -> _Facts:
    return _Facts(
        result.alert_id,
        result.alert_group_id,
        result.number,
        result.state,
        result.route,
        result.created,
        not (result.created or result.duplicate),
        result.duplicate,
        result.digested,
    )


def _ending(*, keep_alive: bool) -> bytes:
    return b"Connection: keep-alive\r\n" if keep_alive else b"Connection: close\r\n"


class HttpClock:
    """The Date header, formatted once a second. `nanoseconds` is the time since 1970."""

    __slots__ = ("_date", "_nanoseconds", "_second")

    def __init__(self, nanoseconds: Callable[[], int]) -> None:
        self._nanoseconds = nanoseconds
        self._second = -1
        self._date = b""

    def http_date(self) -> bytes:
        second = self._nanoseconds() // 1_000_000_000
        if second != self._second:
            self._second = second
            self._date = formatdate(second, usegmt=True).encode()
        return self._date
