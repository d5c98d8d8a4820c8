"""Alerts that Tocsin makes itself, stored inside a transaction that does more than that."""

from __future__ import annotations

from contextlib import closing
from typing import cast

from sqlalchemy import Connection

from tocsin.store import dialects
from tocsin.store.arrivals import Arrival, Stored
from tocsin.store.backend import disguise_of, openings_of
from tocsin.store.batch import Batch
from tocsin.store.bulk import Bulk, Cursor
from tocsin.store.directory import Directory
from tocsin.store.text import pack_all


def ingest_within(connection: Connection, arrivals: tuple[Arrival, ...]) -> tuple[Stored, ...]:
    """Like `Store.ingest`, as part of the caller's transaction: durable only once that commits.

    It shares no memory with the group commit, and makes that one forget the groups it changes.
    """
    with closing(connection.connection.cursor()) as cursor:
        bulk = Bulk(cast("Cursor", cursor), lambda: connection, arrays=dialects.is_postgresql(connection))
        batch = Batch(bulk, Directory(), disguise_of(connection), None)
        (stored,) = batch.store([arrivals], iter(pack_all([arrival.payload for arrival in arrivals])))
    openings = openings_of(connection)
    if openings is not None:
        for key in batch.keys:
            openings.drop(key)
    return stored
