"""The last good text of every file of a folder, so that a file that breaks keeps what it said."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy import Connection, delete, select

from tocsin.flow.model import Micros
from tocsin.store import dialects
from tocsin.store.tables import snapshot
from tocsin.store.text import pack, unpack


def put(connection: Connection, texts: Mapping[str, str], now: Micros) -> None:
    """Remember these files (path -> text) as good."""
    rows = [{"path": path, "body": pack(text.encode()), "taken_at": now} for path, text in texts.items()]
    dialects.upsert(connection, snapshot, rows, key=["path"])


def load(connection: Connection) -> Mapping[str, str]:
    """Path -> last good text."""
    rows = connection.execute(select(snapshot.c.path, snapshot.c.body).order_by(snapshot.c.path))
    return {row.path: unpack(bytes(row.body)).decode() for row in rows}


def forget(connection: Connection, paths: Collection[str]) -> None:
    """These files are gone on purpose."""
    connection.execute(delete(snapshot).where(snapshot.c.path.in_(list(paths))))
