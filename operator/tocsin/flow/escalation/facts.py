"""What an escalation has to know of the group and of the flow. Who runs it answers."""

from __future__ import annotations

from typing import Protocol

from tocsin.flow.groups import State
from tocsin.flow.targets import Targets


class OnDuty(Protocol):
    """Who is on call now, as flow/oncall answers: `namespace/name`; without anybody `error` says why."""

    @property
    def responders(self) -> tuple[str, ...]: ...
    @property
    def error(self) -> str: ...


class Facts(Protocol):
    """What is true now, read in the transaction that stores what comes of it."""

    @property
    def targets(self) -> Targets: ...
    @property
    def state(self) -> State: ...
    @property
    def attached(self) -> bool: ...
    @property
    def wiped(self) -> bool: ...
    @property
    def silenced_for_ever(self) -> bool: ...

    def alerts_within(self, micros: int) -> int:
        """How many alerts were created at or after (creation of the last one - `micros`)."""

    def on_call(self, schedule: str) -> OnDuty:
        """Of a schedule that is in `targets`."""

    def last_in_turn(self, chain: str, step: str) -> str:
        """The responder that this round robin told last; empty if nobody yet."""
