"""One escalation of one group: which steps are due, what they do, when to go on (alert-flow 10). Pure."""

from __future__ import annotations

from typing import Protocol

import msgspec

from tocsin.flow.escalation.effects import Effect
from tocsin.flow.escalation.snapshot import Snapshot
from tocsin.flow.groups import State
from tocsin.flow.model import Micros
from tocsin.flow.targets import Targets


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an escalation stands: stored after each advance, replaced at every start.

    `cursor`: index of the next step. `passes`: how often a step went back to the first one. `paused`: waits for the
    next alert, not for a moment. `pause_logged` and `edit_logged`: what was said once is not said again.
    """

    snapshot: Snapshot
    started_at: Micros
    resume_at: Micros
    cursor: int = 0
    passes: int = 0
    paused: bool = False
    pause_logged: bool = False
    edit_logged: bool = False
    finished: bool = False


class OnDuty(Protocol):
    """Who is on call now, as flow/oncall answers: `namespace/name`; `error` says why nobody is."""

    @property
    def responders(self) -> tuple[str, ...]: ...
    @property
    def error(self) -> str: ...


class Facts(Protocol):
    """What is true of the group and of the flow now, read in the transaction that stores what comes of it."""

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


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """`resume_at` None: no moment is waited for (finished, paused, stopped or silenced)."""

    run: Run
    effects: tuple[Effect, ...] = ()
    resume_at: Micros | None = None


def start(snapshot: Snapshot, now: Micros, *, delay: int = 0) -> Run:
    """A run from the first step. `delay`: 0 for a new group, START_DELAY_AGAIN after what people did."""
    return Run(snapshot=snapshot, started_at=now, resume_at=Micros(now + delay))
