"""Stored values as the API shows them: the fields of OnCall's public API (alert-flow R-API-14, R-API-17) and Tocsin's own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from tocsin.console.api.context import Document
from tocsin.flow.groups import Mark
from tocsin.flow.model import Micros
from tocsin.flow.program import Program
from tocsin.flow.zones import exact_time
from tocsin.store import identities
from tocsin.store.alerts import Alert
from tocsin.store.groups import AlertGroup
from tocsin.store.logbook import LogEntry

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOT_RECORDED: Document = {"slack": None, "slack_app": None, "telegram": None, "web": None}


def moment(value: int | None) -> str | None:
    """RFC 3339 in UTC, with microseconds where there are some."""
    return None if value is None else exact_time(value)


def seconds(value: int) -> float | int:
    """Microseconds as seconds, whole where they are."""
    whole, rest = divmod(value, 1_000_000)
    return value / 1_000_000 if rest else whole


def group_document(
    group: AlertGroup, program: Program, *, parent: str | None, last_alert: Document | None
) -> Document:
    """`parent` is the public id of the group that this one is attached to."""
    life = group.life
    integration = program.integrations.get(group.integration)
    silence = life.silenced
    return {
        "id": group.public_id,
        "number": group.number,
        "title": group.title,
        "state": group.state,
        "integration_id": identities.public_id(group.integration),
        "integration": _name(group),
        "team_id": None,
        "team": integration.fragment.team if integration is not None else "",
        "route_id": identities.public_id(identities.route_identity(group.route)),
        "route": group.route,
        "alerts_count": group.alerts_count,
        "digested_count": group.digested_count,
        "created_at": moment(group.started_at),
        "received_at": moment(group.received_at),
        "last_alert_at": moment(group.last_alert_at),
        "acknowledged_at": _at(life.acknowledged),
        "acknowledged_by": _by(life.acknowledged),
        "acknowledged_cause": _cause(life.acknowledged),
        "resolved_at": _at(life.resolved),
        "resolved_by": _by(life.resolved),
        "resolved_cause": _cause(life.resolved),
        "silenced_at": moment(None if silence is None else silence.at),
        "silenced_until": moment(None if silence is None else silence.until),
        "silenced_by": None if silence is None else silence.actor or None,
        "response_time": None if life.response_time is None else seconds(life.response_time),
        "labels": [
            {"key": {"id": key, "name": key}, "value": {"id": value, "name": value}}
            for key, value in group.labels
        ],
        "permalinks": _NOT_RECORDED,
        "parent_id": parent,
        "maintenance": life.maintenance,
        "suppressed": group.suppressed,
        "escalates_at": moment(group.escalate_at),
        "demo": group.demo,
        "wiped": life.wiped,
        "last_alert": last_alert,
    }


def alert_document(alert: Alert, payload: bytes | None) -> Document:
    """`payload` None: no longer kept."""
    return {
        "id": alert.public_id,
        "alert_group_id": alert.group_public_id,
        "created_at": moment(alert.received_at),
        "payload": None if payload is None else msgspec.Raw(payload),
        "origin": alert.origin,
        "ordinal": alert.ordinal,
        "digested": alert.digested,
        "title": alert.outcome.title,
        "route": alert.outcome.route,
        "errors": alert.outcome.errors,
    }


def log_document(entry: LogEntry, alert: str | None) -> Document:
    """`type` is the number of the kind (alert-flow R-LOG-1, Tocsin's own from 100), `action_source` that of R-LOG-2."""
    return {
        "id": entry.id,
        "time": moment(entry.at),
        "type": int(entry.kind),
        "action": entry.kind.name.lower(),
        "author": entry.actor.name or None,
        "action_source": None if entry.actor.via is None else int(entry.actor.via),
        "reason": entry.reason,
        "details": {name: _shown(name, value) for name, value in entry.details.items()},
        "alert_id": alert,
    }


def _shown(name: str, value: str) -> str | None:
    """`until` is stored as microseconds; a silence "for ever" stays in words."""
    return moment(int(value)) if name == "until" and value.isdecimal() else value


def builtins(value: object) -> Any:
    return msgspec.to_builtins(value)


def _name(group: AlertGroup) -> str:
    return f"{group.integration.namespace}/{group.integration.name}"


def _at(mark: Mark | None) -> str | None:
    return None if mark is None else moment(mark.at)


def _by(mark: Mark | None) -> str | None:
    return None if mark is None else mark.actor or None


def _cause(mark: Mark | None) -> str | None:
    return None if mark is None else str(mark.cause)


def parse_moment(text: str) -> Micros:
    """`2026-07-01T12:00:00` as UTC. Raises ValueError."""
    found = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return Micros((found - _EPOCH) // timedelta(microseconds=1))
