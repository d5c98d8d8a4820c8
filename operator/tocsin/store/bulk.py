"""Many rows per statement on the hot path, below SQLAlchemy's per-statement cost.

SQLite runs a prepared statement once per row in one `executemany`; PostgreSQL gets whole columns as arrays, so that
the text (and with it the server's plan) is the same for any number of rows. Texts are derived from the Core tables
and built once.
"""

# ruff: noqa: S608 - the names in these texts come from tables.py, the values are always parameters
from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from itertools import chain
from typing import Any, Protocol

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from tocsin.store.tables import metadata

Row = tuple[Any, ...]

_TOGETHER = 50
_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


def _type(table: Table, column: str) -> str:
    return table.c[column].type.compile(_POSTGRESQL).replace("SERIAL", "INT")


def _arrays(table: Table, columns: Sequence[str]) -> str:
    return ", ".join(f"%b::{_type(table, name)}[]" for name in columns)


@lru_cache(maxsize=256)
def _insert(table: str, columns: tuple[str, ...], conflict: str, *, arrays: bool) -> str:
    names = ", ".join(columns)
    if arrays:
        source = f"SELECT * FROM unnest({_arrays(metadata.tables[table], columns)})"
    else:
        source = f"VALUES ({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({names}) {source} {conflict}"


@lru_cache(maxsize=256)
def _update(table: str, columns: tuple[str, ...], *, arrays: bool) -> str:
    key, *changed = columns
    if not arrays:
        return f"UPDATE {table} SET {', '.join(f'{name} = ?' for name in changed)} WHERE {key} = ?"
    assignments = ", ".join(f"{name} = v.{name}" for name in changed)
    source = f"unnest({_arrays(metadata.tables[table], columns)}) AS v ({', '.join(columns)})"
    return f"UPDATE {table} AS t SET {assignments} FROM {source} WHERE t.{key} = v.{key}"


@lru_cache(maxsize=256)
def _delete(table: str, columns: tuple[str, ...], *, arrays: bool) -> str:
    if not arrays:
        return f"DELETE FROM {table} WHERE {' AND '.join(f'{name} = ?' for name in columns)}"
    source = f"unnest({_arrays(metadata.tables[table], columns)}) AS v ({', '.join(columns)})"
    return f"DELETE FROM {table} AS t USING {source} WHERE {' AND '.join(f't.{n} = v.{n}' for n in columns)}"


@lru_cache(maxsize=256)
def _select(table: str, wanted: tuple[str, ...], by: tuple[str, ...], rest: str, *, arrays: bool) -> str:
    names = ", ".join(wanted)
    if not arrays:
        return f"SELECT {names} FROM {table} AS t {rest.format(' AND '.join(f't.{name} = ?' for name in by))}"
    source = f"unnest({_arrays(metadata.tables[table], by)}) AS v ({', '.join(by)})"
    joined = " AND ".join(f"t.{name} = v.{name}" for name in by)
    return f"SELECT {names} FROM {source} JOIN {table} AS t ON {joined} {rest.format('true')}"


@lru_cache(maxsize=1024)
def _insert_together(table: str, columns: tuple[str, ...], conflict: str, rows: int) -> str:
    values = ", ".join([f"({', '.join('?' * len(columns))})"] * rows)
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values} {conflict}"


def insert_together(
    connection: Connection,
    table: Table,
    columns: tuple[str, ...],
    rows: Sequence[Row],
    conflict: str = "",
) -> int:
    """Many rows in few statements, as part of the connection's transaction; how many were written.

    On SQLite a statement gives the interpreter up once, however many rows it has: while the event loop is busy that is
    what costs.
    """
    written = 0
    with closing(connection.connection.cursor()) as cursor:
        if connection.dialect.name == "postgresql":
            if rows:
                text = _insert(table.name, columns, conflict, arrays=True)
                cursor.execute(text, _columns(rows))
                written = cursor.rowcount
        else:
            for at in range(0, len(rows), _TOGETHER):
                some = rows[at : at + _TOGETHER]
                text = _insert_together(table.name, columns, conflict, len(some))
                cursor.execute(text, tuple(chain.from_iterable(some)))
                written += cursor.rowcount
    return written


def upsert_together(
    connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]], *, key: tuple[str, ...]
) -> None:
    """As `insert_together`; where the key is there, all other given columns take the new values.

    No two rows may have the same key.
    """
    if rows:
        columns = tuple(rows[0])
        changed = ", ".join(f"{name} = excluded.{name}" for name in columns if name not in key)
        conflict = f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {changed}"
        insert_together(connection, table, columns, [tuple(row.values()) for row in rows], conflict)


class Cursor(Protocol):
    """What both drivers' cursors have."""

    def execute(self, text: str, parameters: Any, /) -> Any: ...
    def executemany(self, text: str, rows: Any, /) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def close(self) -> Any: ...


class Bulk:
    """One transaction: statements on the driver's cursor, and a SQLAlchemy connection where one is asked for.

    `arrays`: the driver is PostgreSQL's. `topics`: what the commit leaves for others to do (`wakeups`).
    """

    def __init__(self, cursor: Cursor, connect: Callable[[], Connection], *, arrays: bool) -> None:
        self.arrays = arrays
        self.topics: set[str] = set()
        self._cursor = cursor
        self._connect = connect

    @property
    def connection(self) -> Connection:
        """The same transaction for Core statements; asking costs as much as several rows."""
        return self._connect()

    def insert(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row], conflict: str = "") -> None:
        if rows:
            self._run(_insert(table.name, columns, conflict, arrays=self.arrays), rows)

    def update(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """`columns[0]` is the key; the rows have the same order."""
        if not rows:
            return
        text = _update(table.name, columns, arrays=self.arrays)
        self._run(text, rows if self.arrays else [(*row[1:], row[0]) for row in rows])

    def delete(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        if rows:
            self._run(_delete(table.name, columns, arrays=self.arrays), rows)

    def select(
        self,
        table: Table,
        wanted: tuple[str, ...],
        by: tuple[str, ...],
        rows: Sequence[Row],
        rest: str = "WHERE {}",
    ) -> Iterable[Row]:
        """Rows of `table AS t` where the columns `by` have one of the given values.

        `rest` follows the table: joins, then WHERE, in which `{}` stands for the comparison with the values.
        """
        if not rows:
            return ()
        text = _select(table.name, wanted, by, rest, arrays=self.arrays)
        if self.arrays:
            return self._fetch(text, _columns(rows))
        found: list[Row] = []
        for row in rows:
            found.extend(self._fetch(text, row))
        return found

    def query(self, sqlite: str, postgres: str, parameters: Row) -> Iterable[Row]:
        return self._fetch(postgres if self.arrays else sqlite, parameters)

    def close(self) -> None:
        self._cursor.close()

    def _run(self, text: str, rows: Sequence[Row]) -> None:
        if self.arrays:
            self._cursor.execute(text, _columns(rows))
        else:
            self._cursor.executemany(text, rows)

    def _fetch(self, text: str, parameters: Sequence[Any]) -> list[Row]:
        self._cursor.execute(text, parameters)
        return self._cursor.fetchall()


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
