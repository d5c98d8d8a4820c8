"""The published flow: fragments by digest, manifests, and the sequence of revisions that points to them.

Only the leader publishes. Each leadership has an epoch; an older epoch or a revision that someone has passed is
refused in the same transaction, so that a leader that lost its Lease without noticing cannot undo the next one.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import Connection, select, update

from tocsin.api.common import Identity
from tocsin.flow.model import (
    FRAGMENT_KINDS,
    AnyFragment,
    Digest,
    Flow,
    Micros,
    decode_fragment,
    encode_fragment,
)
from tocsin.store import clock, dialects
from tocsin.store.errors import StaleEpoch
from tocsin.store.replicas import (
    Replica,
    acknowledge,
    deregister,
    live_replicas,
    register,
    renew,
)
from tocsin.store.tables import fragment, leadership, revision
from tocsin.store.tables import manifest as manifest_table
from tocsin.store.text import pack, unpack

__all__ = [
    "Replica",
    "Revision",
    "acknowledge",
    "current",
    "deregister",
    "fragments",
    "live_replicas",
    "load_flow",
    "manifest",
    "publish",
    "register",
    "renew",
]

LONGEST_CHAIN = 32
"""Manifests are stored as differences; after this many comes a complete one."""

_AT_ONCE = 500
_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(dict[str, str | None])


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """`digest` is that of the whole flow."""

    number: int
    digest: Digest
    epoch: int
    published_at: Micros


def publish(connection: Connection, flow: Flow, epoch: int, *, expected: int | None = None) -> Revision:
    """Make `flow` the current one; writes only fragments that are new. An unchanged flow keeps its revision.

    `expected`: the revision that the publisher knows as current. Raises StaleEpoch if a higher epoch has published, or
    if the current revision is higher than `expected`.
    """
    leader = _lead(connection, epoch, expected)
    present = current(connection)
    now = clock.now(connection)
    if present is not None and present.digest == flow.digest:
        connection.execute(update(revision).where(revision.c.number == present.number).values(epoch=epoch))
        return msgspec.structs.replace(present, epoch=epoch)
    base = None if present is None else _base(connection, present)
    _put_fragments(connection, flow, base, now)
    manifest_id = _put_manifest(connection, flow, base, now)
    number = leader + 1
    connection.execute(
        revision.insert().values(number=number, manifest_id=manifest_id, epoch=epoch, published_at=now)
    )
    connection.execute(update(leadership).values(revision=number))
    return Revision(number=number, digest=flow.digest, epoch=epoch, published_at=now)


_CURRENT = (  # built once: asked for many times a second
    select(revision, manifest_table.c.digest)
    .join(manifest_table, manifest_table.c.id == revision.c.manifest_id)
    .order_by(revision.c.number.desc())
    .limit(1)
)


def current(connection: Connection) -> Revision | None:
    """The newest revision, None before the first."""
    row = connection.execute(_CURRENT).first()
    if row is None:
        return None
    return Revision(
        number=row.number,
        digest=Digest(bytes(row.digest).hex()),
        epoch=row.epoch,
        published_at=Micros(row.published_at),
    )


def manifest(connection: Connection, digest: Digest) -> Mapping[Identity, Digest] | None:
    """Identity -> digest of the object's fragment; None if that flow is not kept (any more).

    Kinds that this version does not know are left out: what they say is for the newer one that has published them.
    """
    number = connection.scalar(
        select(manifest_table.c.id).where(manifest_table.c.digest == bytes.fromhex(digest))
    )
    if number is None:
        return None
    named = ((Identity.parse(name), Digest(value)) for name, value in _entries(connection, number).items())
    return {identity: digest for identity, digest in named if identity.kind in FRAGMENT_KINDS}


def fragments(connection: Connection, digests: Collection[Digest]) -> Mapping[Digest, AnyFragment]:
    """Those that are kept."""
    found: dict[Digest, AnyFragment] = {}
    wanted = [bytes.fromhex(digest) for digest in digests]
    for at in range(0, len(wanted), _AT_ONCE):
        rows = connection.execute(
            select(fragment.c.digest, fragment.c.body).where(
                fragment.c.digest.in_(wanted[at : at + _AT_ONCE])
            )
        )
        for row in rows:
            found[Digest(bytes(row.digest).hex())] = decode_fragment(unpack(bytes(row.body)))
    return found


def load_flow(connection: Connection, digest: Digest) -> Flow | None:
    """The whole flow, None if it is not kept completely."""
    names = manifest(connection, digest)
    if names is None:
        return None
    parts = fragments(connection, set(names.values()))
    if any(value not in parts for value in names.values()):
        return None
    return Flow(manifest=names, fragments=parts, digest=digest)


def referenced_fragments(connection: Connection) -> set[str]:
    """Digests that any kept manifest names."""
    found: set[str] = set()
    for body in connection.scalars(select(manifest_table.c.body)):
        found.update(digest for digest in _decoder.decode(unpack(bytes(body))).values() if digest is not None)
    return found


def _lead(connection: Connection, epoch: int, expected: int | None) -> int:
    """Take the leaders' row; the highest revision so far."""
    dialects.insert_missing(connection, leadership, [{"id": 1, "epoch": epoch, "revision": 0}])
    row = connection.execute(select(leadership).where(leadership.c.id == 1).with_for_update()).one()
    if epoch < row.epoch:
        raise StaleEpoch(
            f"epoch {row.epoch} has taken over from epoch {epoch}: this leader must stop publishing"
        )
    if expected is not None and expected < row.revision:
        raise StaleEpoch(
            f"revision {row.revision} is published, this leader knows {expected} only: load it first"
        )
    if epoch > row.epoch:
        connection.execute(update(leadership).values(epoch=epoch))
    return int(row.revision)


class _Base(msgspec.Struct, frozen=True, kw_only=True):
    """The manifest that a new one follows: name -> digest in `entries`."""

    number: int
    depth: int
    entries: Mapping[str, str]


def _base(connection: Connection, present: Revision) -> _Base:
    row = connection.execute(
        select(manifest_table.c.id, manifest_table.c.depth).where(
            manifest_table.c.digest == bytes.fromhex(present.digest)
        )
    ).one()
    return _Base(number=row.id, depth=row.depth, entries=_entries(connection, row.id))


def _put_fragments(connection: Connection, flow: Flow, base: _Base | None, now: Micros) -> None:
    """Those of the revision before are there: retention keeps what the current one names."""
    wanted = sorted(set(flow.manifest.values()).difference(base.entries.values() if base else ()))
    known: set[bytes] = set()
    for at in range(0, len(wanted), _AT_ONCE):
        part = [bytes.fromhex(digest) for digest in wanted[at : at + _AT_ONCE]]
        known.update(
            bytes(d) for d in connection.scalars(select(fragment.c.digest).where(fragment.c.digest.in_(part)))
        )
    rows = [
        {"digest": raw, "body": pack(encode_fragment(flow.fragments[digest])), "created_at": now}
        for digest in wanted
        if (raw := bytes.fromhex(digest)) not in known
    ]
    dialects.insert_missing(connection, fragment, rows)


def _put_manifest(connection: Connection, flow: Flow, base: _Base | None, now: Micros) -> int:
    raw = bytes.fromhex(flow.digest)
    known = connection.scalar(select(manifest_table.c.id).where(manifest_table.c.digest == raw))
    if known is not None:
        return int(known)
    entries: dict[str, str | None] = {str(identity): digest for identity, digest in flow.manifest.items()}
    base_id, depth = None, 0
    if base is not None:
        before = base.entries
        changes: dict[str, str | None] = {name: None for name in before if name not in entries}
        changes.update({name: digest for name, digest in entries.items() if before.get(name) != digest})
        if base.depth < LONGEST_CHAIN and 2 * len(changes) < len(entries):
            entries, base_id, depth = changes, base.number, base.depth + 1
    made = connection.execute(
        manifest_table.insert().values(
            digest=raw, base_id=base_id, depth=depth, body=pack(_encoder.encode(entries)), created_at=now
        )
    ).inserted_primary_key
    assert made is not None
    return int(made[0])


def _entries(connection: Connection, number: int) -> dict[str, str]:
    """A manifest put together from its chain of differences."""
    chain: list[dict[str, str | None]] = []
    wanted: int | None = number
    while wanted is not None:
        row = connection.execute(
            select(manifest_table.c.base_id, manifest_table.c.body).where(manifest_table.c.id == wanted)
        ).one()
        chain.append(_decoder.decode(unpack(bytes(row.body))))
        wanted = row.base_id
    entries: dict[str, str | None] = {}
    for part in reversed(chain):
        entries.update(part)
    return {name: digest for name, digest in entries.items() if digest is not None}
