"""A dispatcher in miniature, without store and without waiting: groups, their runs and a clock that jumps.

Manifests are compiled, happenings go through the real state machine, timers fire in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path

import msgspec
import yaml
from msgspec.structs import replace

from tocsin.api.durations import parse_duration
from tocsin.api.escalationchain import Importance
from tocsin.api.objects import parse_object
from tocsin.flow.compiler import compile_flow
from tocsin.flow.escalation import effects as does
from tocsin.flow.escalation.personal import (
    PersonalRun,
    Send,
    advance_personal,
    start_personal,
    stop_personal,
)
from tocsin.flow.escalation.rehearsal import rehearsed
from tocsin.flow.escalation.reminders import Remind, Reminder, advance_reminder, arm, confirm
from tocsin.flow.escalation.run import Run, advance, new_alert, start
from tocsin.flow.escalation.snapshot import take
from tocsin.flow.groups import (
    START_DELAY_AGAIN,
    START_DELAY_NEW,
    Action,
    Actor,
    Effect,
    GroupState,
    Verb,
    attach,
    transition,
)
from tocsin.flow.inventory import Inventory
from tocsin.flow.model import Micros, ResponderFragment, Target
from tocsin.flow.oncall import OnCall, on_call
from tocsin.flow.program import link
from tocsin.flow.targets import NO_TARGETS, Targets
from tocsin.flow.zones import load_zone, micros_of
from tocsin.sources import load_types

TYPES = load_types()
PEOPLE = Path(__file__).parent / "people.yaml"


def moment(text: str) -> Micros:
    """`2026-07-01T12:00:00Z`."""
    return micros_of(datetime.fromisoformat(text.removesuffix("Z")))


@dataclass
class Group:
    """One group with everything that is stored of it. `alerts`: when each came. `debug`: under Debug maintenance."""

    state: GroupState
    world: World
    alerts: list[Micros]
    debug: bool = False
    run: Run | None = None
    resume_at: Micros | None = None
    people: dict[str, tuple[PersonalRun, Micros | None]] = field(default_factory=dict)
    paged_at: dict[str, Micros] = field(default_factory=dict)
    reminder: Reminder | None = None

    @property
    def silenced_for_ever(self) -> bool:
        return self.state.silenced is not None and self.state.silenced.until is None

    @property
    def targets(self) -> Targets:
        return self.world.targets

    @property
    def attached(self) -> bool:
        return self.state.parent is not None

    @property
    def wiped(self) -> bool:
        return self.state.wiped

    def alerts_within(self, micros: int) -> int:
        return sum(1 for at in self.alerts if at >= self.alerts[-1] - micros)

    def on_call(self, schedule: str) -> OnCall:
        return on_call(self.targets.schedules[schedule], self.targets.responders, None, self.world.now)

    def last_in_turn(self, chain: str, step: str) -> str:
        return self.world.turns.get((chain, step), "")


class RunFacts:
    """A Group as the facts of its run: the state is the shown one."""

    def __init__(self, group: Group) -> None:
        self._group = group

    def __getattr__(self, name: str):
        return self._group.state.state if name == "state" else getattr(self._group, name)


class PersonFacts(RunFacts):
    def __init__(self, group: Group, responder: str) -> None:
        super().__init__(group)
        self.responder = group.targets.responders.get(responder)
        mark = group.state.acknowledged
        paged = group.paged_at.get(responder)
        person = responder.partition("/")[2]
        self.answered = None not in (mark, paged) and mark.actor == person and mark.at > paged


class ReminderFacts:
    def __init__(self, group: Group) -> None:
        self.acknowledged = group.state.acknowledged
        self.resolved = group.state.resolved is not None
        self.attached = group.attached
        self.started_at = group.state.started_at
        chain = group.targets.chains.get(group.world.target.escalation_chain)
        self.remind_every = 0 if chain is None else chain.remind_every
        self._alerts = group.alerts

    def alerts_since(self, at: Micros) -> int:
        return sum(1 for alert in self._alerts if alert > at)


class World:
    """`lines`: everything that happened, as people read it. `down`: timers wait until Tocsin is back."""

    def __init__(self, given: dict) -> None:
        self.now = moment(given["at"])
        self._began = self.now
        self._zone = load_zone(given.get("zone", "UTC"))
        target = given.get("target", {"chain": "default/main"})
        self.target = Target(
            escalation_chain=target.get("chain", ""), channels=tuple(target.get("channels", ()))
        )
        self._documents: dict[str, dict] = {}
        self.targets = NO_TARGETS
        self.groups: dict[int, Group] = {}
        self.turns: dict[tuple[str, str], str] = {}
        self.down = False
        self.lines: list[str] = []
        self.apply(yaml.safe_load(PEOPLE.read_text()) + given["flow"])

    # -- time

    def play(self, steps: list[dict]) -> list[str]:
        for step in steps:
            at = step.pop("at")
            self.run_until(moment(at) if "T" in at else Micros(self._began + parse_duration(at)))
            number = step.pop("group", None)
            ((name, value),) = step.items()
            self._say("> " + _happening(number, name, value))
            getattr(self, f"do_{name}")(number or 1, value)
            if not self.down:
                self.run_until(self.now)
        return self.lines

    def run_until(self, end: Micros) -> None:
        while not self.down:
            due = min(self._timers(), key=lambda timer: timer[0], default=None)
            if due is None or due[0] > end:
                break
            self.now = max(self.now, due[0])
            due[1]()
        self.now = max(self.now, end)

    def _timers(self) -> Iterator[tuple[Micros, Callable[[], None]]]:
        for group in self.groups.values():
            silence = group.state.silenced
            if silence is not None and silence.until is not None and group.state.parent is None:
                yield silence.until, lambda g=group: self._act(g, Verb.SILENCE_ENDED)
            if group.resume_at is not None:
                yield group.resume_at, lambda g=group: self._advance(g)
            for name, (_, resume_at) in group.people.items():
                if resume_at is not None:
                    yield resume_at, lambda g=group, n=name: self._advance_person(g, n)
            if group.reminder is not None and not group.reminder.finished:
                yield group.reminder.due_at, lambda g=group: self._advance_reminder(g)

    # -- what happens

    def apply(self, documents: list[dict]) -> None:
        for document in documents:
            metadata = document["metadata"]
            self._documents[f"{document['kind']}/{metadata['name']}"] = document
        draft = Inventory(secrets_known=False).draft()
        for document in self._documents.values():
            document["metadata"].setdefault("namespace", "default")
            draft.put(parse_object({"apiVersion": "tocsin.dev/v1alpha1", **document}))
        self.targets = link(compile_flow(draft.finish(), types=TYPES, now=self.now).flow, types=TYPES).targets

    def do_apply(self, _number: int, documents: list[dict]) -> None:
        self.apply(documents)

    def do_delete(self, _number: int, names: list[str]) -> None:
        for name in names:
            del self._documents[name]
        self.apply([])

    def do_down(self, _number: int, _value) -> None:
        self.down = True

    def do_up(self, _number: int, _value) -> None:
        self.down = False

    def do_nothing(self, _number: int, _value) -> None:
        pass

    def do_open(self, _number: int, value: str | None) -> None:
        number = len(self.groups) + 1
        debug = value == "debug"
        group = Group(GroupState(number=number, started_at=self.now), self, [self.now], debug=debug)
        self.groups[number] = group
        self._start(group, START_DELAY_NEW)

    def do_alerts(self, number: int, count: int) -> None:
        group = self.groups[number]
        group.alerts += [self.now] * count
        if group.run is not None and group.run.paused:
            self._took(group, new_alert(group.run, RunFacts(group), self.now))

    def do_act(self, number: int, value: str) -> None:
        """`acknowledge ann`, `silence ann 30m`, `silence ann`, `source resolve`."""
        words = value.split()
        verb = " ".join(words[:2]) if words[0] == "source" else words[0]
        actor = words[1] if words[0] != "source" else ""
        until = Micros(self.now + parse_duration(words[2])) if len(words) > 2 else None
        self._act(self.groups[number], Verb(verb), actor=actor, until=until)

    def do_attach(self, number: int, parent: int) -> None:
        group = self.groups[number]
        action = Action(verb=Verb.UNATTACH, at=self.now)
        done = attach(group.state, self.groups[parent].state, action, has_children=False)
        self._changed(group, done.group, done.effects)

    def do_page(self, number: int, value: str) -> None:
        """`ann Important`."""
        name, importance = value.split()
        responder = self.targets.responders[f"default/{name}"]
        self.groups[number].paged_at[f"default/{name}"] = self.now
        self._start_person(self.groups[number], responder, Importance(importance), paged=True)

    def do_unpage(self, number: int, name: str) -> None:
        group = self.groups[number]
        run, _ = group.people[f"default/{name}"]
        group.people[f"default/{name}"] = (stop_personal(run), None)

    def do_confirm(self, number: int, actor: str) -> None:
        group = self.groups[number]
        assert group.reminder is not None
        self._asked(group, confirm(group.reminder, actor, self.now))

    def _act(self, group: Group, verb: Verb, *, actor: str = "", until: Micros | None = None) -> None:
        if verb is Verb.SILENCE_ENDED:
            until = group.state.silenced.until
        done = transition(group.state, Action(verb=verb, at=self.now, actor=Actor(name=actor), until=until))
        self._changed(group, done.group, done.effects)

    def _changed(self, group: Group, state: GroupState, effects: frozenset[Effect]) -> None:
        if state.state is not group.state.state:
            self._say(f"#{state.number} is {state.state.value}")
        group.state = state
        if Effect.STOP_ESCALATION in effects and group.run is not None:
            group.run, group.resume_at = replace(group.run, finished=True), None
        if Effect.START_ESCALATION in effects:
            self._start(group, START_DELAY_AGAIN)
        mark = state.acknowledged
        if Effect.ARM_REMINDER in effects and mark is not None:
            snapshot = take(self.target, "default/route", self.targets)
            group.reminder = arm(snapshot, mark, previous=group.reminder)

    # -- escalation

    def _start(self, group: Group, delay: int) -> None:
        group.run = start(take(self.target, "default/route", self.targets), self.now, delay=delay)
        group.resume_at = group.run.resume_at

    def _advance(self, group: Group) -> None:
        self._took(group, advance(group.run, RunFacts(group), self.now))

    def _took(self, group: Group, done) -> None:
        group.run = msgspec.json.decode(msgspec.json.encode(done.run), type=Run)
        assert group.run == done.run
        group.resume_at = done.resume_at
        for effect in rehearsed(done.effects) if group.debug else done.effects:
            self._do(group, effect)

    def _do(self, group: Group, effect: does.Effect) -> None:
        number = group.state.number
        match effect:
            case does.Log():
                self._log(number, effect)
            case does.Notify(responder=name, importance=importance, step=step):
                self._say(f"#{number} tell {name} {importance} (step {step})")
                self._start_person(group, self.targets.responders[name], importance)
            case does.Publish(channel=name, step=step):
                self._say(f"#{number} post {name} (step {step})")
            case does.Trigger(webhook=name, step=step):
                self._say(f"#{number} webhook {name} (step {step})")
            case does.TookTurn(chain=chain, step=step, responder=name):
                self.turns[chain, step] = name
            case does.ResolveGroup():
                self._act(group, Verb.LAST_STEP)

    # -- people

    def _start_person(
        self, group: Group, responder: ResponderFragment, importance: Importance, *, paged: bool = False
    ) -> None:
        run = start_personal(responder, importance, self.now, paged=paged)
        group.people[run.responder] = (run, run.resume_at)

    def _advance_person(self, group: Group, name: str) -> None:
        run, _ = group.people[name]
        done = advance_personal(run, PersonFacts(group, name), self.now)
        group.people[name] = (
            msgspec.json.decode(msgspec.json.encode(done.run), type=PersonalRun),
            done.resume_at,
        )
        number = group.state.number
        for effect in done.effects:
            if isinstance(effect, Send):
                self._say(f"#{number} send {name} {effect.contact} (rule {effect.rule})")
            elif "contact" not in effect.details:
                self._log(number, effect)

    # -- reminders

    def _advance_reminder(self, group: Group) -> None:
        self._asked(group, advance_reminder(group.reminder, ReminderFacts(group), self.now))

    def _asked(self, group: Group, done) -> None:
        group.reminder = msgspec.json.decode(msgspec.json.encode(done.reminder), type=Reminder)
        for effect in done.effects:
            match effect:
                case does.Log():
                    self._log(group.state.number, effect)
                case Remind(acknowledged_by=name, alerts=alerts):
                    self._say(f"#{group.state.number} remind {name}, {alerts} alerts since")
                case _:
                    self._act(group, Verb.REMINDER_TIMEOUT)

    # -- what is seen

    def _say(self, text: str) -> None:
        self.lines.append(f"{self._clock(self.now)} {text}")

    def _clock(self, at: Micros) -> str:
        local = datetime.fromtimestamp(at / 1_000_000, tz=self._zone)
        return local.strftime("%m-%d %H:%M:%S" if self._zone.key == "UTC" else "%m-%d %H:%M:%S%z")

    def _log(self, number: int, entry: does.Log) -> None:
        details = dict(entry.details)
        for name in ("until", "answer_by", "next"):
            if name in details:
                details[name] = self._clock(Micros(int(details[name])))
        reason = details.pop("reason", "")
        words = " ".join(f"{name}={value}" for name, value in details.items())
        shown = ": ".join(text for text in (words, reason) if text)
        self._say(f"#{number} log {entry.kind.name.lower()}" + (f" {shown}" if shown else ""))


def _happening(number: int | None, name: str, value) -> str:
    if name in ("apply", "delete"):
        names = value if name == "delete" else [f"{d['kind']}/{d['metadata']['name']}" for d in value]
        return f"{name} {', '.join(names)}"
    words = [
        f"#{number}" if number else "",
        "" if name == "act" else name,
        "" if value is None else str(value),
    ]
    return " ".join(word for word in words if word)


GOLDEN = Path(__file__).parent / "golden"


@cache
def played(case: str) -> tuple[str, ...]:
    """The lines of a case."""
    given = yaml.safe_load((GOLDEN / f"{case}.in.yaml").read_text())
    return tuple(World(given).play(given["steps"]))


def at(lines: Iterable[str], clock: str) -> list[str]:
    """What happened at a moment: `07-01 12:00:00`, without it."""
    return [line.removeprefix(clock).strip() for line in lines if line.startswith(clock)]
