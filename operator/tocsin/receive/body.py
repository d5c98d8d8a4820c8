"""Reading request bodies within the limits that all senders share."""

from __future__ import annotations

import asyncio

from aiohttp import web

from tocsin.problems import Problem, ProblemError, malformed, unavailable
from tocsin.receive.compression import decode, too_large
from tocsin.receive.connection import Connection, SlowBody
from tocsin.receive.environment import Environment

_IN_FLIGHT = unavailable("bodies-in-flight", "too many large bodies are being received")
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_STREAMED_SHARE = 7 / 8
"""Of the shared limit, what bodies may fill that arrive piece by piece; the rest is kept for those that are there at once."""


class Bodies:
    """Counts the bytes of all bodies in flight (`tallies.bodies_bytes`), so that many big ones cannot fill the memory."""

    __slots__ = ("_limit", "_settings", "_streamed_limit", "_tallies")

    def __init__(self, environment: Environment) -> None:
        settings = environment.settings
        self._settings = settings
        self._tallies = environment.tallies
        self._limit = settings.bodies_limit
        self._streamed_limit = int(settings.bodies_limit * _STREAMED_SHARE)

    def read_now(self, request: web.BaseRequest) -> bytes | None:
        """The body if all of it is there already. The bytes count until `release`; None: use `read`."""
        stream = request.content
        if not stream.is_eof():
            return None
        raw = stream.read_nowait()
        size = len(raw)
        if size > self._settings.body_limit:
            raise ProblemError(too_large(self._settings.body_limit))
        if self._tallies.bodies_bytes + size > self._limit:
            raise ProblemError(_IN_FLIGHT)
        self._tallies.bodies_bytes += size
        return raw

    async def read(self, request: web.BaseRequest) -> bytes:
        """The body, waited for. The bytes count until `release`. Raises ProblemError: 400, 408, 413 or 503."""
        connection = request.protocol
        assert isinstance(connection, Connection)
        self._refuse_announced(request)
        if request.headers.get("Expect", "").lower() == "100-continue" and connection.transport is not None:
            connection.transport.write(_CONTINUE)
        pieces: list[bytes] = []
        held = 0
        complete = False
        connection.body_since = asyncio.get_running_loop().time()
        connection.body = stream = request.content
        try:
            while piece := await stream.readany():
                self._hold(len(piece), self._streamed_limit)
                held += len(piece)
                if held > self._settings.body_limit:
                    raise ProblemError(too_large(self._settings.body_limit))
                pieces.append(piece)
            complete = True
        except ProblemError:
            raise
        except SlowBody:
            raise ProblemError(_too_slow(self._settings.body_timeout)) from None
        except Exception as error:  # whatever broke the stream, it is the sender's side
            raise ProblemError(malformed("the body broke off or its chunks are malformed")) from error
        finally:
            connection.body = None
            if not complete:
                self.release(held)
        return b"".join(pieces)

    def decoded(self, raw: bytes, encoding: str) -> bytes:
        """The body without its Content-Encoding; its size counts too, until `release`."""
        body = decode(raw, encoding, self._settings.body_limit)
        if body is not raw:
            self._hold(len(body), self._limit)
        return body

    def release(self, size: int) -> None:
        self._tallies.bodies_bytes -= size

    def _hold(self, size: int, limit: int) -> None:
        if self._tallies.bodies_bytes + size > limit:
            raise ProblemError(_IN_FLIGHT)
        self._tallies.bodies_bytes += size

    def _refuse_announced(self, request: web.BaseRequest) -> None:
        length = request.headers.get("Content-Length", "")
        if length.isdecimal() and int(length[:19]) > self._settings.body_limit:
            raise ProblemError(too_large(self._settings.body_limit))


def _too_slow(seconds: float) -> Problem:
    return Problem(
        status=408,
        kind="body-too-slow",
        detail=f"the body was not there after {seconds:g} seconds",
        action="send it again",
    )
