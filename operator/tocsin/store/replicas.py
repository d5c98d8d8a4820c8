"""Which processes run, in which role, and which revision each has loaded. Moments are the database's clock."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, delete, select, update

from tocsin.flow.model import Micros
from tocsin.store import clock, dialects
from tocsin.store.tables import replica

LIVE_FOR = 10_000_000
"""A replica that did not renew for this long does not count (DESIGN section 4)."""


class Replica(msgspec.Struct, frozen=True, kw_only=True):
    """`revision` 0: has not loaded any."""

    id: str
    role: str
    version: str
    revision: int
    registered_at: Micros
    renewed_at: Micros


def register(connection: Connection, replica_id: str, role: str, version: str) -> None:
    """Announce a process that has loaded nothing yet; registering again starts over."""
    now = clock.now(connection)
    row = {
        "id": replica_id,
        "role": role,
        "version": version,
        "revision": 0,
        "registered_at": now,
        "renewed_at": now,
    }
    dialects.upsert(connection, replica, [row], key=["id"])


def renew(connection: Connection, replica_id: str) -> bool:
    """False if it is not registered (any more): register again."""
    done = connection.execute(
        update(replica).where(replica.c.id == replica_id).values(renewed_at=clock.now(connection))
    )
    return done.rowcount > 0


def acknowledge(connection: Connection, replica_id: str, revision: int) -> bool:
    """The replica enforces `revision` from now on; renews too. False if it is not registered."""
    done = connection.execute(
        update(replica)
        .where(replica.c.id == replica_id)
        .values(revision=revision, renewed_at=clock.now(connection))
    )
    return done.rowcount > 0


def deregister(connection: Connection, replica_id: str) -> None:
    connection.execute(delete(replica).where(replica.c.id == replica_id))


def live_replicas(
    connection: Connection, *, role: str | None = None, now: Micros | None = None
) -> tuple[Replica, ...]:
    """Those that renewed within ten seconds, by id. `now` replaces the database's clock."""
    since = (clock.now(connection) if now is None else now) - LIVE_FOR
    wanted = select(replica).where(replica.c.renewed_at > since).order_by(replica.c.id)
    if role is not None:
        wanted = wanted.where(replica.c.role == role)
    return tuple(
        Replica(
            id=row.id,
            role=row.role,
            version=row.version,
            revision=row.revision,
            registered_at=row.registered_at,
            renewed_at=row.renewed_at,
        )
        for row in connection.execute(wanted)
    )


def remove_dead(connection: Connection, *, older_than: int) -> int:
    """Forget replicas that did not renew for `older_than` microseconds; how many."""
    limit = clock.now(connection) - older_than
    return connection.execute(delete(replica).where(replica.c.renewed_at < limit)).rowcount
