"""Does who acknowledged still work on it? The reminder and the automatic un-acknowledge (alert-flow 10.4). Pure."""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec.structs import replace

from tocsin.api.durations import DAY, MINUTE
from tocsin.flow.escalation.effects import Log
from tocsin.flow.escalation.snapshot import Snapshot
from tocsin.flow.groups import Cause, LogKind, Mark
from tocsin.flow.model import Micros

DISTANCE = 10 * MINUTE
"""The least time between two reminders of one group (alert-flow R-ACK-6)."""
OLDEST = 14 * DAY
"""A group older than this is reminded of once more and then left alone, if nothing hangs on the answer (R-ACK-5)."""


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
    """What is true now. `started_at`: of the group. `remind_every`: of the chain now; 0 if it is gone or reminds no more."""

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


def arm(
    snapshot: Snapshot, mark: Mark, *, attached: bool = False, previous: Reminder | None = None
) -> Reminder | None:
    """What an acknowledge starts; None if nothing. It replaces `previous`, the reminder of an earlier acknowledge.

    `snapshot` is that of the group, taken now if it has none. Only what a person acknowledged, and only a group that
    is attached to none, is reminded of (R-ACK-2).
    """
    if not snapshot.remind_every or mark.cause is not Cause.USER or attached:
        return None
    last_asked = None if previous is None else previous.last_asked
    return Reminder(
        acknowledged_at=mark.at,
        acknowledged_by=mark.actor,
        every=snapshot.remind_every,
        unacknowledge_after=snapshot.unacknowledge_after,
        due_at=_apart(Micros(mark.at + snapshot.remind_every), last_asked),
        last_asked=last_asked,
    )


def advance_reminder(reminder: Reminder, facts: ReminderFacts, now: Micros) -> ReminderAdvance:
    """Ask, or give up waiting for an answer. Too early nothing happens, so calling twice is harmless."""
    if reminder.finished:
        return ReminderAdvance(reminder=reminder)
    if _over(reminder, facts):
        return ReminderAdvance(reminder=replace(reminder, finished=True))
    if now < reminder.due_at:
        return ReminderAdvance(reminder=reminder, resume_at=reminder.due_at)
    if reminder.asked_at is not None:
        return ReminderAdvance(reminder=replace(reminder, finished=True), effects=(Unacknowledge(),))
    return _ask(reminder, facts, now)


def confirm(reminder: Reminder, actor: str, now: Micros) -> ReminderAdvance:
    """Somebody says that the group is being worked on, by whatever way, asked or not: the next question is later.

    Anybody who may acknowledge may confirm; the log says who. A finished reminder stays as it is.
    """
    if reminder.finished:
        return ReminderAdvance(reminder=reminder)
    since = now if reminder.asked_at is None else reminder.asked_at
    due_at = max(_apart(Micros(since + reminder.every), reminder.last_asked), now)
    details = {"confirmed_by": actor, "next": str(due_at)}
    return ReminderAdvance(
        reminder=replace(reminder, asked_at=None, due_at=due_at),
        effects=(Log(kind=LogKind.ACKNOWLEDGE_REMINDER, details=details),),
        resume_at=due_at,
    )


def _over(reminder: Reminder, facts: ReminderFacts) -> bool:
    """Something else happened to the group, or the chain reminds no more (R-ACK-3)."""
    mark = facts.acknowledged
    same = mark is not None and mark.cause is Cause.USER and mark.at == reminder.acknowledged_at
    return not same or facts.resolved or facts.attached or not facts.remind_every


def _ask(reminder: Reminder, facts: ReminderFacts, now: Micros) -> ReminderAdvance:
    alerts = facts.alerts_since(reminder.acknowledged_at)
    answer_by = Micros(now + reminder.unacknowledge_after) if reminder.unacknowledge_after else None
    details = {"acknowledged_by": reminder.acknowledged_by, "alerts": str(alerts)}
    if answer_by is not None:
        details["answer_by"] = str(answer_by)
    asked = replace(reminder, last_asked=now, asked_at=None if answer_by is None else now)
    last = answer_by is None and now - facts.started_at > OLDEST
    due_at = answer_by or Micros(now + max(reminder.every, DISTANCE))
    question = Remind(
        acknowledged_by=reminder.acknowledged_by, asked_at=now, answer_by=answer_by, alerts=alerts
    )
    return ReminderAdvance(
        reminder=replace(asked, due_at=due_at, finished=last),
        effects=(Log(kind=LogKind.ACKNOWLEDGE_REMINDER, details=details), question),
        resume_at=None if last else due_at,
    )


def _apart(moment: Micros, last_asked: Micros | None) -> Micros:
    return moment if last_asked is None else max(moment, Micros(last_asked + DISTANCE))
