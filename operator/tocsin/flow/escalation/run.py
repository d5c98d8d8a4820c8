"""One escalation of one group: which steps are due, what they do, when to go on (alert-flow 10). Pure.

Steps follow each other at once; only a wait, a time window, a count of alerts and a repeat make time pass. What is
overdue is in `overdue`. Errors of steps are entries of the log and never stop a run (R-ESC-35).
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from tocsin.api.durations import MINUTE, parse_duration
from tocsin.api.escalationchain import AlertCountStep, RepeatStep, Step, TimeWindowStep
from tocsin.flow.escalation.effects import Effect, Log, ResolveGroup
from tocsin.flow.escalation.facts import Facts, OnDuty
from tocsin.flow.escalation.overdue import LATE, Due
from tocsin.flow.escalation.snapshot import Snapshot, is_current
from tocsin.flow.escalation.telling import Place, Teller, member_of, once_each, turns_in
from tocsin.flow.escalation.timewindow import inside, next_start
from tocsin.flow.groups import LogKind, State
from tocsin.flow.model import Micros
from tocsin.flow.targets import Targets
from tocsin.flow.zones import UnknownTimeZone

__all__ = [
    "BROKEN_WAIT",
    "MIN_PASS",
    "Advance",
    "Facts",
    "OnDuty",
    "Run",
    "advance",
    "ends",
    "new_alert",
    "start",
]

MIN_PASS = MINUTE
"""A chain that repeats takes at least this long for a pass, so that one without waits is no alarm that never ends."""

BROKEN_WAIT = 5 * MINUTE
"""How long a wait lasts whose duration cannot be read (R-ESC-11)."""


class Run(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an escalation stands: stored after each advance, replaced at every start.

    `cursor`: index of the next step. `passes`: how often a step went back to the first one. `paused`: waits for the
    next alert, not for a moment. `pause_logged` and `edit_logged`: what was said once is not said again. `turns`: whom
    each round robin told in this run, by index of the step.
    """

    snapshot: Snapshot
    started_at: Micros
    resume_at: Micros
    cursor: int = 0
    passes: int = 0
    paused: bool = False
    pause_logged: bool = False
    edit_logged: bool = False
    turns: dict[str, tuple[str, ...]] = {}
    finished: bool = False


class Advance(msgspec.Struct, frozen=True, kw_only=True):
    """`resume_at` None: no moment is waited for (finished, paused, stopped or silenced)."""

    run: Run
    effects: tuple[Effect, ...] = ()
    resume_at: Micros | None = None


def start(snapshot: Snapshot, now: Micros, *, delay: int = 0) -> Run:
    """A run from the first step. `delay`: 0 for a new group, START_DELAY_AGAIN after what people did."""
    return Run(snapshot=snapshot, started_at=now, resume_at=Micros(now + delay))


def advance(run: Run, facts: Facts, now: Micros) -> Advance:
    """Everything that is due. Too early, paused and finished runs stay as they are, so calling twice is harmless."""
    if run.finished:
        return Advance(run=run)
    if ends(run.snapshot, facts):
        return Advance(run=replace(run, paused=False, finished=True))
    if run.paused or facts.state is State.SILENCED:  # the end of the silence starts anew (R-ESC-42)
        return Advance(run=run)
    if now < run.resume_at:
        return Advance(run=run, resume_at=run.resume_at)
    return _Walk(run, facts, now).walk()


def new_alert(run: Run, facts: Facts, now: Micros) -> Advance:
    """An alert joined the group: a run that is paused for want of alerts counts again (R-ESC-30)."""
    resumes = run.paused and facts.state is State.FIRING
    return advance(replace(run, paused=False, resume_at=now) if resumes else run, facts, now)


def ends(snapshot: Snapshot, facts: Facts) -> bool:
    """Whether the state of the group ends its escalation for good (R-ESC-7, R-ESC-40 to R-ESC-43)."""
    if facts.attached or facts.wiped or not snapshot.chain:
        return True
    if facts.state is State.SILENCED:
        return facts.silenced_for_ever
    return facts.state is not State.FIRING


class _Walk:
    """Runs steps from where the run stands until one of them makes time pass. `_at`: the nominal time of the moment."""

    def __init__(self, run: Run, facts: Facts, now: Micros) -> None:
        self._run = run
        self._snapshot = run.snapshot
        self._broken = dict(run.snapshot.broken)
        self._facts = facts
        self._now = now
        self._at = run.resume_at
        self._due: Due[Effect] = Due(late=now - run.resume_at > LATE)
        self._teller = Teller(facts, self._due, run.turns)

    def walk(self) -> Advance:
        steps = self._snapshot.steps
        goes_on = True
        while goes_on and self._run.cursor < len(steps):
            goes_on = self._step(self._run.cursor, steps[self._run.cursor])
        if goes_on:
            self._due.add(len(steps), Log(kind=LogKind.ESCALATION_FINISHED, details={}))
            self._run = replace(self._run, finished=True)
        notes = self._notes()
        turns = turns_in(self._due.effects)
        if turns:
            had = self._run.turns
            taken = {step: (*had.get(step, ()), *names) for step, names in turns.items()}
            self._run = replace(self._run, turns={**had, **taken})
        over = self._run.finished or self._run.paused
        return Advance(
            run=self._run,
            effects=(*notes, *once_each(self._due.effects)),
            resume_at=None if over else self._run.resume_at,
        )

    def _step(self, index: int, step: Step) -> bool:
        """Whether the next step is due, too. The cursor is then on it; otherwise where the run will go on."""
        place = Place(chain=self._snapshot.chain, index=index, passes=self._run.passes, type=member_of(step))
        self._run = replace(self._run, cursor=index + 1)
        if index in self._broken:
            self._teller.fail(place, self._broken[index])
            return step.wait is None or self._wait(place, BROKEN_WAIT)
        if step.wait is not None:
            return self._wait(place, parse_duration(step.wait.duration))
        if step.continue_in_time_window is not None:
            return self._window(place, step.continue_in_time_window)
        if step.continue_if_more_alerts is not None:
            return self._count(place, step.continue_if_more_alerts)
        if step.repeat is not None:
            return self._repeat(place, step.repeat)
        if step.resolve is not None:
            self._due.add(index, place.ran(), ResolveGroup())
            self._run = replace(self._run, finished=True)
            return False
        self._teller.tell(place, step)
        return True

    def _wait(self, place: Place, duration: int) -> bool:
        until = self._due.until(self._at, duration, self._now)
        if until > self._now:
            self._due.add(place.index, place.ran(until=str(until)))
            self._run = replace(self._run, resume_at=until)
            return False
        self._at = until
        self._due.next_moment()
        return True

    def _window(self, place: Place, window: TimeWindowStep) -> bool:
        """Judged now, however late: what the window is to prevent would happen now."""
        try:
            if inside(window, self._now):
                return True
            begin = next_start(window, self._now)
        except UnknownTimeZone:
            self._teller.fail(place, f"there is no time zone {window.time_zone!r}: write an IANA name")
            return True
        self._due.add(place.index, place.ran(until=str(begin)))
        self._run = replace(self._run, cursor=place.index, resume_at=begin)
        return False

    def _count(self, place: Place, step: AlertCountStep) -> bool:
        if self._facts.alerts_within(parse_duration(step.within)) > step.more_than:
            self._run = replace(self._run, pause_logged=False)
            return True
        if not self._run.pause_logged:
            reason = f"paused until more than {step.more_than} alerts came within {step.within}"
            self._due.add(place.index, place.ran(reason=reason))
        self._run = replace(self._run, cursor=place.index, paused=True, pause_logged=True)
        return False

    def _repeat(self, place: Place, step: RepeatStep) -> bool:
        if self._run.passes >= step.times:
            return True
        self._run = replace(self._run, cursor=0, passes=self._run.passes + 1)
        waits = (step.wait for step in self._snapshot.steps[: place.index] if step.wait is not None)
        rest = MIN_PASS - sum(parse_duration(wait.duration) for wait in waits)
        return rest <= 0 or self._wait(place, rest)

    def _notes(self) -> list[Log]:
        """What is to be said before the steps' own effects: edits of the chain, steps that made way."""
        notes = []
        edit = "" if self._run.edit_logged else _edited(self._snapshot, self._facts.targets)
        if edit:
            self._run = replace(self._run, edit_logged=True)
            notes.append(Log(kind=LogKind.ESCALATION_TRIGGERED, details={"reason": edit}))
        if self._due.skipped:
            reason = "overdue, because nobody ran them in time: only the newest steps that are due were run"
            details = {"skipped": self._due.skipped, "reason": reason}
            notes.append(Log(kind=LogKind.ESCALATION_TRIGGERED, details=details))
        return notes


def _edited(snapshot: Snapshot, targets: Targets) -> str:
    """What a run that goes on as it began owes to those who changed the chain meanwhile (S-38)."""
    if is_current(snapshot, targets):
        return ""
    if snapshot.chain not in targets.chains:
        return f"EscalationChain {snapshot.chain} is gone; this escalation goes on as it began"
    return (
        f"EscalationChain {snapshot.chain} was edited; this escalation goes on as it began: "
        "restart the group to use the edit"
    )
