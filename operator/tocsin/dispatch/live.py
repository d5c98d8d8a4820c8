"""What the dispatcher needs of the rest of the process: the flow in force."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection

from tocsin.dispatch.clock import SECOND
from tocsin.flow.model import Micros
from tocsin.flow.program import Program
from tocsin.store import revisions

CATCH_UP = SECOND
"""How soon to look again while this process has not loaded the newest flow."""


class Live(Protocol):
    """The flow that this process enforces now; replaced as a whole, never changed."""

    @property
    def program(self) -> Program: ...


def catching_up(connection: Connection, program: Program, now: Micros) -> Micros | None:
    """When to try again if a newer flow than `program` is published; None if there is none.

    Keeps a process that is a moment behind, or cannot load the newest flow, from acting on objects that were changed or
    deleted; one that has caught up does it.
    """
    current = revisions.current(connection)
    if current is None or current.digest == program.digest:
        return None
    return Micros(now + CATCH_UP)
