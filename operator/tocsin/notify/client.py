"""The one HTTP client for everything that leaves this process: guarded addresses, no redirects, bounded time and size."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

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
from tocsin.notify.guard import REFUSAL, AddressRefused, Guard, Hosts

_CHUNK = 16_384
_USER_AGENT = f"Tocsin/{__version__}"


class Cause(Enum):
    """Why there is no usable answer: in time, because the guard forbids the address, because of the URL, or otherwise."""

    TIMEOUT = auto()
    REFUSED = auto()
    URL = auto()
    OTHER = auto()


class FetchFailed(Exception):
    """No usable answer. The message names the host and what happened, never path or query: they may hold credentials.

    `status` is that of an answer other than 2xx, 0 where there was none.
    """

    def __init__(self, host: str, reason: str, *, status: int = 0, cause: Cause = Cause.OTHER) -> None:
        super().__init__(f"{host or 'the URL'}: {reason}")
        self.status = status
        self.cause = cause


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Whatever came back. Names of `headers` are in lower case; `body` is cut at the size limit (`truncated`)."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    truncated: bool = False

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """How requests leave. `allowed`: hosts, addresses and networks beyond the public internet (`Guard`).

    `trust` replaces the certificate authorities of the system, `resolver` the system's DNS. `timeout` in seconds covers
    a whole exchange, `connect_timeout` name lookup and connection; `size_limit` is that of an answer's body in bytes.

    `proxy`: URL of an HTTP proxy that requests go through, except those to hosts that `allowed` names and to those of
    `no_proxy`: names (`.example.com` with everything below), addresses and networks. The environment is never read.
    """

    allowed: tuple[str, ...] = ()
    trust: ssl.SSLContext | None = None
    resolver: AbstractResolver | None = None
    timeout: float = 10.0
    connect_timeout: float = 5.0
    size_limit: int = 65_536
    schemes: frozenset[str] = field(default=frozenset({"https", "http"}))
    proxy: str = field(default="", repr=False)
    no_proxy: tuple[str, ...] = ()


class HttpClient:
    """Sends requests until `close`, after which the next one opens it again. One per process and event loop."""

    def __init__(self, outgoing: Outgoing | None = None) -> None:
        """Raises ValueError if `outgoing.proxy` or an entry of `allowed` or `no_proxy` cannot be read."""
        self._outgoing = outgoing or Outgoing()
        self._guard = Guard(self._outgoing.allowed)
        self._direct = Hosts(self._outgoing.no_proxy)
        if self._outgoing.proxy and URL(self._outgoing.proxy).scheme not in {"http", "https"}:
            raise ValueError("the proxy is no URL such as http://proxy.example:3128")
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
        answer = await self._ask(method, parsed, body, headers, limit=self._outgoing.size_limit)
        if not answer.ok:
            raise FetchFailed(host, f"answered {answer.status}", status=answer.status)
        if answer.truncated:
            raise FetchFailed(host, f"its answer is larger than {self._outgoing.size_limit} bytes")
        return answer.body

    async def exchange(  # noqa: PLR0913 - what is asked, and how much is waited for and read
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 -- narrows the client's own limit, which aiohttp enforces
        size_limit: int = 0,
    ) -> Answer:
        """Whatever is answered, once: retries are the caller's. `timeout` in seconds can only shorten the client's.
        `size_limit` in bytes: instead of the client's.

        Raises FetchFailed where nothing usable came back.
        """
        parsed = _parsed(url, self._outgoing.schemes)
        limit = size_limit or self._outgoing.size_limit
        try:
            async with asyncio.timeout(timeout):
                return await self._ask(method, parsed, body, headers, limit=limit)
        except TimeoutError:
            raise FetchFailed(parsed.raw_host or "", "no answer in time", cause=Cause.TIMEOUT) from None

    async def _ask(
        self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str] | None, *, limit: int
    ) -> Answer:
        host = url.raw_host or ""
        session, proxy = self._way_to(host)
        try:
            async with session.request(
                method, url, data=body, headers=headers, allow_redirects=False, proxy=proxy
            ) as response:
                return await _read(response, limit)
        except TimeoutError:
            raise FetchFailed(host, "no answer in time", cause=Cause.TIMEOUT) from None
        except (ClientError, OSError, ValueError) as error:
            cause = Cause.REFUSED if _is_refused(error) else Cause.OTHER
            raise FetchFailed(host, _reason(error), cause=cause) from error

    async def close(self) -> None:
        """Ends all connections."""
        sessions, self._sessions = self._sessions, {}
        await asyncio.gather(*(session.close() for session in sessions.values()))

    def _way_to(self, host: str) -> tuple[ClientSession, str | None]:
        """Connections to the proxy are the operator's own wish; what an address in the URL says is judged all the same.

        Which address the proxy finds for a name is out of sight: it is then the proxy that must guard.
        """
        outgoing = self._outgoing
        trusted = self._guard.trusts(host)
        if not outgoing.proxy or trusted or self._direct.covers(host):
            return self._session(trusted=trusted), None
        reason = self._guard.refusal(host) if _is_address(host) else ""
        if reason:
            raise FetchFailed(host, f"{REFUSAL}: {reason}", cause=Cause.REFUSED)
        return self._session(trusted=True), outgoing.proxy

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


async def _read(response: ClientResponse, limit: int) -> Answer:
    pieces: list[bytes] = []
    held = 0
    async for piece in response.content.iter_chunked(_CHUNK):
        held += len(piece)
        pieces.append(piece)
        if held > limit:
            response.close()
            break
    headers = {name.lower(): value for name, value in response.headers.items()}
    return Answer(
        status=response.status,
        headers=headers,
        body=b"".join(pieces)[:limit],
        truncated=held > limit,
    )


def _parsed(url: str, schemes: frozenset[str]) -> URL:
    """The URL as aiohttp will read it, so that host and scheme are judged in no other reading."""
    try:
        parsed = URL(url)
        host = parsed.raw_host
    except (ValueError, TypeError):
        raise FetchFailed("", "it cannot be read", cause=Cause.URL) from None
    if not host:
        raise FetchFailed("", "it names no host", cause=Cause.URL)
    if parsed.scheme not in schemes:
        raise FetchFailed(host, f"only {' and '.join(sorted(schemes))} may be asked", cause=Cause.URL)
    return parsed


def _is_address(host: str) -> bool:
    """Also in the spellings (127.1, 0x7f000001) that a proxy would take for one."""
    last = host.rstrip(".").rpartition(".")[2]
    return ":" in host or last.isdigit() or last.lower().startswith("0x")


def _is_refused(error: BaseException) -> bool:
    """Whether the guard made no socket; with several addresses the reasons are gathered in the words of one OSError."""
    cause = getattr(error, "os_error", None) or error
    return isinstance(cause, AddressRefused) or REFUSAL in str(cause)


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
