"""What both engines offer to the store's facade, and what repositories may ask of a connection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from tocsin.api.ids import Disguise
from tocsin.store.arrivals import Arrival, Stored
from tocsin.store.errors import StoreError
from tocsin.store.openings import Openings
from tocsin.store.wakeups import Wakeups

T = TypeVar("T")

Call = tuple[Arrival, ...]
Answer = tuple[Stored, ...] | StoreError

DISGUISE = "tocsin_disguise"
OPENINGS = "tocsin_openings"


def disguise_of(connection: Connection) -> Disguise:
    """The mapping between numbers and public ids of this connection's database."""
    found = connection.get_execution_options()[DISGUISE]
    assert isinstance(found, Disguise)
    return found


def openings_of(connection: Connection) -> Openings | None:
    """SQLite's memory of open groups, which must forget what is changed behind its back."""
    found = connection.get_execution_options().get(OPENINGS)
    assert found is None or isinstance(found, Openings)
    return found


class Backend(Protocol):
    """One database. All methods block and are called from threads. They raise StoreUnavailable."""

    disguise: Disguise
    wakeups: Wakeups

    def read(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` on a connection that is not meant to write."""
        ...

    def write(self, fn: Callable[[Connection], T]) -> T:
        """Run `fn` in one transaction; durable on return."""
        ...

    def ingest(self, calls: Sequence[Call]) -> Sequence[Answer]:
        """Store all calls in one transaction; one answer per call, durable on return."""
        ...

    def close(self) -> None: ...
