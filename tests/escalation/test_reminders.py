"""Acknowledge reminders."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.api.durations import DAY, HOUR, MINUTE
from tocsin.flow.escalation.reminders import (
    DISTANCE,
    OLDEST,
    Remind,
    Reminder,
    ReminderAdvance,
    Unacknowledge,
    advance_reminder,
    arm,
    confirm,
)
from tocsin.flow.escalation.snapshot import Snapshot
from tocsin.flow.groups import Cause, Mark
from tocsin.flow.model import Micros

BY_ANN = Mark(at=Micros(0), cause=Cause.USER, actor="ann")
ASKS = Snapshot(route="default/route", chain="default/main", remind_every=3 * HOUR)
INSISTS = Snapshot(
    route="default/route", chain="default/main", remind_every=3 * HOUR, unacknowledge_after=15 * MINUTE
)


@dataclass
class Facts:
    acknowledged: Mark | None = BY_ANN
    resolved: bool = False
    attached: bool = False
    started_at: Micros = BY_ANN.at
    remind_every: int = 3 * HOUR
    alerts: int = 0

    def alerts_since(self, moment: Micros) -> int:
        return self.alerts


def armed(snapshot: Snapshot = ASKS, mark: Mark = BY_ANN) -> Reminder:
    reminder = arm(snapshot, mark)
    assert reminder is not None
    return reminder


def questions(done: ReminderAdvance) -> list[Remind]:
    return [effect for effect in done.effects if isinstance(effect, Remind)]


def test_what_arms_it() -> None:
    """A person's acknowledge of a group that is attached to none, where the chain asks; a later one replaces it.

    Rules: R-ACK-2
    """
    assert armed().due_at == 3 * HOUR
    assert arm(ASKS, Mark(at=Micros(0), cause=Cause.SOURCE)) is None
    assert arm(ASKS, BY_ANN, attached=True) is None
    assert arm(Snapshot(route="r", chain="default/main"), BY_ANN) is None
    later = Facts(acknowledged=Mark(at=Micros(HOUR), cause=Cause.USER, actor="bob"))
    assert advance_reminder(armed(), later, Micros(3 * HOUR)).reminder.finished


def test_what_ends_it_without_a_question() -> None:
    """Anything else that happened to the group, and a chain that asks no more."""
    for facts in (
        Facts(acknowledged=None),
        Facts(acknowledged=Mark(at=Micros(0), cause=Cause.SOURCE)),
        Facts(resolved=True),
        Facts(attached=True),
        Facts(remind_every=0),
    ):
        done = advance_reminder(armed(INSISTS), facts, Micros(3 * HOUR))
        assert (done.effects, done.resume_at, done.reminder.finished) == ((), None, True)


def test_it_asks_every_interval_while_the_group_is_young() -> None:
    """The last question is the first one after 14 days; how many alerts came is said each time (S-17).

    Rules: R-ACK-5
    """
    reminder, now, asked = armed(), Micros(0), 0
    while not reminder.finished:
        now = reminder.due_at
        done = advance_reminder(reminder, Facts(alerts=7), now)
        assert [(question.alerts, question.answer_by) for question in questions(done)] == [(7, None)]
        reminder, asked = done.reminder, asked + 1
    assert now - OLDEST <= 3 * HOUR
    assert asked == OLDEST // (3 * HOUR) + 1


def test_never_twice_in_ten_minutes() -> None:
    """Whatever the interval, the confirmations and the acknowledges in between.

    Rules: R-ACK-6
    """
    short = Snapshot(route="r", chain="default/main", remind_every=MINUTE)
    asked = advance_reminder(armed(short), Facts(), Micros(MINUTE))
    assert asked.resume_at == MINUTE + DISTANCE
    assert confirm(asked.reminder, "ann", Micros(2 * MINUTE)).resume_at == MINUTE + DISTANCE
    again = arm(short, Mark(at=Micros(3 * MINUTE), cause=Cause.USER, actor="bob"), previous=asked.reminder)
    assert again is not None
    assert again.due_at == MINUTE + DISTANCE


def test_no_answer_takes_the_acknowledge_back() -> None:
    """Once; where something hangs on the answer the age of the group does not matter."""
    old = Facts(started_at=Micros(-30 * DAY))
    asked = advance_reminder(armed(INSISTS), old, Micros(3 * HOUR))
    assert [question.answer_by for question in questions(asked)] == [3 * HOUR + 15 * MINUTE]
    assert asked.resume_at == 3 * HOUR + 15 * MINUTE
    waiting = advance_reminder(asked.reminder, old, Micros(3 * HOUR + 14 * MINUTE))
    assert waiting == ReminderAdvance(reminder=asked.reminder, resume_at=asked.resume_at)
    done = advance_reminder(asked.reminder, old, Micros(3 * HOUR + 15 * MINUTE))
    assert (done.effects, done.reminder.finished) == ((Unacknowledge(),), True)
    assert advance_reminder(done.reminder, old, Micros(DAY)).effects == ()


def test_anybody_may_confirm_at_any_time() -> None:
    """Asked: one interval after the question. Not asked yet: one interval from now. Over: nothing."""
    asked = advance_reminder(armed(INSISTS), Facts(), Micros(3 * HOUR)).reminder
    answered = confirm(asked, "bob", Micros(3 * HOUR + MINUTE))
    assert answered.resume_at == 6 * HOUR
    assert answered.effects[0].details["confirmed_by"] == "bob"
    assert advance_reminder(answered.reminder, Facts(), Micros(4 * HOUR)).effects == ()
    assert confirm(armed(INSISTS), "ann", Micros(HOUR)).resume_at == 4 * HOUR
    over = advance_reminder(armed(), Facts(resolved=True), Micros(3 * HOUR)).reminder
    assert confirm(over, "ann", Micros(4 * HOUR)) == ReminderAdvance(reminder=over)
