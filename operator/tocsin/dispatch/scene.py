"""One transaction of the engine: what it acts upon, what is true, and what it owes the store at its end."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.flow.escalation.effects import Log
from tocsin.flow.escalation.snapshot import Snapshot
from tocsin.flow.groups import Action, Entry, Mark, State, Verb
from tocsin.flow.model import DEFAULT_ROUTE, Micros, ResponderFragment, Target
from tocsin.flow.oncall import Calendar, OnCall, on_call
from tocsin.flow.program import Program
from tocsin.flow.targets import Targets
from tocsin.store import actions, alerts, briefs, deliveries, escalations, logbook, occurrences, windows
from tocsin.store.briefs import Brief
from tocsin.store.deliveries import NewDelivery
from tocsin.store.escalations import Escalation, Personal


class Calendars(Protocol):
    """The calendars that on-call schedules refer to, at hand."""

    def get(self, schedule: str) -> Calendar | None:
        """Of the schedule `namespace/name`; None if it has none."""
        ...


class NoCalendars:
    """For those who have none: whoever is on call by a calendar is then unknown."""

    def get(self, schedule: str) -> Calendar | None:
        del schedule
        return None


@dataclass(slots=True, kw_only=True)
class Ledger:
    """Rows to write, in few statements. Whatever is decided twice for the same key is written once."""

    escalations: dict[int, Escalation] = field(default_factory=dict)
    personals: dict[tuple[int, str], Personal] = field(default_factory=dict)
    deliveries: list[NewDelivery] = field(default_factory=list)
    turns: dict[tuple[str, str], str] = field(default_factory=dict)
    resolved: set[int] = field(default_factory=set)
    stopped: dict[int, Micros] = field(default_factory=dict)
    edits: set[tuple[int, str]] = field(default_factory=set)
    entries: list[tuple[int, Entry]] = field(default_factory=list)

    def log(self, group: int, log: Log, at: Micros) -> None:
        self.entries.append((group, entry_of(log, at)))

    def write(self, connection: Connection, now: Micros) -> None:
        """In an order that every writer keeps, so that no two wait for each other."""
        escalations.stop(connection, self.stopped, now)
        escalations.put(connection, self.escalations.values())
        escalations.put_personal(connection, self.personals.values())
        escalations.take_turns(connection, self.turns)
        deliveries.enqueue(connection, self.deliveries)
        deliveries.enqueue_updates(connection, self.edits, now)
        logbook.append_all(connection, self.entries)
        if self.resolved:
            actions.lock_groups(connection, self.resolved)
        for number in sorted(self.resolved):
            action = Action(verb=Verb.LAST_STEP, at=now, reason="the last step of the escalation")
            actions.signal(connection, number, action)


@dataclass(slots=True, kw_only=True)
class Scene:
    """`groups`: those that the transaction is about, as they are now; what is not in there is deleted.

    `shown`: groups and the channels in which they have a message.
    """

    connection: Connection
    now: Micros
    program: Program
    calendars: Calendars
    groups: dict[int, Brief]
    shown: frozenset[tuple[int, str]] = frozenset()
    ledger: Ledger = field(default_factory=Ledger)
    _turns: dict[tuple[str, str], str] = field(default_factory=dict)
    _chains: set[str] = field(default_factory=set)
    _on_call: dict[str, OnCall] = field(default_factory=dict)
    _covered: dict[int, frozenset[str]] | None = None

    @property
    def targets(self) -> Targets:
        return self.program.targets

    def is_rehearsal(self, group: Brief) -> bool:
        """Whether nothing but Debug windows keeps the group quiet: its log then tells what would have happened."""
        if not group.suppressed:
            return False
        if self._covered is None:
            quiet = [number for number, one in self.groups.items() if one.suppressed]
            self._covered = occurrences.covering(self.connection, quiet)
        return self._covered.get(group.number) == frozenset({windows.DEBUG})

    def learn_turns(self, snapshots: Iterable[Snapshot]) -> None:
        """Before any of these advances, and all of them at once: their round robins belong to this transaction."""
        wanted = {
            snapshot.chain
            for snapshot in snapshots
            if any(step.notify_next_responder is not None for step in snapshot.steps)
        } - self._chains
        if wanted:
            self._turns |= escalations.turns(self.connection, wanted)
            self._chains |= wanted

    def last_in_turn(self, chain: str, step: str) -> str:
        return self.ledger.turns.get((chain, step)) or self._turns.get((chain, step), "")

    def on_call(self, schedule: str) -> OnCall:
        known = self._on_call.get(schedule)
        if known is None:
            fragment = self.targets.schedules.get(schedule)
            calendar = self.calendars.get(schedule)
            known = self._on_call[schedule] = on_call(fragment, self.targets.responders, calendar, self.now)
        return known


def entry_of(log: Log, at: Micros) -> Entry:
    details = dict(log.details)
    reason = details.pop("reason", "")
    return Entry(kind=log.kind, at=at, reason=reason, details=tuple(details.items()))


def set_scene(
    connection: Connection, now: Micros, program: Program, calendars: Calendars, numbers: Iterable[int]
) -> Scene:
    found = briefs.load(connection, sorted(set(numbers)))
    return Scene(connection=connection, now=now, program=program, calendars=calendars, groups=found)


def target_of(program: Program, integration: Identity, route: str) -> Target | None:
    """Where the route of a group leads to by now; None if it is gone."""
    if route != DEFAULT_ROUTE:
        found = program.parts.routes.get(route)
        return None if found is None else found.target
    owner = program.integrations.get(integration)
    return None if owner is None else owner.evaluator.default_target


class GroupFacts:
    """What an escalation and a responder's rules ask about a group (`flow.escalation`)."""

    def __init__(self, scene: Scene, group: Brief, snapshot: Snapshot | None = None) -> None:
        self._scene = scene
        self._group = group
        self._snapshot = snapshot

    @property
    def targets(self) -> Targets:
        return self._scene.targets

    @property
    def state(self) -> State:
        return self._group.state

    @property
    def attached(self) -> bool:
        return self._group.life.parent is not None

    @property
    def wiped(self) -> bool:
        return self._group.life.wiped

    @property
    def resolved(self) -> bool:
        return self._group.life.resolved is not None

    @property
    def acknowledged(self) -> Mark | None:
        return self._group.life.acknowledged

    @property
    def started_at(self) -> Micros:
        return self._group.life.started_at

    @property
    def silenced_for_ever(self) -> bool:
        silence = self._group.life.silenced
        return silence is not None and silence.until is None

    @property
    def remind_every(self) -> int:
        target = target_of(self._scene.program, self._group.integration, self._group.route)
        chain = None if target is None else self.targets.chains.get(target.escalation_chain)
        return 0 if chain is None else chain.remind_every

    def alerts_within(self, micros: int) -> int:
        latest = alerts.latest(self._scene.connection, self._group.number)
        if latest is None:
            return 0
        return self._count(Micros(latest[1] - micros))

    def alerts_since(self, moment: Micros) -> int:
        return self._count(Micros(moment + 1))

    def on_call(self, schedule: str) -> OnCall:
        return self._scene.on_call(schedule)

    def last_in_turn(self, chain: str, step: str) -> str:
        return self._scene.last_in_turn(chain, step)

    def _count(self, since: Micros) -> int:
        """No further than any step wants to know: a group may have a hundred thousand alerts."""
        steps = () if self._snapshot is None else self._snapshot.steps
        counts = [step.continue_if_more_alerts for step in steps]
        enough = max((count.more_than for count in counts if count is not None), default=9999) + 1
        return alerts.count_since(self._scene.connection, self._group.number, since, enough=enough)


class PersonFacts(GroupFacts):
    """The same for one responder and one run of their rules, which began at `since`."""

    def __init__(self, scene: Scene, group: Brief, responder: str, since: Micros) -> None:
        super().__init__(scene, group)
        self._responder = responder
        self._since = since

    @property
    def responder(self) -> ResponderFragment | None:
        return self.targets.responders.get(self._responder)

    @property
    def answered(self) -> bool:
        mark = self.acknowledged
        if mark is None or mark.at <= self._since:
            return False
        person = self.responder
        return mark.actor == self._responder or (person is not None and mark.actor == person.username)
