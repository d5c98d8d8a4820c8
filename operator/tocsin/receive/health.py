"""Health and metrics: what probes and scrapers ask."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from tocsin.problems import Problem, method_not_allowed
from tocsin.receive import auth
from tocsin.receive.answers import TEXT, Answer, refused
from tocsin.telemetry import Telemetry

HEALTHY = frozenset({"/-/healthy", "/healthz"})
READY = frozenset({"/-/ready", "/readyz"})
METRICS = "/metrics"
_READING = ("GET", "HEAD")


class Health:
    """`not_ready` says in words why this process should get no traffic, or ""."""

    def __init__(
        self, telemetry: Telemetry, not_ready: Callable[[], str], *, metrics_bearer: str = ""
    ) -> None:
        self._telemetry = telemetry
        self._not_ready = not_ready
        self._bearer = metrics_bearer

    def knows(self, path: str, *, metrics: bool) -> bool:
        """Whether `answer` has something to say; `path` is without a trailing slash."""
        return path in HEALTHY or path in READY or (metrics and path == METRICS)

    def answer(self, path: str, request: web.BaseRequest, *, metrics: bool) -> Answer | None:
        """The answer, or None where the path is none of these."""
        path = path.rstrip("/")
        if not self.knows(path, metrics=metrics):
            return None
        if request.method not in _READING:
            return refused(method_not_allowed(request.method, _READING))
        if path in HEALTHY:
            return Answer(b"healthy\n", content_type=TEXT)
        return self._ready() if path in READY else self._metrics(request)

    def _ready(self) -> Answer:
        reason = self._not_ready()
        if reason:
            return Answer(f"not ready: {reason}\n".encode(), status=503, content_type=TEXT)
        return Answer(b"ready\n", content_type=TEXT)

    def _metrics(self, request: web.BaseRequest) -> Answer:
        if self._bearer and not auth.bearer_matches(request.headers.get("Authorization", ""), self._bearer):
            return refused(
                Problem(
                    status=401,
                    kind="not-authenticated",
                    detail="metrics need a bearer token",
                    field="header Authorization",
                    action="send the token that this receiver was started with",
                    headers=(("WWW-Authenticate", f'Bearer realm="{auth.REALM}"'),),
                )
            )
        page, content_type = self._telemetry.exposition(request.headers.get("Accept", ""))
        return Answer(page, content_type=content_type)
