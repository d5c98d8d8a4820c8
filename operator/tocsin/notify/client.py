"""The one HTTP client for everything that leaves this process: guarded addresses, no redirects, bounded time and size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from aiohttp import (
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    TCPConnector,
)
from aiohttp.abc import AbstractResolver
from yarl import URL

from tocsin import __version__
from tocsin.notify.guard import Guard

_CHUNK = 16_384
_USER_AGENT = f"Tocsin/{__version__}"


class FetchFailed(Exception):
    """No usable answer. The message names the host and what happened, never path or query: they may hold credentials.

    `status` is that of an answer other than 2xx, 0 where there was none.
    """

    def __init__(self, host: str, reason: str, *, status: int = 0) -> None:
        super().__init__(f"{host or 'the URL'}: {reason}")
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """How requests leave. `allowed`: hosts, addresses and networks beyond the public internet (`Guard`).

    `trust` replaces the certificate authorities of the system, `resolver` the system's DNS. `timeout` in seconds covers
    a whole exchange, `connect_timeout` name lookup and connection; `size_limit` is that of an answer's body in bytes.
    """

    allowed: tuple[str, ...] = ()
    trust: ssl.SSLContext | None = None
    resolver: AbstractResolver | None = None
    timeout: float = 10.0
    connect_timeout: float = 5.0
    size_limit: int = 65_536
    schemes: frozenset[str] = field(default=frozenset({"https", "http"}))


class HttpClient:
    """Sends requests until `close`, after which the next one opens it again. One per process and event loop."""

    def __init__(self, outgoing: Outgoing | None = None) -> None:
        """Raises ValueError if an entry of `outgoing.allowed` cannot be read."""
        self._outgoing = outgoing or Outgoing()
        self._guard = Guard(self._outgoing.allowed)
        self._sessions: dict[bool, ClientSession] = {}

    async def get(self, url: str, *, schemes: Iterable[str] = ()) -> bytes:
        """The body of a 2xx answer. `schemes` narrows those that are allowed. Raises FetchFailed."""
        return await self.send("GET", url, schemes=schemes)

    async def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        schemes: Iterable[str] = (),
    ) -> bytes:
        """The body of a 2xx answer. A redirect is an answer like any other that is not 2xx. Raises FetchFailed."""
        parsed = _parsed(url, self._outgoing.schemes & (frozenset(schemes) or self._outgoing.schemes))
        host = parsed.raw_host or ""
        session = self._session(trusted=self._guard.trusts(host))
        try:
            async with session.request(
                method, parsed, data=body, headers=headers, allow_redirects=False
            ) as response:
                return await self._read(host, response)
        except TimeoutError:
            raise FetchFailed(host, "no answer in time") from None
        except (ClientError, OSError, ValueError) as error:
            raise FetchFailed(host, _reason(error)) from error

    async def close(self) -> None:
        """Ends all connections."""
        sessions, self._sessions = self._sessions, {}
        await asyncio.gather(*(session.close() for session in sessions.values()))

    async def _read(self, host: str, response: ClientResponse) -> bytes:
        if not 200 <= response.status < 300:
            raise FetchFailed(host, f"answered {response.status}", status=response.status)
        limit = self._outgoing.size_limit
        pieces: list[bytes] = []
        held = 0
        async for piece in response.content.iter_chunked(_CHUNK):
            held += len(piece)
            if held > limit:
                response.close()
                raise FetchFailed(host, f"its answer is larger than {limit} bytes")
            pieces.append(piece)
        return b"".join(pieces)

    def _session(self, *, trusted: bool) -> ClientSession:
        """Hosts that are allowed by name have connections of their own, so that no other host gets one of those."""
        session = self._sessions.get(trusted)
        if session is None:
            session = self._sessions[trusted] = self._open(trusted=trusted)
        return session

    def _open(self, *, trusted: bool) -> ClientSession:
        outgoing = self._outgoing
        connector = TCPConnector(
            resolver=outgoing.resolver,
            use_dns_cache=False,
            ssl=outgoing.trust or True,
            socket_factory=None if trusted else self._guard.socket,
        )
        return ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=outgoing.timeout, connect=outgoing.connect_timeout),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            trust_env=False,
        )


def _parsed(url: str, schemes: frozenset[str]) -> URL:
    """The URL as aiohttp will read it, so that host and scheme are judged in no other reading."""
    try:
        parsed = URL(url)
        host = parsed.raw_host
    except (ValueError, TypeError):
        raise FetchFailed("", "it cannot be read") from None
    if not host:
        raise FetchFailed("", "it names no host")
    if parsed.scheme not in schemes:
        raise FetchFailed(host, f"only {' and '.join(sorted(schemes))} may be asked")
    return parsed


def _reason(error: BaseException) -> str:
    """What happened, in words without the URL."""
    cause = getattr(error, "os_error", None)
    if cause is not None:
        return str(cause.strerror or cause)
    if isinstance(error, ClientError | ValueError):
        return {
            "ClientConnectorCertificateError": "its certificate cannot be verified",
            "ServerDisconnectedError": "it closed the connection without an answer",
            "InvalidUrlClientError": "its URL cannot be read",
            "ClientPayloadError": "its answer broke off",
        }.get(type(error).__name__, type(error).__name__)
    return str(error)
