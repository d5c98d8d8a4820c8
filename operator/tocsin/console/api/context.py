"""What the handlers of the API share, and how they read requests and write answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import msgspec
from aiohttp import web

from tocsin.api.common import Identity
from tocsin.console.api.guard import Caller, Guard
from tocsin.console.api.throttle import Throttle
from tocsin.flow.groups import Actor, Via
from tocsin.flow.model import Micros
from tocsin.flow.program import IntegrationProgram, Program
from tocsin.notify.client import HttpClient
from tocsin.problems import Problem, ProblemError
from tocsin.receive.jsonbody import parse_json
from tocsin.store.database import Store
from tocsin.telemetry import Telemetry

Document = dict[str, Any]
"""A JSON object on its way out."""


class Live(Protocol):
    """The flow that this process shows."""

    @property
    def program(self) -> Program: ...
    @property
    def revision(self) -> int: ...


def system_now() -> Micros:
    return Micros(time.time_ns() // 1000)


def nobody_counts() -> int | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`findings` is the number of findings of the published flow, where this process knows it. `email_domain`: where mails
    to `<token>@<domain>` are alerts. `http`: for answers to people in chats; without it they get none.
    """

    store: Store
    live: Live
    telemetry: Telemetry
    guard: Guard
    throttle: Throttle = field(default_factory=Throttle)
    now: Callable[[], Micros] = system_now
    findings: Callable[[], int | None] = nobody_counts
    email_domain: str = ""
    http: HttpClient | None = None


CONTEXT = web.AppKey("tocsin_context", Context)
CALLER = web.RequestKey("tocsin_caller", Caller)

_encoder = msgspec.json.Encoder()


def context_of(request: web.Request) -> Context:
    return request.config_dict[CONTEXT]


def actor_of(request: web.Request) -> Actor:
    return Actor(name=request[CALLER].name, via=Via.API)


def answer(value: object, *, status: int = 200) -> web.Response:
    return web.Response(body=_encoder.encode(value), status=status, content_type="application/json")


def bad_request(detail: str, *, field: str = "", action: str = "") -> ProblemError:
    return ProblemError(Problem(status=400, kind="bad-request", detail=detail, field=field, action=action))


def missing(what: str) -> ProblemError:
    return ProblemError(Problem(status=404, kind="not-found", detail=f"there is no {what}"))


async def json_object(request: web.Request, *, known: frozenset[str]) -> Mapping[str, Any]:
    """The body as an object; an empty body is an empty one. Raises ProblemError, also for members that are not known."""
    body = await request.read()
    value: Any = parse_json(body)[0] if body.strip() else {}
    if not isinstance(value, dict):
        raise bad_request("the body has to be a JSON object", field="body")
    unknown = sorted(set(value) - known)
    if unknown:
        raise bad_request(
            f"unknown member {unknown[0]!r}",
            field=unknown[0],
            action=f"known: {', '.join(sorted(known)) or 'none'}",
        )
    return value


def check_query(request: web.Request, known: frozenset[str]) -> None:
    """A filter that is not known is refused: ignoring it would give an unfiltered list (not as alert-flow S-34)."""
    unknown = sorted(set(request.query) - known)
    if unknown:
        raise bad_request(
            f"unknown parameter {unknown[0]!r}", field=unknown[0], action=f"known: {', '.join(sorted(known))}"
        )


def integration_of(request: web.Request) -> IntegrationProgram:
    """The Integration that the path names. Raises ProblemError (404)."""
    namespace, name = request.match_info["namespace"], request.match_info["name"]
    found = context_of(request).live.program.integrations.get(Identity("Integration", namespace, name))
    if found is None:
        raise missing(f"Integration {namespace}/{name}")
    return found
