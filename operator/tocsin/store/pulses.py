"""Signals of heartbeats, and the groups that their outages opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import Connection, select

from tocsin.api.common import Identity
from tocsin.flow.model import Micros
from tocsin.store import alerts, heartbeats, identities, timers
from tocsin.store.heartbeats import Belief
from tocsin.store.tables import alert_group

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Facts(msgspec.Struct, frozen=True):
    last_seen: datetime | None = None


class _Payload(msgspec.Struct, frozen=True):
    heartbeat: _Facts


_decoder = msgspec.json.Decoder(_Payload)


def record(connection: Connection, integration: Identity, span: int, at: Micros) -> None:
    """Record a signal. The timer is due at once where an outage has to be ended, else `span` microseconds from now,
    when the next signal is overdue.
    """
    before = heartbeats.beat(connection, integration, at)
    due = at if before.belief is Belief.EXPIRED else Micros(at + span)
    timers.schedule(connection, timers.HEARTBEAT, str(integration), due)


def open_groups(connection: Connection, integration: Identity, key: bytes) -> tuple[int, ...]:
    """Numbers of the open groups of an Integration with this grouping key, whatever their route."""
    found = connection.scalars(
        select(alert_group.c.id)
        .where(
            alert_group.c.integration_id == identities.find(connection, integration),
            alert_group.c.grouping_key == key,
            alert_group.c.resolved_at.is_(None),
        )
        .order_by(alert_group.c.id)
    )
    return tuple(found)


def last_seen(connection: Connection, integration: Identity, key: bytes) -> Micros | None:
    """The last signal before an outage, as the alert says that opened its group; None if it does not say."""
    number = connection.scalar(
        select(alert_group.c.id)
        .where(
            alert_group.c.integration_id == identities.find(connection, integration),
            alert_group.c.grouping_key == key,
        )
        .order_by(alert_group.c.id)
        .limit(1)
    )
    first = None if number is None else alerts.first(connection, number)
    payload = None if first is None else alerts.payload_of(connection, first.id)
    try:
        seen = None if payload is None else _decoder.decode(payload).heartbeat.last_seen
    except msgspec.ValidationError:
        return None
    return None if seen is None or seen.tzinfo is None else Micros((seen - _EPOCH) // _MICROSECOND)
