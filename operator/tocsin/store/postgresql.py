"""PostgreSQL through psycopg: several processes may write; advisory locks keep their decisions consistent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TypeVar, cast

import psycopg
from psycopg import errors
from sqlalchemy import Connection, create_engine, event, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from tocsin.api.ids import Disguise
from tocsin.store import schema, wakeups
from tocsin.store.backend import DISGUISE, Answer, Call
from tocsin.store.bulk import Bulk, Cursor
from tocsin.store.errors import StoreUnavailable
from tocsin.store.ingest import Ingest
from tocsin.store.wakeups import Wakeups

T = TypeVar("T")

POOL = 10
ATTEMPTS = 3
"""Tries of a transaction that lost a deadlock or a connection before it began to commit."""

_MIGRATION_LOCK = 0x746F6373_696E0001
_SETTINGS = (
    "SET lock_timeout = '10s'",
    "SET statement_timeout = '60s'",
    "SET idle_in_transaction_session_timeout = '60s'",
    "SET TIME ZONE 'UTC'",
    "SET jit = off",  # these statements are short: compiling them costs more than running them
)
_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    errors.ReadOnlySqlTransaction,
    errors.InsufficientPrivilege,
)
_LOST_RACE = (errors.DeadlockDetected, errors.SerializationFailure)


def unavailable(error: BaseException) -> StoreUnavailable | None:
    """The error as StoreUnavailable if the database, not the statement, is to blame."""
    if isinstance(error, PoolTimeoutError | PendingRollbackError):
        return StoreUnavailable("PostgreSQL cannot be used now: all connections are busy or broken")
    if isinstance(error, DBAPIError) and error.orig is not None:
        error = error.orig
    if not isinstance(error, _UNAVAILABLE):
        return None
    detail = str(error).strip().splitlines() or [type(error).__name__]
    return StoreUnavailable(f"PostgreSQL cannot be used now: {detail[0]}")


class Postgresql:
    """The backend of one database. `ingest` is called from one thread, the rest from several."""

    def __init__(self, url: URL) -> None:
        self.wakeups = Wakeups()
        self._engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=10,
            pool_pre_ping=True,
            hide_parameters=True,  # values are payloads and credentials, and errors reach logs
            connect_args={
                "connect_timeout": 5,
                "application_name": "tocsin",
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                "tcp_user_timeout": 20_000,
            },
        )
        event.listen(self._engine, "connect", _prepare)
        try:
            key = self._try(self._migrate)
        except BaseException:
            self._engine.dispose()
            raise
        self.disguise = Disguise(key)
        self._engine.update_execution_options(**{DISGUISE: self.disguise})
        self._ingest = Ingest(self.disguise, None)

    def read(self, fn: Callable[[Connection], T]) -> T:
        def run() -> T:
            with self._engine.connect() as connection:
                return fn(connection)

        return self._try(run)

    def write(self, fn: Callable[[Connection], T]) -> T:
        """`fn` may run again if its transaction lost a deadlock."""

        def run() -> tuple[T, set[str]]:
            with self._engine.begin() as connection:
                wakeups.take(connection)  # of a transaction that failed
                result = fn(connection)
                return result, wakeups.take(connection)

        result, topics = self._try(run)
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

    def close(self) -> None:
        self._engine.dispose()

    def _stored(self, store: Callable[[Bulk], Sequence[Answer]]) -> Sequence[Answer]:
        def run(connection: Connection) -> Sequence[Answer]:
            self._ingest.failed()  # an attempt before this one may have left something behind
            with closing(connection.connection.cursor()) as cursor:
                bulk = Bulk(cast("Cursor", cursor), lambda: connection, arrays=True)
                answers = store(bulk)
            for topic in bulk.topics:
                wakeups.mark(connection, topic)
            return answers

        try:
            answers = self.write(run)
        except BaseException:
            self._ingest.failed()
            raise
        self._ingest.committed()
        return answers

    def _try(self, run: Callable[[], T]) -> T:
        """Again after a lost race, which leaves nothing behind; everything else the caller must know."""
        attempt = 1
        while True:
            try:
                return run()
            except (psycopg.Error, DBAPIError, PoolTimeoutError, PendingRollbackError) as error:
                origin = error.orig if isinstance(error, DBAPIError) else error
                if isinstance(origin, _LOST_RACE) and attempt < ATTEMPTS:
                    attempt += 1
                    continue
                found = unavailable(error)
                if found is None:
                    raise
                raise found from error

    def _migrate(self) -> bytes:
        with self._engine.connect() as connection:
            connection.execute(text("SET lock_timeout = 0"))
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _MIGRATION_LOCK})
            connection.commit()
            try:
                with connection.begin():
                    schema.migrate(connection)
                    key = schema.read_setting(connection, schema.DISGUISE_KEY)
            finally:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _MIGRATION_LOCK})
                connection.execute(text("RESET lock_timeout"))
                connection.commit()
        assert key is not None
        return key


def _prepare(raw: psycopg.Connection[tuple[object, ...]], _: object) -> None:
    with raw.cursor() as cursor:
        for statement in _SETTINGS:
            cursor.execute(statement)
    raw.commit()
