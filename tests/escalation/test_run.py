"""One advance of a run: what ends it, whom it tells, what it keeps."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from situations import Situation, people, run_of

from tocsin.api.durations import MINUTE, SECOND
from tocsin.api.escalationchain import Importance, Step
from tocsin.flow.escalation.effects import Log, Notify, Publish, ResolveGroup, TookTurn, in_words
from tocsin.flow.escalation.rehearsal import rehearsed
from tocsin.flow.escalation.run import Advance, advance, new_alert, start
from tocsin.flow.escalation.snapshot import Snapshot, take
from tocsin.flow.groups import LogKind, State
from tocsin.flow.model import NOT_ADMITTED, ChainFragment, Micros, Target
from tocsin.flow.targets import Targets

ANN = "[{notifyResponders: {responderRefs: [{name: ann}]}}]"
EVERYBODY = people("ann", "bob", "cid")


def told(done: Advance) -> list[tuple[str, str]]:
    return [(e.responder, e.importance.value) for e in done.effects if isinstance(e, Notify)]


def errors(done: Advance) -> list[str]:
    return [
        e.details["reason"]
        for e in done.effects
        if isinstance(e, Log) and e.kind is LogKind.ESCALATION_FAILED
    ]


def test_what_ends_a_run_before_any_step() -> None:
    """Resolved, acknowledged, silenced for ever, attached and wiped groups end it; a silence for a period leaves it be.

    Rules: R-ESC-7
    """
    run = run_of(ANN)
    for ending in (
        Situation(state=State.RESOLVED),
        Situation(state=State.ACKNOWLEDGED),
        Situation(state=State.SILENCED, silenced_for_ever=True),
        Situation(attached=True),
        Situation(wiped=True),
    ):
        ending.targets = EVERYBODY
        done = advance(run, ending, Micros(MINUTE))
        assert (done.run.finished, done.effects, done.resume_at) == (True, (), None)
    silenced = Situation(targets=EVERYBODY, state=State.SILENCED)
    assert advance(run, silenced, Micros(MINUTE)) == Advance(run=run)


def test_asking_again_changes_nothing() -> None:
    """Too early, or finished: no effects, the same run; so a timer may fire twice."""
    facts = Situation(targets=EVERYBODY)
    waiting = start(Snapshot(route="r", chain="default/main"), Micros(0), delay=10 * SECOND)
    assert advance(waiting, facts, Micros(9 * SECOND)) == Advance(run=waiting, resume_at=Micros(10 * SECOND))
    finished = advance(run_of(ANN), facts, Micros(0)).run
    assert finished.finished
    assert advance(finished, facts, Micros(MINUTE)) == Advance(run=finished)
    assert new_alert(finished, facts, Micros(MINUTE)) == Advance(run=finished)


def test_after_the_last_step() -> None:
    """It is said once that the escalation is finished; the group stays as it is. No chain: nothing to say.

    Rules: R-ESC-8
    """
    done = advance(run_of("[]"), Situation(), Micros(0))
    assert done.run.finished
    assert done.effects[-1] == Log(kind=LogKind.ESCALATION_FINISHED, details={})
    assert not any(isinstance(effect, ResolveGroup) for effect in done.effects)
    nowhere = advance(start(Snapshot(route="r"), Micros(0)), Situation(), Micros(0))
    assert (nowhere.run.finished, nowhere.effects) == (True, ())


def test_importance_goes_along_with_all_steps_that_tell_people() -> None:
    """And several steps of one moment tell a person once, as important if one of them says so.

    Rules: R-ESC-13
    """
    important = run_of("[{notifyNextResponder: {responderRefs: [{name: ann}], importance: Important}}]")
    assert told(advance(important, Situation(targets=EVERYBODY), Micros(0))) == [("default/ann", "Important")]
    both = run_of(
        "[{notifyResponders: {responderRefs: [{name: bob}, {name: ann}]}},"
        " {notifyResponders: {responderRefs: [{name: ann}, {name: cid}], importance: Important}}]"
    )
    assert told(advance(both, Situation(targets=EVERYBODY), Micros(0))) == [
        ("default/bob", "Default"), ("default/ann", "Important"), ("default/cid", "Important"),
    ]  # fmt: skip


def test_a_step_without_a_type_is_logged_and_the_next_one_runs() -> None:
    """Rules: R-ESC-34"""
    run = run_of(ANN)
    run = replace(run, snapshot=replace(run.snapshot, steps=(Step(), *run.snapshot.steps)))
    done = advance(run, Situation(targets=EVERYBODY), Micros(0))
    assert len(errors(done)) == 1
    assert "does not say what to do" in errors(done)[0]
    assert told(done) == [("default/ann", "Default")]


def test_a_team_is_everybody_in_it_now() -> None:
    """In the chain's namespace; a team without people is an error in the log.

    Rules: R-ESC-16
    """
    team = Targets(
        responders=EVERYBODY.responders,
        teams={("default", "web"): ("default/ann", "default/bob"), ("other", "ops"): ("default/cid",)},
    )
    for name, expected in (("web", ["default/ann", "default/bob"]), ("ops", []), ("none", [])):
        done = advance(run_of(f"[{{notifyTeam: {{name: {name}}}}}]"), Situation(targets=team), Micros(0))
        assert [responder for responder, _ in told(done)] == expected
        assert len(errors(done)) == (not expected)


def test_turns_go_on_from_whoever_was_told_last() -> None:
    """Sorted by user name; whoever is not in the list any more is followed by its first."""
    run = run_of("[{notifyNextResponder: {responderRefs: [{name: cid}, {name: ann}, {name: bob}]}}]")
    for last, following in (("", "ann"), ("ann", "bob"), ("cid", "ann"), ("gone", "ann")):
        facts = Situation(targets=EVERYBODY, turns={("default/main", "0"): f"default/{last}"})
        done = advance(run, facts, Micros(0))
        assert told(done) == [(f"default/{following}", "Default")]
        turn = TookTurn(chain="default/main", step="0", responder=f"default/{following}")
        assert turn in done.effects


def test_snapshots_hold_what_was_declared_then() -> None:
    """Steps, publish list and reminder of the start; a chain that is not there is one step that says so."""
    chain = ChainFragment(namespace="default", name="main", steps=run_of(ANN).snapshot.steps, remind_every=7)
    target = Target(escalation_chain="default/main", channels=("default/room",))
    taken = take(target, "default/route", Targets(chains={"default/main": chain}))
    assert (taken.steps, taken.channels, taken.remind_every) == (chain.steps, ("default/room",), 7)
    gone = advance(start(take(target, "default/route", Targets()), Micros(0)), Situation(), Micros(0))
    assert errors(gone) == [
        "there is no EscalationChain default/main: it is not declared, suspended or refused"
    ]
    assert gone.run.finished


@pytest.mark.parametrize("importance", Importance)
def test_what_is_not_shared_is_not_told_from_what_is_not_there(importance: Importance) -> None:
    """The log names the Responder without the mark of the compiler, and nothing of the other namespace."""
    run = run_of(
        f"[{{notifyResponders: {{responderRefs: [{{name: eve{NOT_ADMITTED}}}], importance: {importance}}}}}]"
    )
    done = advance(run, Situation(targets=EVERYBODY), Micros(0))
    assert errors(done) == ["there is no Responder default/eve that admits this namespace in spec.sharing"]
    assert told(done) == []


def test_a_paused_run_is_resumed_by_an_alert_and_by_nothing_else() -> None:
    """A timer leaves it paused; an alert makes it count again, in the same place."""
    run = run_of("[{continueIfMoreAlerts: {moreThan: 1, within: 5m}}, " + ANN[1:])
    paused = advance(run, Situation(targets=EVERYBODY), Micros(0)).run
    assert paused.paused
    many = Situation(targets=EVERYBODY, alerts=2)
    assert advance(paused, many, Micros(MINUTE)) == Advance(run=paused)
    assert told(new_alert(paused, many, Micros(9 * MINUTE))) == [("default/ann", "Default")]
    few = new_alert(paused, Situation(targets=EVERYBODY), Micros(9 * MINUTE))
    assert (few.run.paused, few.effects, few.resume_at) == (True, (), None)
    silenced = new_alert(paused, Situation(state=State.SILENCED, alerts=2), Micros(9 * MINUTE))
    assert silenced == Advance(run=paused)


def test_errors_of_an_older_moment_stay_where_nobody_was_told() -> None:
    """An hour late: the team without people is in the log, and bob is told of the newest moment; ann made way."""
    run = run_of(
        "[{notifyTeam: {name: none}}, {wait: {duration: 5m}}, {notifyResponders: {responderRefs: [{name: bob}]}}]"
    )
    late = advance(run, Situation(targets=EVERYBODY), Micros(60 * MINUTE))
    assert (len(errors(late)), told(late)) == (1, [("default/bob", "Default")])
    assert not any("skipped" in e.details for e in late.effects if isinstance(e, Log))


def test_a_pause_is_said_once_a_pass() -> None:
    """Not again for each alert that is not enough, but again when the chain comes back to it."""
    run = run_of("[{continueIfMoreAlerts: {moreThan: 1, within: 5m}}, {wait: {duration: 5m}}, {repeat: {}}]")
    few, many = Situation(), Situation(alerts=2)
    first = advance(run, few, Micros(0))
    again = new_alert(first.run, few, Micros(MINUTE))
    goes_on = new_alert(again.run, many, Micros(2 * MINUTE))
    second = advance(goes_on.run, few, Micros(7 * MINUTE))
    paused = [
        sum("paused" in e.details.get("reason", "") for e in done.effects if isinstance(e, Log))
        for done in (first, again, goes_on, second)
    ]
    assert paused == [1, 0, 0, 1]


def test_steps_are_counted_from_one_for_people() -> None:
    """In words and in the log; the post of a route is of no step, and Debug maintenance tells of it all the same."""
    assert [in_words(step) for step in ("0", "2.1", "route")] == ["step 1", "step 3, pass 2", ""]
    (entry,) = rehearsed([Publish(channel="default/room", step="route")])
    assert (entry.details["channel"], "step" in entry.details) == ("default/room", False)
