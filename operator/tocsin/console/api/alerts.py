"""Alerts: lists, one, and the full account of how one was decided."""

from __future__ import annotations

import asyncio
from typing import Any, NamedTuple

import msgspec
from aiohttp import web
from sqlalchemy import Connection

from tocsin.api import ids
from tocsin.api.common import Identity
from tocsin.console.api.context import (
    Document,
    answer,
    bad_request,
    check_query,
    context_of,
    missing,
)
from tocsin.console.api.paging import Paging, page_document, parse_paging
from tocsin.console.api.shapes import alert_document, builtins
from tocsin.flow.model import Digest, Flow, IntegrationFragment
from tocsin.flow.outcome import TRUNCATED
from tocsin.flow.program import link
from tocsin.flow.trace import reconcile
from tocsin.sources.model import SourceType
from tocsin.store import alerts, groups, pages, revisions
from tocsin.store.alerts import Alert
from tocsin.store.backend import disguise_of
from tocsin.store.groups import Count

KNOWN = frozenset({"id", "alert_group_id", "search", "page", "perpage", "cursor"})
SEARCHED = 5_000
"""Payloads that one search looks through; the cursor of its answer goes on from there."""

_FROM_EVALUATION = ("undefined: ",)


async def list_alerts(request: web.Request) -> web.Response:
    check_query(request, KNOWN)
    query, paging = request.query, parse_paging(request.query)

    def read(connection: Connection) -> Document:
        group: int | None = None
        if "alert_group_id" in query:
            found = groups.get_by_public_id(connection, query["alert_group_id"])
            if found is None:
                return page_document(request, paging.clamped(0), [], count=0, next_cursor=None)
            group = found.number
        if "id" in query:
            one = alerts.get_by_public_id(connection, query["id"])
            shown = [one] if one is not None and group in (None, one.group) else []
            documents = [_document(connection, a) for a in shown]
            return page_document(
                request, paging.clamped(len(shown)), documents, count=len(shown), next_cursor=None
            )
        if query.get("search"):
            return _search(connection, request, group, paging)
        return _page(connection, request, group, paging)

    return answer(await context_of(request).store.read(read))


async def get_alert(request: web.Request) -> web.Response:
    public_id = request.match_info["id"]

    def read(connection: Connection) -> Document:
        return _document(connection, _find(connection, public_id))

    return answer(await context_of(request).store.read(read))


class Decided(NamedTuple):
    """What an alert was decided with. `flow` None: no longer kept. It holds the Integration and what that refers to."""

    alert: Alert
    integration: Identity
    payload: bytes | None
    flow: Flow | None


async def get_trace(request: web.Request) -> web.Response:
    """Recomputed from payload, moment and the flow of that time; what was stored wins, differences are named."""
    context, public_id = context_of(request), request.match_info["id"]

    def read(connection: Connection) -> Decided:
        alert = _find(connection, public_id)
        group = groups.get(connection, alert.group)
        if group is None:
            raise missing(f"alert {public_id[:24]}")
        flow = None if alert.manifest is None else _flow_around(connection, alert.manifest, group.integration)
        return Decided(alert, group.integration, alerts.payload_of(connection, alert.id), flow)

    decided = await context.store.read(read)
    document = await asyncio.to_thread(_trace, decided, dict(context.live.program.types))
    return answer(document)


def _trace(decided: Decided, types: dict[str, SourceType]) -> Document:
    alert, outcome = decided.alert, decided.alert.outcome
    facts: Document = {
        "alert_id": alert.public_id,
        "alert_group_id": alert.group_public_id,
        "origin": alert.origin,
        "recomputed": False,
        "reason": "",
    }
    stored: Document = {
        **facts,
        "integration": str(decided.integration),
        "now": alert.now,
        "outcome": builtins(outcome),
    }
    if alert.origin == "heartbeat":
        return {**stored, "reason": "a heartbeat's alert does not go through the templates"}
    if decided.payload is None:
        return {**stored, "reason": "the payload is no longer kept"}
    if decided.flow is None:
        return {**stored, "reason": "the flow of that time is no longer kept"}
    program = link(decided.flow, types=types).integrations.get(decided.integration)
    if program is None:
        return {**stored, "reason": "the type of the Integration is not known any more"}
    notes = tuple(n for n in outcome.notes if n != TRUNCATED and not n.startswith(_FROM_EVALUATION))
    payload: Any = msgspec.json.decode(decided.payload)
    traced = program.explain(payload, alert.now, demo=alert.origin == "demo", notes=notes)
    return {**facts, "recomputed": True, **builtins(reconcile(outcome, traced))}


def _flow_around(connection: Connection, digest: Digest, integration: Identity) -> Flow | None:
    """The part of a flow that decides about one Integration's alerts."""
    manifest = revisions.manifest(connection, digest)
    if manifest is None or integration not in manifest:
        return None
    own = revisions.fragments(connection, (manifest[integration],)).get(manifest[integration])
    if not isinstance(own, IntegrationFragment):
        return None
    named = {
        *(Identity("AlertRoute", *name.split("/")) for name in own.routes),
        *(Identity("LabelRule", *name.split("/")) for name in own.label_rules),
        *(Identity("MaintenanceWindow", *name.split("/")) for name in own.windows),
    }
    part = {identity: manifest[identity] for identity in (integration, *named) if identity in manifest}
    fragments = revisions.fragments(connection, set(part.values()))
    if any(value not in fragments for value in part.values()):
        return None
    return Flow(manifest=part, fragments=fragments, digest=digest)


def _page(connection: Connection, request: web.Request, group: int | None, asked: Paging) -> Document:
    count: Count = pages.count_alerts(connection, group)
    paging = asked.clamped(count.count)
    before = _before(connection, group, paging)
    page = alerts.list_alerts(connection, group=group, before=before, limit=paging.size)
    documents = [_document(connection, a) for a in page.items]
    cursor = None if page.next is None else disguise_of(connection).id_of(ids.ALERT, page.next)
    return page_document(request, paging, documents, count=count.count, next_cursor=cursor)


def _search(connection: Connection, request: web.Request, group: int | None, asked: Paging) -> Document:
    """Always by cursor: how many there are in all would mean to read everything."""
    paging = Paging(size=asked.size, cursor=asked.cursor or "")
    found = pages.search_alerts(
        connection,
        request.query["search"],
        group=group,
        before=_before(connection, group, paging),
        limit=paging.size,
        most=SEARCHED,
    )
    documents = [_document(connection, a) for a in found.alerts]
    cursor = None if found.next is None else disguise_of(connection).id_of(ids.ALERT, found.next)
    return page_document(request, paging, documents, count=len(documents), next_cursor=cursor)


def _before(connection: Connection, group: int | None, paging: Paging) -> int | None:
    if paging.cursor is None:
        return pages.alert_before(connection, group, paging.offset)
    if not paging.cursor:
        return None
    number = disguise_of(connection).number_of(ids.ALERT, paging.cursor)
    if number is None:
        raise bad_request("not a cursor of this list", field="cursor", action="start with an empty one")
    return number


def _find(connection: Connection, public_id: str) -> Alert:
    found = alerts.get_by_public_id(connection, public_id)
    if found is None:
        raise missing(f"alert {public_id[:24]}")
    return found


def _document(connection: Connection, alert: Alert) -> Document:
    return alert_document(alert, alerts.payload_of(connection, alert.id))
