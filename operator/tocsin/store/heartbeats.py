"""When each Integration's heartbeat was last seen, and what is believed about it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, delete, select

from tocsin.api.common import Identity
from tocsin.flow.model import Micros
from tocsin.store import dialects, identities, timers
from tocsin.store.tables import heartbeat, identity


class Belief(StrEnum):
    """What is remembered, so that each outage is told once (alert-flow R-HBT-4 to R-HBT-6)."""

    INACTIVE = "inactive"
    ALIVE = "alive"
    EXPIRED = "expired"


class Heartbeat(msgspec.Struct, frozen=True, kw_only=True):
    """`last_seen` None: never, or reset. `changed_at`: when the belief last changed."""

    integration: Identity
    belief: Belief
    last_seen: Micros | None
    changed_at: Micros


def beat(connection: Connection, integration: Identity, at: Micros) -> Heartbeat:
    """Record a signal; the heartbeat as it was believed before, with the new `last_seen`.

    A first signal makes an inactive one alive. One that had expired stays so until the dispatcher has told that it
    is back (`believe`).
    """
    number = identities.ensure(connection, integration)
    before = _get(connection, number)
    if before is None:
        made = Heartbeat(integration=integration, belief=Belief.ALIVE, last_seen=at, changed_at=at)
        _put(connection, number, made)
        return msgspec.structs.replace(made, belief=Belief.INACTIVE)
    belief = Belief.ALIVE if before.belief is Belief.INACTIVE else before.belief
    seen = max(at, before.last_seen or at)
    changed = at if belief is not before.belief else before.changed_at
    _put(
        connection,
        number,
        Heartbeat(integration=integration, belief=belief, last_seen=seen, changed_at=changed),
    )
    return msgspec.structs.replace(before, last_seen=Micros(seen))


def get(connection: Connection, integration: Identity) -> Heartbeat | None:
    number = identities.find(connection, integration)
    return None if number is None else _get(connection, number)


def load(connection: Connection) -> tuple[Heartbeat, ...]:
    """All that were ever seen or expected, by identity."""
    rows = connection.execute(_query().order_by(identity.c.namespace, identity.c.name))
    return tuple(_read(row) for row in rows)


def believe(connection: Connection, integration: Identity, belief: Belief, at: Micros) -> None:
    """Remember what has just been told about it."""
    number = identities.ensure(connection, integration)
    before = _get(connection, number)
    seen = None if before is None else before.last_seen
    _put(connection, number, Heartbeat(integration=integration, belief=belief, last_seen=seen, changed_at=at))


def reset(connection: Connection, integration: Identity, at: Micros) -> None:
    """Forget the last signal: inactive until the next one."""
    number = identities.ensure(connection, integration)
    _put(
        connection,
        number,
        Heartbeat(integration=integration, belief=Belief.INACTIVE, last_seen=None, changed_at=at),
    )


def forget(connection: Connection, integration: Identity) -> None:
    """The Integration or its heartbeat is gone: nothing of it may fire any more, and its timer ends too."""
    number = identities.find(connection, integration)
    if number is not None:
        connection.execute(delete(heartbeat).where(heartbeat.c.integration_id == number))
    timers.cancel(connection, timers.HEARTBEAT, str(integration))


def _query() -> Select[Any]:
    return select(heartbeat, identity.c.kind, identity.c.namespace, identity.c.name).join(
        identity, identity.c.id == heartbeat.c.integration_id
    )


def _get(connection: Connection, number: int) -> Heartbeat | None:
    row = connection.execute(
        _query().where(heartbeat.c.integration_id == number).with_for_update(of=heartbeat)
    ).first()
    return None if row is None else _read(row)


def _read(row: Row[Any]) -> Heartbeat:
    return Heartbeat(
        integration=Identity(row.kind, row.namespace, row.name),
        belief=Belief(row.state),
        last_seen=row.last_seen,
        changed_at=row.changed_at,
    )


def _put(connection: Connection, number: int, value: Heartbeat) -> None:
    row = {
        "integration_id": number,
        "state": value.belief.value,
        "last_seen": value.last_seen,
        "changed_at": value.changed_at,
    }
    dialects.upsert(connection, heartbeat, [row], key=["integration_id"])
