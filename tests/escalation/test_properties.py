"""What holds for every chain, whatever its steps, and however often or seldom somebody looks at it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from situations import Situation, people

from tocsin.api.common import ObjectRef
from tocsin.api.durations import DAY, MINUTE, SECOND, format_duration
from tocsin.api.escalationchain import (
    AlertCountStep,
    Importance,
    RepeatStep,
    ResolveStep,
    RespondersStep,
    Step,
    TeamStep,
    TimeWindowStep,
    WaitStep,
    Weekday,
)
from tocsin.flow.escalation.effects import Log, Notify, ResolveGroup, TookTurn
from tocsin.flow.escalation.personal import PersonalRun, Send, advance_personal
from tocsin.flow.escalation.run import Advance, Run, advance, new_alert, start
from tocsin.flow.escalation.snapshot import Snapshot
from tocsin.flow.groups import LogKind
from tocsin.flow.model import Micros, RuleFragment
from tocsin.flow.targets import Targets

NAMES = ("ann", "bob", "cid")
KNOWN = people("ann", "bob")
TARGETS = Targets(responders=KNOWN.responders, teams={("default", "web"): ("default/ann", "default/bob")})

DURATIONS = st.integers(1, 3 * 3600).map(lambda seconds: format_duration(seconds * SECOND))
PEOPLE = st.builds(
    RespondersStep,
    responder_refs=st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True).map(
        lambda names: tuple(ObjectRef(name=name, namespace="default") for name in names)
    ),
    importance=st.sampled_from(Importance),
)
TIMES = st.integers(0, 23).map("{:02d}:00".format)
STEPS = st.one_of(
    st.builds(Step, wait=st.builds(WaitStep, duration=DURATIONS)),
    st.builds(Step, notify_responders=PEOPLE),
    st.builds(Step, notify_next_responder=PEOPLE),
    st.builds(Step, notify_team=st.builds(TeamStep, name=st.sampled_from(("web", "none")))),
    st.builds(Step, repeat=st.builds(RepeatStep, times=st.integers(1, 5))),
    st.builds(Step, resolve=st.just(ResolveStep())),
    st.builds(
        Step,
        continue_in_time_window=st.builds(
            TimeWindowStep,
            from_=TIMES,
            to=TIMES,
            time_zone=st.sampled_from(("UTC", "Europe/Berlin", "Nowhere")),
            days=st.lists(st.sampled_from(Weekday), max_size=2, unique=True).map(tuple),
        ),
    ),
    st.builds(
        Step,
        continue_if_more_alerts=st.builds(AlertCountStep, more_than=st.integers(0, 3), within=DURATIONS),
    ),
    st.just(Step()),
)
CHAINS = st.lists(STEPS, max_size=8).map(tuple)
DELAYS = st.lists(st.integers(0, 2 * DAY), max_size=12)
BROKEN = st.lists(st.tuples(st.integers(0, 7), st.just("broken")), max_size=2).map(tuple)
START = Micros(1_782_907_200_000_000)


def run_of(steps: tuple[Step, ...], broken: tuple[tuple[int, str], ...] = ()) -> Run:
    return start(Snapshot(route="default/r", chain="default/main", steps=steps, broken=broken), START)


def played(run: Run, delays: list[int], alerts: int = 1) -> Iterator[tuple[Micros, Advance]]:
    """Every advance until the end, each as late as `delays` say. What waits for alerts gets one at a time."""
    facts, now = Situation(targets=TARGETS, alerts=alerts), START
    lateness = iter(delays)
    done = advance(run, facts, now)
    yield now, done
    while not done.run.finished:
        if done.run.paused:
            facts.alerts += 1
            now = Micros(now + MINUTE)
            done = new_alert(done.run, facts, now)
        else:
            assert done.resume_at is not None
            assert done.resume_at > now, "what is due is done, so it waits for the future"
            now = Micros(done.resume_at + next(lateness, 0))
            done = advance(done.run, facts, now)
        facts.turns.update(
            {("default/main", e.step): e.responder for e in done.effects if isinstance(e, TookTurn)}
        )
        yield now, done


@given(CHAINS, BROKEN, DELAYS)
@settings(max_examples=300, deadline=None)
def test_every_run_ends(
    steps: tuple[Step, ...], broken: tuple[tuple[int, str], ...], delays: list[int]
) -> None:
    """After a bounded number of advances and passes, with one last word."""
    advances = [done for _, done in played(run_of(steps, broken), delays)]
    most = max((step.repeat.times for step in steps if step.repeat is not None), default=0)
    last = advances[-1]
    assert last.run.passes <= most
    assert len(advances) <= (len(steps) + 4) * (most + 1) * 2
    effects = [effect for done in advances for effect in done.effects]
    finished = [e for e in effects if isinstance(e, Log) and e.kind is LogKind.ESCALATION_FINISHED]
    resolved = [e for e in effects if isinstance(e, ResolveGroup)]
    assert len(finished) + len(resolved) == 1
    assert last.resume_at is None


@given(CHAINS, DELAYS)
@settings(max_examples=300, deadline=None)
def test_a_person_is_told_once_a_step_and_once_a_moment(steps: tuple[Step, ...], delays: list[int]) -> None:
    """(Step, person) is unique in a run, so it is an idempotency key; nobody is told twice in one advance."""
    keys: Counter[tuple[str, str]] = Counter()
    for _, done in played(run_of(steps), delays):
        told = [effect for effect in done.effects if isinstance(effect, Notify)]
        keys.update((effect.step, effect.responder) for effect in told)
        assert max(Counter(effect.responder for effect in told).values(), default=1) == 1
    assert max(keys.values(), default=1) == 1


@given(CHAINS, DELAYS)
@settings(max_examples=200, deadline=None)
def test_asking_twice_is_asking_once(steps: tuple[Step, ...], delays: list[int]) -> None:
    """A second advance at the same moment has no effects; a run that was stored and read goes on in the same way."""
    for now, done in played(run_of(steps), delays):
        facts = Situation(targets=TARGETS)
        assert advance(done.run, facts, now).effects == ()
        assert msgspec.json.decode(msgspec.json.encode(done.run), type=Run) == done.run


@given(CHAINS, st.integers(0, MINUTE))
@settings(max_examples=200, deadline=None)
def test_a_little_late_drops_nothing(steps: tuple[Step, ...], lateness: int) -> None:
    """Up to a minute late the same people are told of the same steps as in time, if no window or person is due to change."""
    timeless = tuple(step for step in steps if step.continue_in_time_window is None)
    in_time = [e for _, done in played(run_of(timeless), []) for e in done.effects if isinstance(e, Notify)]
    late = [
        e
        for _, done in played(replace(run_of(timeless), resume_at=Micros(START - lateness)), [])
        for e in done.effects
        if isinstance(e, Notify)
    ]
    assert {(e.responder, e.step) for e in late} <= {(e.responder, e.step) for e in in_time}
    assert {e.responder for e in late} == {e.responder for e in in_time}


@given(CHAINS, st.integers(2, 4))
@settings(max_examples=200, deadline=None)
def test_downtime_never_makes_a_chain_silent(steps: tuple[Step, ...], days: int) -> None:
    """However late: if somebody would have been told by what is due, somebody is, and only of the newest moment."""
    timeless = tuple(step for step in steps if step.continue_in_time_window is None)
    run = run_of(timeless)
    late = advance(run, Situation(targets=TARGETS), Micros(START + days * DAY))
    due = []
    for now, done in played(run, []):
        if done.run.paused or now > START + days * DAY:
            due += [e for e in done.effects if isinstance(e, Notify)]
            break
        due += [e for e in done.effects if isinstance(e, Notify)]
    told = {e.responder for e in late.effects if isinstance(e, Notify)}
    assert bool(told) == bool(due)


RULES = st.lists(
    st.one_of(
        st.builds(RuleFragment, contact=st.sampled_from(("mail", "gone"))),
        st.builds(RuleFragment, wait=st.integers(1, 3 * 3600).map(lambda seconds: seconds * SECOND)),
    ),
    min_size=1,
    max_size=8,
).map(tuple)


@given(RULES, DELAYS)
@settings(max_examples=200, deadline=None)
def test_a_person_s_rules_end_and_each_is_sent_at_most_once(
    rules: tuple[RuleFragment, ...], delays: list[int]
) -> None:
    """In order, and never in the past."""
    ann = TARGETS.responders["default/ann"]
    run = PersonalRun(
        responder="default/ann", importance=Importance.DEFAULT, rules=rules, started_at=START, resume_at=START
    )
    now, lateness, sent = START, iter(delays), []
    for _ in range(len(rules) + 1):
        done = advance_personal(run, Situation(responder=ann), now)
        sent += [effect.rule for effect in done.effects if isinstance(effect, Send)]
        assert advance_personal(done.run, Situation(responder=ann), now).effects == ()
        run = done.run
        if done.resume_at is None:
            break
        assert done.resume_at > now
        now = Micros(done.resume_at + next(lateness, 0))
    assert run.finished
    assert sent == sorted(set(sent))
    assert bool(sent) == any(rule.contact == "mail" for rule in rules)
