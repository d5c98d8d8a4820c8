"""Alerts that Tocsin makes itself, stored inside a transaction that does more than that."""

from __future__ import annotations

from sqlalchemy import Connection

from tocsin.store.arrivals import Arrival, Stored
from tocsin.store.backend import disguise_of
from tocsin.store.batch import Batch
from tocsin.store.directory import Directory


def ingest_within(connection: Connection, arrivals: tuple[Arrival, ...]) -> tuple[Stored, ...]:
    """Like `Store.ingest`, as part of the caller's transaction: durable only once that commits.

    It shares no memory with the group commit; on SQLite the triggers make that one forget what changes here.
    """
    (stored,) = Batch(connection, Directory(), disguise_of(connection), None).store([arrivals])
    return stored
