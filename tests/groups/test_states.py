"""The state machine alone."""

from __future__ import annotations

import itertools

import pytest
from msgspec.structs import replace

from tocsin.flow.groups import (
    Action,
    Actor,
    Cause,
    Effect,
    GroupState,
    LogKind,
    Mark,
    Refusal,
    Refused,
    Silence,
    State,
    Verb,
    Via,
    follow,
    transition,
)
from tocsin.flow.model import Micros

ANN = Actor(name="ann", via=Via.WEB)
SOURCE = Mark(at=Micros(5), cause=Cause.SOURCE)
FIRING = GroupState(number=7, started_at=Micros(1))
ACKNOWLEDGED = replace(FIRING, acknowledged=SOURCE)
SILENCED = replace(FIRING, silenced=Silence(at=Micros(5)))
RESOLVED = replace(FIRING, resolved=SOURCE)
GROUPS = {
    State.FIRING: FIRING,
    State.ACKNOWLEDGED: ACKNOWLEDGED,
    State.SILENCED: SILENCED,
    State.RESOLVED: RESOLVED,
}


def act(group: GroupState, verb: Verb, **more: object) -> State | Refusal:
    """The state that follows, or why not."""
    action = Action(verb=verb, at=Micros(9), actor=ANN, **more)
    try:
        return transition(group, action).group.state
    except Refused as refused:
        return refused.reason


def test_the_strongest_mark_is_the_state() -> None:
    """Resolved, else acknowledged, else silenced, else firing.

    Rules: R-AGS-1
    """
    for resolved, acknowledged, silenced in itertools.product((SOURCE, None), (SOURCE, None), (True, False)):
        group = replace(
            FIRING,
            resolved=resolved,
            acknowledged=acknowledged,
            silenced=Silence(at=Micros(5)) if silenced else None,
        )
        expected = State.SILENCED if silenced else State.FIRING
        if acknowledged is not None:
            expected = State.ACKNOWLEDGED
        if resolved is not None:
            expected = State.RESOLVED
        assert group.state is expected


@pytest.mark.parametrize(
    ("verb", "firing", "acknowledged", "silenced", "resolved"),
    [
        (Verb.ACKNOWLEDGE, "acknowledged", Refusal.ACKNOWLEDGED, "acknowledged", Refusal.RESOLVED),
        (
            Verb.UNACKNOWLEDGE,
            Refusal.NOT_ACKNOWLEDGED,
            "firing",
            Refusal.NOT_ACKNOWLEDGED,
            Refusal.NOT_ACKNOWLEDGED,
        ),
        (Verb.RESOLVE, "resolved", "resolved", "resolved", Refusal.RESOLVED),
        (Verb.UNRESOLVE, Refusal.NOT_RESOLVED, Refusal.NOT_RESOLVED, Refusal.NOT_RESOLVED, "firing"),
        (Verb.SILENCE, "silenced", "silenced", "silenced", Refusal.RESOLVED),
        (Verb.UNSILENCE, Refusal.NOT_SILENCED, Refusal.NOT_SILENCED, "firing", Refusal.NOT_SILENCED),
        (Verb.RESTART, Refusal.FIRING, "firing", "firing", "firing"),
        (Verb.WIPE, "resolved", "resolved", "resolved", "resolved"),
        (Verb.SOURCE_ACKNOWLEDGE, "acknowledged", "acknowledged", "acknowledged", "resolved"),
        (Verb.SOURCE_RESOLVE, "resolved", "resolved", "resolved", "resolved"),
        (Verb.LAST_STEP, "resolved", "resolved", "resolved", "resolved"),
        (Verb.REMINDER_TIMEOUT, "firing", "firing", "silenced", "resolved"),
        (Verb.MAINTENANCE_RESOLVE, "resolved", "resolved", "resolved", "resolved"),
    ],
)
def test_every_verb_in_every_state(
    verb: Verb, firing: object, acknowledged: object, silenced: object, resolved: object
) -> None:
    """The documented transitions and no implicit ones: a resolved group is acknowledged or silenced by nobody."""
    found = tuple(act(GROUPS[state], verb) for state in GROUPS)
    assert found == (firing, acknowledged, silenced, resolved)


def test_causes() -> None:
    """Why it was resolved or acknowledged is remembered.

    Rules: R-AGS-3
    """
    causes = {
        Verb.RESOLVE: Cause.USER,
        Verb.SOURCE_RESOLVE: Cause.SOURCE,
        Verb.LAST_STEP: Cause.LAST_STEP,
        Verb.WIPE: Cause.WIPED,
        Verb.MAINTENANCE_RESOLVE: Cause.MAINTENANCE,
    }
    for verb, cause in causes.items():
        mark = transition(FIRING, Action(verb=verb, at=Micros(9), actor=ANN)).group.resolved
        assert mark == Mark(at=Micros(9), cause=cause, actor="ann")
    for verb, cause in ((Verb.ACKNOWLEDGE, Cause.USER), (Verb.SOURCE_ACKNOWLEDGE, Cause.SOURCE)):
        assert transition(FIRING, Action(verb=verb, at=Micros(9))).group.acknowledged.cause is cause


def test_log_kinds_have_the_known_numbers() -> None:
    """0 to 25 as everybody's tools know them; ours begin at 100.

    Rules: R-LOG-1
    """
    names = [
        "ACKNOWLEDGED", "UNACKNOWLEDGED", "INVITE", "STOP_INVITATION", "RE_INVITE", "ESCALATION_TRIGGERED",
        "INVITATION_TRIGGERED", "SILENCED", "ATTACHED", "UNATTACHED", "WEBHOOK_TRIGGERED",
        "UNACKNOWLEDGED_BY_TIMEOUT", "FAILED_ATTACHMENT", "RESOLVED", "UNRESOLVED", "UNSILENCED",
        "ESCALATION_FINISHED", "ESCALATION_FAILED", "ACKNOWLEDGE_REMINDER", "WIPED", "DELETED", "REGISTERED",
        "ROUTE_ASSIGNED", "DIRECT_PAGING", "UNPAGE", "RESTRICTED",
    ]  # fmt: skip
    assert [LogKind(number).name for number in range(26)] == names
    assert min(kind for kind in LogKind if kind > 25) == 100


def test_acknowledge_by_a_person_arms_the_reminder_by_the_source_does_not() -> None:
    """And both stop escalation and lift a silence with a log entry."""
    person = transition(SILENCED, Action(verb=Verb.ACKNOWLEDGE, at=Micros(9), actor=ANN))
    source = transition(SILENCED, Action(verb=Verb.SOURCE_ACKNOWLEDGE, at=Micros(9)))
    for done in (person, source):
        assert [entry.kind for entry in done.entries] == [LogKind.UNSILENCED, LogKind.ACKNOWLEDGED]
        assert {Effect.STOP_ESCALATION, Effect.CANCEL_UNSILENCE} <= done.effects
    assert Effect.ARM_REMINDER in person.effects
    assert Effect.ARM_REMINDER not in source.effects


def test_a_silence_that_ends_before_it_begins_is_refused() -> None:
    """And one without an end is for ever: nothing is scheduled."""
    assert act(FIRING, Verb.SILENCE, until=Micros(9)) is Refusal.PAST
    done = transition(FIRING, Action(verb=Verb.SILENCE, at=Micros(9), until=Micros(10)))
    assert Effect.SCHEDULE_UNSILENCE in done.effects
    done = transition(done.group, Action(verb=Verb.SILENCE, at=Micros(11)))
    assert Effect.CANCEL_UNSILENCE in done.effects
    assert done.group.silenced == Silence(at=Micros(11))


def test_the_end_of_a_silence_ends_only_that_silence() -> None:
    """A later silence, an acknowledge or a resolve in between leaves nothing to do."""
    silenced = replace(FIRING, silenced=Silence(at=Micros(5), until=Micros(20)))
    ended = Action(verb=Verb.SILENCE_ENDED, at=Micros(20), until=Micros(20))
    assert transition(silenced, ended).group.state is State.FIRING
    for group in (
        FIRING,
        ACKNOWLEDGED,
        RESOLVED,
        replace(FIRING, silenced=Silence(at=Micros(6), until=Micros(30))),
        replace(FIRING, silenced=Silence(at=Micros(6))),
    ):
        done = transition(group, ended)
        assert (done.group, done.entries) == (group, ())


def test_timeout_of_a_reminder_has_its_own_log_entry() -> None:
    """So that people see why it fires again."""
    done = transition(ACKNOWLEDGED, Action(verb=Verb.REMINDER_TIMEOUT, at=Micros(9)))
    assert [entry.kind for entry in done.entries] == [LogKind.UNACKNOWLEDGED_BY_TIMEOUT]
    assert Effect.START_ESCALATION in done.effects


@pytest.mark.parametrize(
    "verb",
    [
        Verb.ACKNOWLEDGE,
        Verb.UNACKNOWLEDGE,
        Verb.SILENCE,
        Verb.UNSILENCE,
        Verb.UNRESOLVE,
        Verb.RESTART,
        Verb.WIPE,
        Verb.DELETE,
        Verb.UNATTACH,
    ],
)
def test_a_maintenance_group_can_only_be_resolved(verb: Verb) -> None:
    """Which ends the maintenance, and leaves its children to the end of the window."""
    assert act(replace(FIRING, maintenance=True), verb) is Refusal.MAINTENANCE
    done = transition(replace(FIRING, maintenance=True), Action(verb=Verb.RESOLVE, at=Micros(9), actor=ANN))
    assert Effect.END_MAINTENANCE in done.effects
    assert done.children is None
    ended = replace(FIRING, maintenance=True, resolved=SOURCE)
    assert act(ended, Verb.DELETE) is State.RESOLVED


def test_children_follow_without_refusals_and_keep_what_they_are_past() -> None:
    """A child that is resolved already keeps its resolution; timers and reminders are the root's alone."""
    child = replace(FIRING, parent=3)
    resolve = Action(verb=Verb.RESOLVE, at=Micros(9), actor=ANN)
    done = follow(child, resolve)
    assert done is not None
    assert (done.group.state, done.group.parent, done.children) == (State.RESOLVED, 3, None)
    assert follow(replace(RESOLVED, parent=3), resolve) is None
    silence = Action(verb=Verb.SILENCE, at=Micros(9), until=Micros(99), actor=ANN)
    silenced = follow(child, silence)
    assert silenced is not None
    assert Effect.SCHEDULE_UNSILENCE not in silenced.effects
    acknowledged = follow(child, Action(verb=Verb.ACKNOWLEDGE, at=Micros(9), actor=ANN))
    assert acknowledged is not None
    assert Effect.ARM_REMINDER not in acknowledged.effects
    assert follow(child, Action(verb=Verb.UNRESOLVE, at=Micros(9))) is None


def test_refusals_say_what_to_do() -> None:
    """Group, state and way out, in one line."""
    with pytest.raises(Refused, match="group #7 is resolved: unresolve it first"):
        transition(RESOLVED, Action(verb=Verb.ACKNOWLEDGE, at=Micros(9), actor=ANN))
    with pytest.raises(Refused, match="group #7 is attached to #3: act on #3, or unattach it first"):
        transition(replace(FIRING, parent=3), Action(verb=Verb.RESOLVE, at=Micros(9), actor=ANN))
    with pytest.raises(Refused, match="already acknowledged by the source"):
        transition(ACKNOWLEDGED, Action(verb=Verb.ACKNOWLEDGE, at=Micros(9), actor=ANN))
