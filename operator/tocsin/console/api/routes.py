"""Every URL of the API: method, path, what it takes to use it, and who answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from tocsin.console.api import (
    alerts,
    deliveries,
    escalation,
    groups,
    integrations,
    notes,
    operations,
    people,
    preview,
    schedules,
)
from tocsin.console.api.guard import Scope
from tocsin.flow.groups import Verb

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Route(NamedTuple):
    """`path` is below `/api/v1` and without a trailing slash; with one it is answered, too."""

    method: str
    path: str
    scope: Scope
    handler: Handler


_GROUP = "/alert_groups/{id:[A-Z0-9]+}"
_ALERT = "/alerts/{id:[A-Z0-9]+}"
_INTEGRATION = "/integrations/{namespace:[-a-z0-9]+}/{name:[-.a-z0-9]+}"
_SCHEDULE = "/on_call_schedules"
_NOTE = "/resolution_notes/{id:[A-Z0-9]+}"
_LETTER = "/dead_letters/{id:[0-9]{1,18}}"
_READ, _ACT = Scope.READ, Scope.ACT

ROUTES: tuple[Route, ...] = (
    Route("GET", "/alert_groups", _READ, groups.list_groups),
    Route("GET", _GROUP, _READ, groups.get_group),
    Route("DELETE", _GROUP, _ACT, groups.delete_group),
    Route("GET", f"{_GROUP}/log", _READ, groups.get_log),
    *(
        Route("POST", f"{_GROUP}/{verb.value}", _ACT, groups.act(verb))
        for verb in (
            Verb.ACKNOWLEDGE,
            Verb.UNACKNOWLEDGE,
            Verb.RESOLVE,
            Verb.UNRESOLVE,
            Verb.UNSILENCE,
            Verb.RESTART,
            Verb.UNATTACH,
            Verb.WIPE,
        )
    ),
    Route("POST", f"{_GROUP}/silence", _ACT, groups.silence),
    Route("POST", f"{_GROUP}/attach", _ACT, groups.attach),
    Route("POST", f"{_GROUP}/confirm", _ACT, groups.confirm),
    Route("POST", f"{_GROUP}/unpage", _ACT, escalation.unpage),
    Route("POST", "/escalation", _ACT, escalation.page),
    Route("GET", "/resolution_notes", _READ, notes.list_notes),
    Route("POST", "/resolution_notes", _ACT, notes.create_note),
    Route("GET", _NOTE, _READ, notes.get_note),
    Route("PUT", _NOTE, _ACT, notes.change_note),
    Route("DELETE", _NOTE, _ACT, notes.delete_note),
    Route("GET", "/users", _READ, people.list_users),
    Route("GET", "/users/{id:[A-Z0-9]+}", _READ, people.get_user),
    Route("GET", "/teams", _READ, people.list_teams),
    Route("GET", "/escalation_chains", _READ, people.list_chains),
    Route("GET", _SCHEDULE, _READ, schedules.list_schedules),
    Route("GET", f"{_SCHEDULE}/{{id:[A-Z0-9]+}}", _READ, schedules.get_schedule),
    Route("GET", f"{_SCHEDULE}/{{namespace:[-a-z0-9]+}}/{{name:[-.a-z0-9]+}}", _READ, schedules.get_schedule),
    Route("GET", "/deliveries", _READ, deliveries.list_deliveries),
    Route("POST", "/deliveries/{id:[0-9]{1,18}}/retry", _ACT, deliveries.retry_delivery),
    Route("GET", "/webhook_runs", _READ, deliveries.list_webhook_runs),
    Route("GET", "/alerts", _READ, alerts.list_alerts),
    Route("GET", _ALERT, _READ, alerts.get_alert),
    Route("GET", f"{_ALERT}/trace", _READ, alerts.get_trace),
    Route("GET", "/integrations", _READ, integrations.list_integrations),
    Route("GET", _INTEGRATION, _READ, integrations.get_integration),
    Route("POST", f"{_INTEGRATION}/demo_alert", _ACT, integrations.demo_alert),
    Route("POST", f"{_INTEGRATION}/heartbeat/reset", _ACT, integrations.reset_heartbeat),
    Route("GET", "/endpoints", _ACT, integrations.list_endpoints),
    Route("GET", "/heartbeats", _READ, integrations.list_heartbeats),
    Route("GET", "/windows", _READ, operations.list_windows),
    Route("GET", "/dead_letters", _READ, operations.list_dead_letters),
    Route("GET", _LETTER, _READ, operations.get_dead_letter),
    Route("DELETE", _LETTER, _ACT, operations.delete_dead_letter),
    Route("POST", f"{_LETTER}/replay", _ACT, operations.replay_dead_letter),
    Route("GET", "/dead_timers", _READ, operations.list_dead_timers),
    Route("POST", "/dead_timers/revive", _ACT, operations.revive_timer),
    Route("GET", "/status", _READ, operations.status),
    Route("POST", "/preview", _READ, preview.preview),
)
