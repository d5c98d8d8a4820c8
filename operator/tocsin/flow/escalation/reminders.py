"""Does who acknowledged still work on it? The reminder and the automatic un-acknowledge (alert-flow 10.4). Pure."""

from __future__ import annotations

from typing import Protocol

import msgspec

from tocsin.flow.escalation.effects import Log
from tocsin.flow.groups import Mark
from tocsin.flow.model import Micros


class Reminder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stored with an acknowledged group, replaced by a later acknowledge. Durations in microseconds, 0: never.

    `asked_at`: the question that has no answer yet. `last_asked`: the latest question of all, to keep the distance.
    """

    acknowledged_at: Micros
    acknowledged_by: str
    every: int
    due_at: Micros
    unacknowledge_after: int = 0
    asked_at: Micros | None = None
    last_asked: Micros | None = None
    finished: bool = False


class ReminderFacts(Protocol):
    """What is true now. `remind_every`: of the chain as it is now; 0 if it is gone or reminds no more."""

    @property
    def acknowledged(self) -> Mark | None: ...
    @property
    def resolved(self) -> bool: ...
    @property
    def attached(self) -> bool: ...
    @property
    def started_at(self) -> Micros: ...
    @property
    def remind_every(self) -> int: ...

    def alerts_since(self, moment: Micros) -> int:
        """How many alerts were created after `moment`."""


class Remind(msgspec.Struct, frozen=True, kw_only=True):
    """Ask whoever acknowledged, wherever the group is posted. `answer_by` None: nothing happens without an answer.

    `alerts`: how many alerts joined since the acknowledge (S-17). `number`: the moment of asking, for the
    idempotency key.
    """

    acknowledged_by: str
    asked_at: Micros
    answer_by: Micros | None
    alerts: int


class Unacknowledge(msgspec.Struct, frozen=True, kw_only=True):
    """Apply Verb.REMINDER_TIMEOUT to the group, which logs, raises the event and starts escalation again."""


ReminderEffect = Remind | Unacknowledge | Log


class ReminderAdvance(msgspec.Struct, frozen=True, kw_only=True):
    """`resume_at` None: the reminder is over."""

    reminder: Reminder
    effects: tuple[ReminderEffect, ...] = ()
    resume_at: Micros | None = None
