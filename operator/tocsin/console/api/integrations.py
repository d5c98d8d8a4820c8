"""Integrations as they are enforced now: what they are, where senders post to, their demo alerts and heartbeats."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from tocsin.console.api.context import (
    CALLER,
    Document,
    actor_of,
    answer,
    bad_request,
    check_query,
    context_of,
    integration_of,
    json_object,
    missing,
)
from tocsin.console.api.paging import paged
from tocsin.console.api.shapes import builtins, moment, seconds
from tocsin.dispatch import heartbeats as watching
from tocsin.dispatch import presence
from tocsin.flow.arrival import NotAnAlert, alerts_of, expires_at
from tocsin.flow.model import Micros
from tocsin.flow.program import IntegrationProgram
from tocsin.receive.jsonbody import encode_json
from tocsin.sources.model import SourceType, Split
from tocsin.store import Arrival, heartbeats, identities, occurrences
from tocsin.store.endpoints import endpoint_urls
from tocsin.store.heartbeats import Belief, Heartbeat
from tocsin.store.occurrences import OccurrenceRow

DEMO_NOTE = "demo"


async def list_integrations(request: web.Request) -> web.Response:
    """Without tokens; `link` is null (see endpoints)."""
    check_query(request, frozenset({"name", "page", "perpage"}))
    context = context_of(request)
    running = await context.store.read(occurrences.running)
    name = request.query.get("name")
    shown = [
        _document(integration, [row for row in running if row.integration == identity])
        for identity, integration in sorted(context.live.program.integrations.items())
        if name in (None, integration.fragment.title or identity.name)
    ]
    return answer(paged(request, shown))


async def get_integration(request: web.Request) -> web.Response:
    integration = integration_of(request)
    running = await context_of(request).store.read(occurrences.running)
    return answer(_document(integration, [row for row in running if row.integration == integration.identity]))


async def list_endpoints(request: web.Request) -> web.Response:
    """URLs with their tokens, which are credentials: for callers that may act. `url`: what they begin with."""
    check_query(request, frozenset({"url"}))
    context = context_of(request)
    base = request.query.get("url") or f"{request.scheme}://{request.host}"
    if not base.startswith(("http://", "https://")):
        raise bad_request("give a base URL such as https://alerts.example.org", field="url")
    program, keys = context.live.program, context.store.keys
    urls = await context.store.read(
        lambda connection: endpoint_urls(connection, keys, program, base, email_domain=context.email_domain)
    )
    return answer(builtins(urls))


async def demo_alert(request: web.Request) -> web.Response:
    """An alert through the normal flow that joins and resolves nothing (alert-flow R-DEM). `payload` is optional."""
    integration, context = integration_of(request), context_of(request)
    body = await json_object(request, known=frozenset({"payload"}))
    source = integration.type
    if not source.demo:
        raise bad_request(f"type {source.slug} has no demo alert")
    if integration.fragment.suspended:
        raise bad_request("the Integration is suspended", action="set spec.suspend to false")
    now = context.now()
    payloads = _demo_payloads(source, body.get("payload"), now)
    arrivals = tuple(_demo(integration, one, now, request) for one in payloads)
    stored = await context.store.ingest(arrivals)
    results = [builtins(one) for one in stored]
    return answer(results[0] if len(results) == 1 else results)


async def reset_heartbeat(request: web.Request) -> web.Response:
    """Inactive until the next signal; an open outage is resolved."""
    integration, context, actor = integration_of(request), context_of(request), actor_of(request)
    await json_object(request, known=frozenset())
    program, identity, now = context.live.program, integration.identity, context.now()
    if not await context.store.write(lambda c: watching.reset(c, program, identity, now, actor)):
        raise missing(f"heartbeat on {identity.namespace}/{identity.name}: declare one in spec.heartbeat")
    return web.Response()


async def list_heartbeats(request: web.Request) -> web.Response:
    """Every declared heartbeat, whether it ever came or not."""
    check_query(request, frozenset({"page", "perpage"}))
    context = context_of(request)
    program = context.live.program

    def read(connection: Connection) -> list[Document]:
        known = {beat.integration: beat for beat in heartbeats.load(connection)}
        observed = presence.read(connection) or presence.Presence(seen=Micros(0))
        return [
            _heartbeat(integration, known.get(identity), observed)
            for identity, integration in sorted(program.integrations.items())
            if watching.declared_heartbeat(integration) is not None
        ]

    return answer(paged(request, await context.store.read(read)))


def _demo_payloads(source: SourceType, given: Any, now: Micros) -> tuple[dict[str, Any], ...]:
    """The type's example, or the object given. A type that splits its bodies wants something to split."""
    if given is not None and not isinstance(given, dict):
        raise bad_request("the payload has to be a JSON object", field="payload")
    if given is not None and source.split is Split.ALERTS and not _is_splittable(given):
        raise bad_request("`alerts` has to be a list of at least one object", field="payload.alerts")
    try:
        found = alerts_of(source, source.example if given is None else given, now)
    except NotAnAlert as error:
        raise bad_request(str(error), field="payload") from None
    if not found:
        raise bad_request("the payload holds no alert", field="payload")
    return found


def _is_splittable(payload: dict[str, Any]) -> bool:
    if "alerts" not in payload:
        return True
    alerts = payload["alerts"]
    return isinstance(alerts, list) and bool(alerts) and all(isinstance(a, dict) for a in alerts)


def _demo(
    integration: IntegrationProgram, payload: dict[str, Any], now: Micros, request: web.Request
) -> Arrival:
    notes = (DEMO_NOTE, f"sent by {request[CALLER].name}")
    return Arrival(
        integration=integration.identity,
        decision=integration.evaluate(payload, now, demo=True, notes=notes),
        payload=encode_json(integration.redact(payload)),
        received_at=now,
        now=now,
        manifest=context_of(request).live.program.digest,
        origin="demo",
        expires_at=expires_at(integration.type, payload, now) if integration.type.expires else None,
    )


def _document(integration: IntegrationProgram, running: list[OccurrenceRow]) -> Document:
    fragment = integration.fragment
    last = max(running, key=lambda row: row.end, default=None)
    return {
        "id": integration.public_id,
        "namespace": fragment.namespace,
        "name": fragment.title or fragment.name,
        "resource": fragment.name,
        "description_short": fragment.description,
        "team_id": None,
        "team": fragment.team,
        "link": None,
        "type": fragment.type,
        "authentication": fragment.auth.mode,
        "suspended": fragment.suspended,
        "source_resolve": fragment.source_resolve,
        "labels": dict(fragment.labels),
        "default_route": {
            "id": identities.public_id(identities.DEFAULT),
            "escalation_chain": fragment.default_target.escalation_chain or None,
            "channels": list(fragment.default_target.channels),
        },
        "routes": list(fragment.routes),
        "label_rules": list(fragment.label_rules),
        "windows": list(fragment.windows),
        "heartbeat": None
        if fragment.heartbeat is None
        else {"interval": seconds(fragment.heartbeat.interval)},
        "maintenance_mode": None if last is None else last.mode.lower(),
        "maintenance_started_at": None if last is None else moment(last.start),
        "maintenance_end_at": None if last is None else moment(last.end),
    }


def _heartbeat(
    integration: IntegrationProgram, beat: Heartbeat | None, observed: presence.Presence
) -> Document:
    declared = integration.fragment.heartbeat
    assert declared is not None
    deadline = None if beat is None else watching.deadline(beat, declared, observed)
    belief = Belief.INACTIVE if beat is None else beat.belief
    return {
        "integration": f"{integration.identity.namespace}/{integration.identity.name}",
        "state": belief,
        "status": belief is Belief.ALIVE,
        "last_seen": moment(None if beat is None else beat.last_seen),
        "changed_at": moment(None if beat is None else beat.changed_at),
        "expires_at": moment(deadline),
        "interval": seconds(declared.interval),
        "grace": seconds(declared.grace),
        "required": declared.required,
    }
