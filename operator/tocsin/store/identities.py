"""Declared objects as integers that outlive them, and as public ids."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from sqlalchemy import Connection, select, tuple_

from tocsin.api import ids
from tocsin.api.common import Identity
from tocsin.flow.model import DEFAULT_ROUTE
from tocsin.store import dialects
from tocsin.store.tables import identity

INTEGRATION = "Integration"
ROUTE = "AlertRoute"
WINDOW = "MaintenanceWindow"

DEFAULT = Identity(ROUTE, "", DEFAULT_ROUTE)
"""Stands for the default route of every integration."""

_PREFIXES = MappingProxyType(
    {
        INTEGRATION: ids.INTEGRATION,
        ROUTE: ids.ROUTE,
        WINDOW: "W",
        "EscalationChain": ids.CHAIN,
        "Responder": ids.USER,
        "OnCallSchedule": ids.SCHEDULE,
    }
)
_IN_ONE_QUERY = 500


def public_id(of: Identity) -> str:
    """The same for ever and everywhere: derived from kind, namespace and name."""
    return ids.derived_id(_PREFIXES.get(of.kind, "O"), of.namespace, of.name)


def route_identity(route: str) -> Identity:
    """`namespace/name` or `default`, as decisions name routes."""
    if route == DEFAULT_ROUTE:
        return DEFAULT
    namespace, _, name = route.partition("/")
    return Identity(ROUTE, namespace, name)


def route_name(of: Identity) -> str:
    """The inverse of `route_identity`."""
    return DEFAULT_ROUTE if of == DEFAULT else f"{of.namespace}/{of.name}"


def find(connection: Connection, of: Identity) -> int | None:
    return find_all(connection, (of,)).get(of)


def find_all(connection: Connection, of: Collection[Identity]) -> Mapping[Identity, int]:
    """Those that are known."""
    found: dict[Identity, int] = {}
    wanted = list(of)
    for at in range(0, len(wanted), _IN_ONE_QUERY):
        part = [tuple(i) for i in wanted[at : at + _IN_ONE_QUERY]]
        rows = connection.execute(
            select(identity.c.id, identity.c.kind, identity.c.namespace, identity.c.name).where(
                tuple_(identity.c.kind, identity.c.namespace, identity.c.name).in_(part)
            )
        )
        found.update({Identity(row.kind, row.namespace, row.name): row.id for row in rows})
    return found


def ensure(connection: Connection, of: Identity) -> int:
    """The object's integer, given now if it never had one."""
    return ensure_all(connection, (of,))[of]


def ensure_all(connection: Connection, of: Collection[Identity]) -> Mapping[Identity, int]:
    """Integers of all, in two to four statements. New rows are locked in sorted order."""
    found = dict(find_all(connection, of))
    missing = sorted(set(of) - found.keys())
    if missing:
        rows = [
            {"kind": i.kind, "namespace": i.namespace, "name": i.name, "public_id": public_id(i)}
            for i in missing
        ]
        dialects.insert_missing(connection, identity, rows)
        found.update(find_all(connection, missing))
    return found


def load(connection: Connection, numbers: Collection[int]) -> Mapping[int, Identity]:
    found: dict[int, Identity] = {}
    wanted = list(set(numbers))
    for at in range(0, len(wanted), _IN_ONE_QUERY):
        rows = connection.execute(
            select(identity.c.id, identity.c.kind, identity.c.namespace, identity.c.name).where(
                identity.c.id.in_(wanted[at : at + _IN_ONE_QUERY])
            )
        )
        found.update({row.id: Identity(row.kind, row.namespace, row.name) for row in rows})
    return found


def by_public_id(connection: Connection, public: str) -> Identity | None:
    row = connection.execute(
        select(identity.c.kind, identity.c.namespace, identity.c.name).where(identity.c.public_id == public)
    ).first()
    return None if row is None else Identity(row.kind, row.namespace, row.name)
