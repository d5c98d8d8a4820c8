"""The store's facade: open a database, read, write, and ingest with group commit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from tocsin.api.ids import Disguise
from tocsin.store import credentials
from tocsin.store.arrivals import Arrival, Stored
from tocsin.store.backend import Backend
from tocsin.store.commit import GroupCommit
from tocsin.store.errors import StoreLocked, StoreUnavailable
from tocsin.store.keys import KeyRing
from tocsin.store.wakeups import Wakeups

T = TypeVar("T")

Dialect = Literal["sqlite", "postgresql"]
_THREADS = 8
_KEEPING = frozenset({"all", "operator"})
"""Roles that put credentials into the store; they also bring old ones under the first key, so that others can be dropped."""


class Store:
    """Everything durable. Safe to use from several event loops; `fn` arguments run in threads and must not keep their
    connection. Every method raises StoreUnavailable while the database cannot be used, and works again after.
    """

    def __init__(self, backend: Backend, *, keys: KeyRing, dialect: Dialect) -> None:
        self.keys = keys
        self.dialect = dialect
        self._backend = backend
        self._commit = GroupCommit(backend.ingest)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tocsin-store")

    @classmethod
    async def open(cls, url: str, *, keys: KeyRing, role: str = "all") -> Store:
        """Open `sqlite:///path` or `postgresql://...`, bring its schema up to date, take its lock.

        `role` other than `all` means that other processes share the database, which SQLite cannot.
        What an older key encrypted is encrypted with the first one. Raises StoreLocked, StoreUnavailable or SchemaTooNew,
        each with a one-line message.
        """
        parsed = _parse(url)
        if parsed.get_backend_name() == "sqlite" and role != "all":
            raise StoreLocked(
                f"role {role} shares its database with other processes, which SQLite cannot: use PostgreSQL "
                "(TOCSIN_DATABASE=postgresql://...), or run all roles in one process"
            )
        backend, dialect = await asyncio.to_thread(_connect, parsed)
        store = cls(backend, keys=keys, dialect=dialect)
        if role in _KEEPING:
            await store.write(lambda connection: credentials.reencrypt(connection, keys))
        return store

    @property
    def disguise(self) -> Disguise:
        """Numbers of groups and alerts as public ids, and back."""
        return self._backend.disguise

    @property
    def wakeups(self) -> Wakeups:
        """Whom to tell in this process when a commit leaves work behind."""
        return self._backend.wakeups

    async def close(self) -> None:
        """Finish what waits, then let go of the database."""
        await asyncio.to_thread(self._close)

    async def read(self, fn: Callable[[Connection], T]) -> T:
        """The result of `fn` on a connection for reading."""
        return await asyncio.wrap_future(self._threads.submit(self._backend.read, fn))

    async def write(self, fn: Callable[[Connection], T]) -> T:
        """The result of `fn` in one transaction, committed durably on return; nothing is written if it raises."""
        if self.dialect == "sqlite":
            return await asyncio.wrap_future(self._commit.perform(lambda: self._backend.write(fn)))
        return await asyncio.wrap_future(self._threads.submit(self._backend.write, fn))

    def ingest(self, arrivals: tuple[Arrival, ...]) -> asyncio.Future[tuple[Stored, ...]]:
        """Store alerts durably, all or none; one answer per alert, in order. Called from a running loop.

        The future raises StoreUnavailable (try again later) or NotStorable (these alerts never will be).
        """
        return self._commit.ingest(arrivals)

    def _close(self) -> None:
        self._commit.close()
        self._threads.shutdown()
        self._backend.close()


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as error:
        raise StoreUnavailable(
            "the database URL cannot be read: write sqlite:///path or postgresql://..."
        ) from error


def _connect(url: URL) -> tuple[Backend, Dialect]:
    match url.get_backend_name():
        case "sqlite":
            from tocsin.store.sqlite import Sqlite

            if not url.database or url.database == ":memory:":
                raise StoreUnavailable("SQLite needs a file: write sqlite:///path/to/tocsin.db")
            return Sqlite(Path(url.database)), "sqlite"
        case "postgresql":
            from tocsin.store.postgresql import Postgresql

            return Postgresql(url), "postgresql"
        case other:
            raise StoreUnavailable(f"there is no support for {other}: use sqlite:///path or postgresql://...")
