"""SQLite: one process, one writer thread, WAL with synchronous=FULL."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool

from tocsin.api.ids import Disguise
from tocsin.store import schema, wakeups
from tocsin.store.backend import DISGUISE, OPENINGS, Answer, Call
from tocsin.store.bulk import Bulk
from tocsin.store.errors import StoreLocked, StoreUnavailable
from tocsin.store.ingest import Ingest
from tocsin.store.openings import Openings
from tocsin.store.wakeups import Wakeups

T = TypeVar("T")

READERS = 4

_UNAVAILABLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_NOTADB,
    }
)
_BROKEN = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_NOTADB}
)


def unavailable(error: BaseException) -> StoreUnavailable | None:
    """The error as StoreUnavailable if the database, not the statement, is to blame."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    if not isinstance(error, sqlite3.Error):
        return None
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    closed = isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error)
    if code not in _UNAVAILABLE and not closed:
        return None
    return StoreUnavailable(f"SQLite cannot be used now: {error}")


class LockFile:
    """Proof that this process alone holds the database: a file lock beside it, given up when the process ends."""

    def __init__(self, path: Path) -> None:
        try:
            self._file: IO[str] = path.open("a+", encoding="ascii")
        except OSError as error:
            raise StoreUnavailable(
                f"{path} cannot be written ({error.strerror}): the folder must exist and be writable"
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.seek(0)
            holder = self._file.read(20).strip() or "unknown"
            self._file.close()
            raise StoreLocked(
                f"{path} is held by process {holder}: SQLite serves one process only; stop it, or use PostgreSQL "
                "to run several"
            ) from error
        self._file.truncate(0)
        self._file.write(f"{os.getpid()}\n")
        self._file.flush()

    def release(self) -> None:
        self._file.close()


def _connect(engine: Engine, *, write: bool) -> None:
    @event.listens_for(engine, "connect")
    def prepare(raw: sqlite3.Connection, _: object) -> None:
        raw.isolation_level = None  # BEGIN is ours, below
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "busy_timeout=5000",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-32768",
            "wal_autocheckpoint=4000",
            "journal_size_limit=67108864",
            "query_only=OFF" if write else "query_only=ON",
        ):
            raw.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if not _raw(connection).in_transaction:  # ingest has begun already
            connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def _raw(connection: Connection) -> sqlite3.Connection:
    return cast("sqlite3.Connection", connection.connection.dbapi_connection)


class Sqlite:
    """The backend of one file. `write` and `ingest` are called from one thread only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wakeups = Wakeups()
        self._lock = LockFile(path.with_name(path.name + ".lock"))
        options: dict[str, Any] = {
            "connect_args": {"check_same_thread": False, "cached_statements": 512},
            "hide_parameters": True,  # values are payloads and credentials, and errors reach logs
        }
        self._writer = create_engine(f"sqlite:///{path}", poolclass=StaticPool, **options)
        self._readers = create_engine(
            f"sqlite:///{path}", poolclass=QueuePool, pool_size=READERS, max_overflow=0, **options
        )
        try:
            _connect(self._writer, write=True)
            _connect(self._readers, write=False)
            self.openings = Openings()
            event.listen(self._writer, "connect", lambda raw, _: self.openings.watch(raw))
            with self._available(), self._writer.begin() as connection:
                schema.migrate(connection)
                key = schema.read_setting(connection, schema.DISGUISE_KEY)
                self.openings.watch(_raw(connection))
                assert key is not None
            self.disguise = Disguise(key)
            for engine in (self._writer, self._readers):
                engine.update_execution_options(**{DISGUISE: self.disguise, OPENINGS: self.openings})
        except BaseException:
            self.close()
            raise
        self._ingest = Ingest(self.disguise, self.openings)

    def read(self, fn: Callable[[Connection], T]) -> T:
        with self._available(), self._readers.connect() as connection:
            return fn(connection)

    def write(self, fn: Callable[[Connection], T]) -> T:
        with self._available(), self._writer.begin() as connection:
            wakeups.take(connection)  # of a transaction that failed
            result = fn(connection)
            topics = wakeups.take(connection)
        self.wakeups.tell(topics)
        return result

    def ingest(self, calls: Sequence[Call]) -> Sequence[Answer]:
        prepared = self._ingest.prepare(calls)
        try:
            return self._stored(lambda bulk: self._ingest.store(bulk, prepared))
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 - one alert's fault: find out whose, and store the others
            return self._stored(lambda bulk: self._ingest.store_each(bulk, prepared, unavailable))

    def _stored(self, store: Callable[[Bulk], Sequence[Answer]]) -> Sequence[Answer]:
        """One transaction on the driver's own connection; SQLAlchemy's joins it only when Core is needed."""
        with self._available():
            pooled = self._writer.raw_connection()
            raw = cast("sqlite3.Connection", pooled.dbapi_connection)
            core: list[Connection] = []

            def connect() -> Connection:
                if not core:
                    core.append(self._writer.connect())
                return core[0]

            try:
                raw.execute("BEGIN IMMEDIATE")
                bulk = Bulk(raw.cursor(), connect, arrays=False)
                answers = store(bulk)
                for connection in core:
                    bulk.topics |= wakeups.take(connection)
                raw.commit()
            except BaseException:
                raw.rollback()
                self._ingest.failed()
                raise
            finally:
                for connection in core:
                    connection.close()
        self._ingest.committed()
        self.wakeups.tell(bulk.topics)
        return answers

    def close(self) -> None:
        self._writer.dispose()
        self._readers.dispose()
        self._lock.release()

    @contextmanager
    def _available(self) -> Iterator[None]:
        """Turns the engine's troubles into StoreUnavailable; after a broken file the next use opens it afresh."""
        try:
            yield
        except (sqlite3.Error, DBAPIError) as error:
            found = unavailable(error)
            if found is None:
                raise
            origin = error.orig if isinstance(error, DBAPIError) else error
            if getattr(origin, "sqlite_errorcode", 0) & 0xFF in _BROKEN:
                self.openings.forget()
                self._writer.dispose()
                self._readers.dispose()
            raise found from error
