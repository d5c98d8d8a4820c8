"""What the receiver needs of the rest of the process: the flow and the credentials in force, and a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.flow.model import Micros
from tocsin.flow.program import Program
from tocsin.store.arrivals import Arrival, Stored

T = TypeVar("T")


class Token(Protocol):
    """An endpoint token: whose it is and how long it counts (times in microseconds, None: no end).

    `valid_until` ends a rotation's overlap; `entombed_until` is set once the Integration is deleted.
    """

    @property
    def integration(self) -> Identity: ...
    @property
    def valid_until(self) -> Micros | None: ...
    @property
    def entombed_until(self) -> Micros | None: ...


class Live(Protocol):
    """What this process enforces now. Each of the first three is replaced, never changed."""

    @property
    def program(self) -> Program: ...
    @property
    def tokens(self) -> Mapping[bytes, Token]:
        """By SHA-256 of the token."""
        ...

    @property
    def secrets(self) -> Mapping[tuple[str, str, str], Sequence[str]]:
        """(namespace, Secret, key) -> values that count now."""
        ...

    @property
    def not_ready(self) -> str:
        """Why no alert can be taken now, in words; "" while all is well."""
        ...


class AlertStore(Protocol):
    """The part of `store.Store` that the receiver uses."""

    def ingest(self, arrivals: tuple[Arrival, ...]) -> asyncio.Future[tuple[Stored, ...]]: ...
    async def write(self, fn: Callable[[Connection], T]) -> T: ...
