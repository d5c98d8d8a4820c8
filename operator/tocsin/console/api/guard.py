"""Who may use the API: holders of a token, or a person at this very machine.

With tokens configured every request needs one. Without any, the API is served only while its own *listen* addresses
are loopback, and then only to requests that a foreign web page in a local browser cannot make: a local `Host`, no
foreign `Origin`, and a JSON media type on writes. The peer's address is never a credential: behind a proxy or a
port-forward it says nothing about who is asking.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from aiohttp import hdrs, web

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})
MINIMUM_TOKEN_LENGTH = 20
READING_METHODS = frozenset({"GET", "HEAD"})


class Scope(StrEnum):
    READ = "read"
    ACT = "act"
    """Changes alert groups, sends demo alerts, replays dead letters, resets heartbeats. Includes reading."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """A token as Tocsin keeps it: only its SHA-256. `name` is what the log shows as the actor."""

    name: str
    digest: bytes
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who makes a request. `name` goes into logs and into the log of alert groups."""

    name: str
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes


class Refused(Exception):
    """The request is not let in; the message says what would help and never quotes a credential."""

    def __init__(self, detail: str, *, status: int = 401) -> None:
        super().__init__(detail)
        self.status = status


LOCAL_CALLER = Caller(name="local", scopes=frozenset(Scope))


def parse_tokens(text: str) -> tuple[ApiToken, ...]:
    """Reads one token a line: `name scopes token`, for example `grafana read,act 4f9c...`; `#` starts a comment.

    Raises ValueError naming the line, never the token.
    """
    tokens: list[ApiToken] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 3:
            raise ValueError(f"API tokens, line {number}: expected `name scopes token`")
        name, scopes, token = words
        tokens.append(make_token(name, token, scopes.split(","), where=f"API tokens, line {number}"))
    if len({t.digest for t in tokens}) != len(tokens):
        raise ValueError("API tokens: the same token is given twice")
    return tuple(tokens)


def make_token(name: str, token: str, scopes: Iterable[str], *, where: str = "API token") -> ApiToken:
    """Raises ValueError on a short token or an unknown scope. `act` includes `read`."""
    if len(token) < MINIMUM_TOKEN_LENGTH:
        raise ValueError(f"{where}: {name} has fewer than {MINIMUM_TOKEN_LENGTH} characters")
    try:
        granted = frozenset(Scope(s) for s in scopes)
    except ValueError:
        raise ValueError(f"{where}: {name} has an unknown scope; known are read and act") from None
    if Scope.ACT in granted:
        granted |= {Scope.READ}
    return ApiToken(name=name, digest=hashlib.sha256(token.encode()).digest(), scopes=granted)


def is_loopback(address: str) -> bool:
    """True if a listen address (`127.0.0.1`, `::1`, `localhost`; no port) is reachable from this machine only."""
    if address.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


class Guard:
    """Decides on each request. `listen` are the addresses that the API itself listens on, as configured."""

    def __init__(self, *, tokens: tuple[ApiToken, ...] = (), listen: tuple[str, ...] = ()) -> None:
        self._tokens = tokens
        self._local = bool(listen) and all(is_loopback(a) for a in listen)

    def admit(self, request: web.BaseRequest) -> Caller:
        """Raises Refused where the caller is unknown. What the caller may do is the caller's `scopes`."""
        if self._tokens:
            return self._by_token(request)
        if not self._local:
            raise Refused(
                "This API needs a token: none is configured, and it does not listen on loopback only."
            )
        _require_local(request)
        return LOCAL_CALLER

    def _by_token(self, request: web.BaseRequest) -> Caller:
        given = request.headers.getall(hdrs.AUTHORIZATION, [])
        if len(given) != 1:
            raise Refused("Send one header `Authorization: Bearer <token>`.")
        digest = hashlib.sha256(_credential(given[0]).encode("utf-8", "surrogateescape")).digest()
        found: ApiToken | None = None
        for token in self._tokens:  # no early exit: the time must not tell which one matched
            if hmac.compare_digest(token.digest, digest):
                found = token
        if found is None:
            raise Refused("The token is not known here.")
        return Caller(name=found.name, scopes=found.scopes)


def _credential(header: str) -> str:
    """`Bearer <token>`, or the bare token as OnCall's API takes it (alert-flow R-API-1)."""
    scheme, _, rest = header.strip().partition(" ")
    if not rest:
        return scheme
    return rest.strip() if scheme.lower() == "bearer" else ""


def _require_local(request: web.BaseRequest) -> None:
    hosts = request.headers.getall(hdrs.HOST, [])
    if len(hosts) != 1 or not is_local_host(hosts[0]):
        raise Refused("Without an API token only localhost, 127.0.0.1 and [::1] are served as Host.")
    origins = request.headers.getall(hdrs.ORIGIN, [])
    if any(o.lower() not in (f"http://{hosts[0]}".lower(), f"https://{hosts[0]}".lower()) for o in origins):
        raise Refused("Without an API token no request of another web page (foreign Origin) is served.")
    if request.headers.get("Sec-Fetch-Site", "none").lower() not in ("none", "same-origin"):
        raise Refused("Without an API token no request of another web page (Sec-Fetch-Site) is served.")
    if request.method not in READING_METHODS and request.content_type != "application/json":
        raise Refused("Without an API token a write must carry `Content-Type: application/json`.")


def is_local_host(host: str) -> bool:
    """True for `localhost`, `127.0.0.1` and `[::1]` with any port or none."""
    name, separator, port = host.lower().rpartition(":")
    if separator and port.isascii() and port.isdigit():
        return name in LOCAL_HOSTS
    return host.lower() in LOCAL_HOSTS
