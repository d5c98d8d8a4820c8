"""The REST API. `build_api` is all that a process needs; `docs/api.md` describes what it answers."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from tocsin.console.api.application import PREFIX, api_application, standalone
from tocsin.console.api.context import Context, Live, nobody_counts
from tocsin.console.api.guard import ApiToken, Guard, Scope, parse_tokens
from tocsin.console.metrics import StoreMetrics
from tocsin.notify.client import HttpClient
from tocsin.store.database import Store
from tocsin.telemetry import Telemetry

__all__ = [
    "PREFIX",
    "ApiToken",
    "Context",
    "Guard",
    "Scope",
    "api_application",
    "build_api",
    "parse_tokens",
    "standalone",
]


def build_api(  # noqa: PLR0913 - one keyword per part of the process
    store: Store,
    live: Live,
    telemetry: Telemetry,
    *,
    tokens: tuple[ApiToken, ...] = (),
    listen: tuple[str, ...] = (),
    findings: Callable[[], int | None] = nobody_counts,
    email_domain: str = "",
    http: HttpClient | None = None,
) -> web.Application:
    """The API of one address, and what chats answer to. `listen` are the hosts that it is served on: without tokens that decides whether anybody
    is let in (see `guard`). The first one built for a telemetry also registers the metrics that come from the store.
    """
    guard = Guard(tokens=tokens, listen=listen)
    context = Context(
        store=store,
        live=live,
        telemetry=telemetry,
        guard=guard,
        findings=findings,
        email_domain=email_domain,
        http=http,
    )
    app = standalone(context)
    metrics = StoreMetrics(store, live)
    if metrics.register(telemetry.registry):
        app.cleanup_ctx.append(metrics.refreshing)
    return app
