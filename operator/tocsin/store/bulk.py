"""Many rows per statement on the hot path, below SQLAlchemy's per-statement cost.

PostgreSQL gets whole columns as arrays, so that the text (and with it the server's plan) is the same for any number of
rows. SQLite gets the values of up to 64 rows in one statement, in powers of two so that few texts are ever prepared:
Python's lock is given back once per statement instead of once per row, and who gives it back while the event loop is
busy has to wait for it each time. Texts are derived from the Core tables and built once.
"""

# ruff: noqa: S608 - the names in these texts come from tables.py, the values are always parameters
from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Protocol

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from tocsin.store.tables import metadata

Row = tuple[Any, ...]

_MOST_ROWS = 64
"""Of one statement on SQLite. All columns of the widest table, times this, are below any limit of parameters."""

_POSTGRESQL = postgresql.dialect()  # type: ignore[no-untyped-call]


def _type(table: Table, column: str) -> str:
    return table.c[column].type.compile(_POSTGRESQL).replace("SERIAL", "INT")


def _arrays(table: Table, columns: Sequence[str]) -> str:
    return ", ".join(f"%b::{_type(table, name)}[]" for name in columns)


@lru_cache(maxsize=256)
def _insert(table: str, columns: tuple[str, ...], conflict: str, rows: int) -> str:
    """`rows` is 0 for arrays."""
    names = ", ".join(columns)
    if rows:
        source = f"VALUES {_places(len(columns), rows)}"
    else:
        source = f"SELECT * FROM unnest({_arrays(metadata.tables[table], columns)})"
    return f"INSERT INTO {table} ({names}) {source} {conflict}"


def _places(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)


def _overwriting(columns: tuple[str, ...]) -> str:
    key, *changed = columns
    return f"ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in changed)}"


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
def _select(table: str, wanted: tuple[str, ...], by: tuple[str, ...], rest: str, rows: int) -> str:
    """`rows` is 0 for arrays."""
    names = ", ".join(wanted)
    if rows == 1:
        return f"SELECT {names} FROM {table} AS t {rest.format(' AND '.join(f't.{name} = ?' for name in by))}"
    if rows:  # SQLite calls the columns of VALUES so, and keeps the order of a CROSS JOIN: keys first, then the index
        joined = " AND ".join(f"t.{name} = v.column{at}" for at, name in enumerate(by, 1))
        values = f"(VALUES {_places(len(by), rows)}) AS v"
        return f"SELECT {names} FROM {values} CROSS JOIN {table} AS t ON {joined} {rest.format('true')}"
    source = f"unnest({_arrays(metadata.tables[table], by)}) AS v ({', '.join(by)})"
    joined = " AND ".join(f"t.{name} = v.{name}" for name in by)
    return f"SELECT {names} FROM {source} JOIN {table} AS t ON {joined} {rest.format('true')}"


class Cursor(Protocol):
    """What both drivers' cursors have."""

    def execute(self, text: str, parameters: Any, /) -> Any: ...
    def executemany(self, text: str, rows: Any, /) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def close(self) -> Any: ...


class Bulk:
    """One transaction: statements on the driver's cursor, and a SQLAlchemy connection where one is asked for.

    `arrays`: the driver is PostgreSQL's.
    """

    def __init__(self, cursor: Cursor, connect: Callable[[], Connection], *, arrays: bool) -> None:
        self.arrays = arrays
        self._cursor = cursor
        self._connect = connect

    @property
    def connection(self) -> Connection:
        """The same transaction for Core statements; asking costs as much as several rows."""
        return self._connect()

    def insert(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row], conflict: str = "") -> None:
        if not rows:
            return
        if self.arrays:
            self._cursor.execute(_insert(table.name, columns, conflict, 0), _columns(rows))
            return
        for part in _parts(rows):
            self._cursor.execute(_insert(table.name, columns, conflict, len(part)), _flat(part))

    def overwrite(self, table: Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
        """`update`, cheaper, where `columns` are all that have no default."""
        if self.arrays:
            self.update(table, columns, rows)
        else:
            self.insert(table, columns, rows, _overwriting(columns))

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
        if self.arrays:
            return self._fetch(_select(table.name, wanted, by, rest, 0), _columns(rows))
        found: list[Row] = []
        for part in _parts(rows):
            found.extend(self._fetch(_select(table.name, wanted, by, rest, len(part)), _flat(part)))
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


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in slices of 64, then of ever smaller powers of two."""
    at, size = 0, _MOST_ROWS
    while at < len(rows):
        while size > len(rows) - at:
            size >>= 1
        yield rows[at : at + size]
        at += size


def _flat(rows: Sequence[Row]) -> Row:
    return rows[0] if len(rows) == 1 else tuple(chain.from_iterable(rows))


def _columns(rows: Sequence[Row]) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)]
