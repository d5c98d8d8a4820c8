"""What was sent, what could not be, and what outgoing webhooks did."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web
from sqlalchemy import Connection

from tocsin.api import ids
from tocsin.console.api.context import (
    Document,
    answer,
    bad_request,
    check_query,
    context_of,
    json_object,
    missing,
)
from tocsin.console.api.paging import parse_paging
from tocsin.console.api.shapes import moment
from tocsin.console.api.telling import delivery_document
from tocsin.store import deliveries, webhookruns
from tocsin.store.backend import disguise_of
from tocsin.store.deliveries import DeliveryState
from tocsin.store.webhookruns import WebhookRun

_STATES = {state.name.lower(): state for state in DeliveryState}


async def list_deliveries(request: web.Request) -> web.Response:
    """Latest first; `state` (repeatable), `group` (id), `channel` (namespace/name)."""
    check_query(request, frozenset({"state", "group", "channel", "perpage", "cursor"}))
    query, paging = request.query, parse_paging(request.query)
    states = tuple(_state(text) for text in query.getall("state", []))
    before = number_of_cursor(paging.cursor)

    def read(connection: Connection) -> tuple[list[Document], int | None]:
        group = group_number(connection, query.get("group", ""))
        found = deliveries.list_deliveries(
            connection,
            group=group,
            states=states,
            channel=query.get("channel", ""),
            before=before,
            limit=paging.size + 1,
        )
        shown = found[: paging.size]
        following = shown[-1].id if len(found) > paging.size else None
        return [delivery_document(connection, one) for one in shown], following

    shown, following = await context_of(request).store.read(read)
    return answer(walk_document(request, shown, following, paging.size))


async def retry_delivery(request: web.Request) -> web.Response:
    """All its attempts anew, from now on; what it says is rendered when it is sent."""
    await json_object(request, known=frozenset())
    context, number = context_of(request), int(request.match_info["id"])
    now = context.now()

    def write(connection: Connection) -> None:
        if deliveries.get(connection, number) is None:
            raise missing(f"delivery {number}")
        if not deliveries.retry(connection, number, now):
            raise bad_request("only a delivery that failed or was dropped can be tried again")

    await context.store.write(write)
    return web.Response()


async def list_webhook_runs(request: web.Request) -> web.Response:
    """Latest first; `webhook` (namespace/name), `group` (id). Secrets in them are masked."""
    check_query(request, frozenset({"webhook", "group", "perpage", "cursor"}))
    query, paging = request.query, parse_paging(request.query)
    before = number_of_cursor(paging.cursor)

    def read(connection: Connection) -> tuple[list[Document], int | None]:
        found = webhookruns.list_runs(
            connection,
            group=group_number(connection, query.get("group", "")),
            webhook=query.get("webhook", ""),
            before=before,
            limit=paging.size + 1,
        )
        shown = found[: paging.size]
        following = shown[-1].id if len(found) > paging.size else None
        return [_run(connection, one) for one in shown], following

    shown, following = await context_of(request).store.read(read)
    return answer(walk_document(request, shown, following, paging.size))


def group_number(connection: Connection, public_id: str) -> int | None:
    """None: not asked for. Raises ProblemError (400)."""
    if not public_id:
        return None
    number = disguise_of(connection).number_of(ids.GROUP, public_id)
    if number is None:
        raise bad_request("not the id of an alert group", field="group")
    return number


def number_of_cursor(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_request("not a cursor of this list", field="cursor", action="start without one")
    return int(text)


def walk_document(
    request: web.Request, shown: Sequence[Document], following: int | None, size: int
) -> Document:
    """A page of a list that is only walked by key: follow `next`."""
    link = None if following is None else str(request.url.update_query(cursor=str(following)))
    return {"next": link, "results": list(shown), "page_size": size}


def _state(text: str) -> DeliveryState:
    if text not in _STATES:
        raise bad_request(
            f"unknown state {text[:40]!r}", field="state", action=f"known: {', '.join(sorted(_STATES))}"
        )
    return _STATES[text]


def _run(connection: Connection, run: WebhookRun) -> Document:
    return {
        "id": run.id,
        "webhook": run.webhook,
        "event": run.event,
        "alert_group_id": disguise_of(connection).id_of(ids.GROUP, run.group),
        "at": moment(run.at),
        "method": run.method,
        "url": run.url,
        "status": run.status or None,
        "ok": run.ok,
        "headers": run.headers,
        "request": run.request,
        "response": run.response,
        "error": run.error,
        "failed_field": run.field or None,
    }
