"""Refusals as `application/problem+json` (RFC 9457): what is wrong, where, and what to do about it.

One shape for the receiver, the API and the console. A problem never holds a credential, a token or a request path.
"""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from aiohttp import web

CONTENT_TYPE = "application/problem+json"
_BASE = "https://tocsin.dev/problems/"

Fact = str | int | bool


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal.

    `kind` is a stable slug, the last part of `type`, and the `reason` label of the refusal metric. `detail` says what is
    wrong, `field` where (`body`, `header Authorization`, `spec.rateLimit`), `action` what to do. `facts` become members of the
    JSON object beside them (`line`, `column`, `integration`). `headers` go into the answer, `retry_after` is in seconds.
    """

    status: int
    kind: str
    detail: str
    field: str = ""
    action: str = ""
    facts: tuple[tuple[str, Fact], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    retry_after: int = 0

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    def with_facts(self, **facts: Fact) -> Problem:
        """The same problem with more members in its JSON."""
        return msgspec.structs.replace(self, facts=(*self.facts, *facts.items()))

    def body(self) -> bytes:
        members: dict[str, Fact] = {
            "type": _BASE + self.kind,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.field:
            members["field"] = self.field
        if self.action:
            members["action"] = self.action
        members.update(self.facts)
        return msgspec.json.encode(members)

    def header_items(self) -> tuple[tuple[str, str], ...]:
        """Headers besides Content-Type and Content-Length."""
        if self.retry_after:
            return (*self.headers, ("Retry-After", str(self.retry_after)))
        return self.headers

    def response(self) -> web.Response:
        """The problem as an answer of an aiohttp application."""
        return web.Response(
            status=self.status,
            body=self.body(),
            content_type=CONTENT_TYPE,
            headers=list(self.header_items()),
        )


class ProblemError(Exception):
    """Carries a refusal to the edge that answers it."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


def malformed(detail: str, *, action: str = "", field: str = "body", **facts: Fact) -> Problem:
    """400: a body or header that can never succeed as it is."""
    return Problem(
        status=400,
        kind="malformed-body",
        detail=detail,
        field=field,
        action=action,
        facts=tuple(facts.items()),
    )


def not_found(detail: str, *, action: str = "") -> Problem:
    return Problem(status=404, kind="not-found", detail=detail, action=action)


def method_not_allowed(method: str, allowed: tuple[str, ...], *, detail: str = "") -> Problem:
    allow = ", ".join(allowed)
    return Problem(
        status=405,
        kind="method-not-allowed",
        detail=detail or f"{method} is not answered here",
        action=f"use {allow}",
        headers=(("Allow", allow),),
    )


def unavailable(kind: str, detail: str, *, retry_after: int = 5) -> Problem:
    """503: nothing is wrong with the request, the sender shall try again (Alertmanager retries 5xx only)."""
    return Problem(
        status=503,
        kind=kind,
        detail=detail,
        action=f"send it again in {retry_after} seconds",
        retry_after=retry_after,
    )
