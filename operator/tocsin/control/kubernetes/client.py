"""A thin client of the API server: one session, JSON in and out, errors that say what kind they are."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import kopf
import orjson

from tocsin import __version__
from tocsin.control.kubernetes.login import Login, LoginFailed
from tocsin.control.kubernetes.resources import Resource

Object = dict[str, Any]
"""An object as the API server gives it. It leaves this package as a typed one only."""

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/strategic-merge-patch+json"

PAGE = 250
"""How many objects are asked for at once."""

_TIMEOUT = aiohttp.ClientTimeout(total=30, sock_connect=10)
_LOGIN_AGAIN = 60.0
"""Seconds after which the credentials are read again: tokens of service accounts live for an hour."""


class ApiError(Exception):
    """The API server refused, or could not be asked (`status` 0). The message is one line without secrets."""

    def __init__(self, status: int, reason: str, message: str, *, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.retry_after = retry_after

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later without anybody's doing."""
        return self.status in {0, 429} or self.status >= 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A part of a list. `version` is the resource version of the whole list, equal on all its pages."""

    items: list[Object]
    version: str


class Api:
    """Requests to one API server. Use as a context, within one event loop."""

    def __init__(self, login: Login, *, seconds: Callable[[], float] = time.monotonic) -> None:
        self._login = login
        self._seconds = seconds
        self._info: kopf.ConnectionInfo | None = None
        self._session: aiohttp.ClientSession | None = None
        self._read_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """Raises ApiError, as all methods do."""
        return await self._request("GET", path, query=query)

    async def create(self, path: str, body: Object) -> Object:
        return await self._request("POST", path, body=body)

    async def replace(self, path: str, body: Object) -> Object:
        return await self._request("PUT", path, body=body)

    async def apply(self, path: str, body: Object, *, manager: str) -> Object:
        """Server-side apply; takes over the fields that another manager holds."""
        query = {"fieldManager": manager, "force": "true"}
        return await self._request("PATCH", path, query=query, body=body, media_type=APPLY)

    async def merge(self, path: str, body: Object) -> Object:
        """Changes what the body names and leaves everything else; entries of named lists are found by their name."""
        return await self._request("PATCH", path, body=body, media_type=MERGE)

    async def pages(self, resource: Resource, namespace: str | None) -> AsyncIterator[Page]:
        """The objects of a resource, a page at a time, all of one moment.

        A list that takes so long that the server forgets that moment raises ApiError with status 410.
        """
        query = {"limit": str(PAGE)}
        if resource.selector:
            query["labelSelector"] = resource.selector
        while True:
            answer = await self.get(resource.path(namespace), query)
            metadata = answer.get("metadata") or {}
            yield Page(items=answer.get("items") or [], version=str(metadata.get("resourceVersion") or ""))
            following = metadata.get("continue")
            if not following:
                return
            query["continue"] = following

    async def _request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Object | None = None,
        media_type: str = JSON,
    ) -> Object:
        try:
            return await self._once(method, path, query, body, media_type)
        except ApiError as error:
            if error.status != 401:
                raise
        # The token may have been renewed since it was read.
        self._read_at = float("-inf")
        return await self._once(method, path, query, body, media_type)

    async def _once(
        self, method: str, path: str, query: Mapping[str, str] | None, body: Object | None, media_type: str
    ) -> Object:
        session, server = await self._connected()
        data = None if body is None else orjson.dumps(body)
        headers = {"Accept": JSON} | ({} if data is None else {"Content-Type": media_type})
        try:
            async with session.request(
                method, server + path, params=query, data=data, headers=headers
            ) as response:
                answer = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiError(
                0, "Unreachable", f"the API server cannot be reached ({type(error).__name__})"
            ) from error
        if response.status >= 400:
            raise _refusal(response, answer, f"{method} {path}")
        return _decoded(answer)

    async def _connected(self) -> tuple[aiohttp.ClientSession, str]:
        """The session for the credentials as they are now."""
        now = self._seconds()
        if self._session is None or self._info is None or now - self._read_at > _LOGIN_AGAIN:
            try:
                info = await asyncio.to_thread(self._login)
            except LoginFailed as failed:
                raise ApiError(0, "LoginFailed", str(failed)) from None
            if self._session is None or info != self._info:
                await self.close()
                self._session = open_session(info)
            self._info, self._read_at = info, now
        return self._session, self._info.server.rstrip("/")


def open_session(
    info: kopf.ConnectionInfo,
    *,
    timeout: aiohttp.ClientTimeout = _TIMEOUT,
    traces: Sequence[aiohttp.TraceConfig] = (),
) -> aiohttp.ClientSession:
    """A session with these credentials, for the running loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=info.as_ssl_context(), limit=0),
        headers={**info.as_http_headers(), "User-Agent": f"tocsin/{__version__}"},
        timeout=timeout,
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        trace_configs=list(traces),
    )


def _decoded(answer: bytes) -> Object:
    try:
        value = orjson.loads(answer)
    except orjson.JSONDecodeError:
        raise ApiError(0, "NoJson", "what answers at the API server's address is no Kubernetes API") from None
    return value if isinstance(value, dict) else {}


def _refusal(response: aiohttp.ClientResponse, answer: bytes, what: str) -> ApiError:
    """The error that a Status object describes; other bodies (of proxies) are not repeated."""
    try:
        status = orjson.loads(answer)
    except orjson.JSONDecodeError:
        status = {}
    if not isinstance(status, dict):
        status = {}
    given = response.headers.get("Retry-After") or (status.get("details") or {}).get("retryAfterSeconds")
    try:
        wait = float(given or 0)
    except (TypeError, ValueError):
        wait = 0.0
    message = str(status.get("message") or f"{what} was answered {response.status}")
    return ApiError(
        response.status, str(status.get("reason") or response.reason or ""), message[:1000], retry_after=wait
    )
