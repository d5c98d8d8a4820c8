"""What the receiver needs to know of the process that it runs in."""

from __future__ import annotations

from typing import Protocol

from tocsin.flow.program import Program


class Live(Protocol):
    """The flow in force. `program` is replaced, never changed."""

    @property
    def program(self) -> Program: ...

    @property
    def not_ready(self) -> str:
        """Why no alert can be taken now, in words; "" while all is well."""
        ...
