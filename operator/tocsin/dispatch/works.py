"""The kinds of items that the engine works through: how to find them, what to do, what to do if that fails."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from tocsin.dispatch import escalations, events, personals
from tocsin.dispatch.dispatcher import MOST_ATTEMPTS, back_off
from tocsin.dispatch.scene import Scene
from tocsin.flow.groups import Entry, LogKind
from tocsin.flow.model import Micros
from tocsin.store import alerts, groups, logbook
from tocsin.store import escalations as stored
from tocsin.store import events as outbox
from tocsin.store.agenda import Agenda
from tocsin.store.escalations import Escalation, Personal
from tocsin.store.events import Event

MOST_FAILURES = MOST_ATTEMPTS
"""As for timers: an escalation is given up some 40 minutes after its first failure."""


class Item(Protocol):
    @property
    def group(self) -> int: ...


I = TypeVar("I", bound=Item)  # noqa: E741


class Work(Protocol, Generic[I]):
    """All on the connection of the caller's transaction."""

    name: str

    def waits(self, agenda: Agenda, now: Micros) -> bool:
        """Whether `take` would give anything, other engines aside."""
        ...

    def take(self, connection: Connection, now: Micros, limit: int) -> Sequence[I]:
        """Up to `limit` items, locked until the transaction ends; those that others hold are passed over."""
        ...

    def act(self, scene: Scene, items: Sequence[I]) -> None:
        """Everything that is due, into the scene's ledger."""
        ...

    def since(self, item: I, now: Micros) -> Micros:
        """Since when it waits."""
        ...

    def set_aside(self, connection: Connection, item: I, reason: str, now: Micros) -> None:
        """`act` fails for it: try later, or give it up with an entry in the group's log."""
        ...


class Events:
    """What happened to groups."""

    name = "event"

    def waits(self, agenda: Agenda, now: Micros) -> bool:
        del now
        return agenda.events

    def take(self, connection: Connection, now: Micros, limit: int) -> Sequence[Event]:
        del now
        return outbox.take(connection, limit=limit)

    def act(self, scene: Scene, items: Sequence[Event]) -> None:
        events.handle(scene, items)
        outbox.remove(scene.connection, items)

    def since(self, item: Event, now: Micros) -> Micros:
        del now
        return item.at

    def set_aside(self, connection: Connection, item: Event, reason: str, now: Micros) -> None:
        outbox.remove(connection, [item])
        what = f"what follows from {item.kind.name.lower()} could not be done: {reason}"
        _give_up(connection, item.group, what, now)


class Escalations:
    """Escalations whose next step is due."""

    name = "escalation"

    def waits(self, agenda: Agenda, now: Micros) -> bool:
        return agenda.escalation is not None and agenda.escalation <= now

    def take(self, connection: Connection, now: Micros, limit: int) -> Sequence[Escalation]:
        return stored.due(connection, now, limit=limit)

    def act(self, scene: Scene, items: Sequence[Escalation]) -> None:
        scene.learn_turns(item.run.snapshot for item in items)
        for item in items:
            self._advance(scene, item)

    def since(self, item: Escalation, now: Micros) -> Micros:
        return now if item.resume_at is None else item.resume_at

    def set_aside(self, connection: Connection, item: Escalation, reason: str, now: Micros) -> None:
        failures = item.failures + 1
        if failures < MOST_FAILURES:
            again = Micros(now + back_off(failures + 1))
            stored.put(connection, [replace(item, failures=failures, resume_at=again)])
        else:
            stored.stop(connection, {item.group: item.run.started_at}, now)
            _give_up(connection, item.group, f"the escalation is given up: {reason}", now)

    def _advance(self, scene: Scene, item: Escalation) -> None:
        group = scene.groups.get(item.group)
        if group is None:
            scene.ledger.stopped[item.group] = item.run.started_at
        else:
            escalations.go_on(scene, group, item)


class Joined(Escalations):
    """Paused escalations whose groups took in an alert."""

    name = "joined"

    def waits(self, agenda: Agenda, now: Micros) -> bool:
        del now
        return agenda.joined

    def take(self, connection: Connection, now: Micros, limit: int) -> Sequence[Escalation]:
        del now
        return stored.joined(connection, limit=limit)

    def set_aside(self, connection: Connection, item: Escalation, reason: str, now: Micros) -> None:
        """The next alert is the next try."""
        latest = alerts.latest(connection, item.group)
        stored.put(connection, [replace(item, seen_alert=None if latest is None else latest[0])])
        _give_up(connection, item.group, f"the escalation could not go on: {reason}", now)

    def _advance(self, scene: Scene, item: Escalation) -> None:
        group = scene.groups.get(item.group)
        if group is not None:
            escalations.go_on(scene, group, item, joined=True)


class Personals:
    """Responders' rules that are due."""

    name = "personal"

    def waits(self, agenda: Agenda, now: Micros) -> bool:
        return agenda.personal is not None and agenda.personal <= now

    def take(self, connection: Connection, now: Micros, limit: int) -> Sequence[Personal]:
        return stored.personal_due(connection, now, limit=limit)

    def act(self, scene: Scene, items: Sequence[Personal]) -> None:
        for item in items:
            group = scene.groups.get(item.group)
            if group is None:
                stored.stop_personal(scene.connection, item.group, item.run.responder, scene.now)
            else:
                personals.go_on(scene, group, item)

    def since(self, item: Personal, now: Micros) -> Micros:
        return now if item.resume_at is None else item.resume_at

    def set_aside(self, connection: Connection, item: Personal, reason: str, now: Micros) -> None:
        failures = item.failures + 1
        if failures < MOST_FAILURES:
            again = Micros(now + back_off(failures + 1))
            stored.put_personal(connection, [replace(item, failures=failures, resume_at=again)])
        else:
            stored.stop_personal(connection, item.group, item.run.responder, now)
            _give_up(connection, item.group, f"{item.run.responder} is not told any more: {reason}", now)


WORKS: tuple[Work[Any], ...] = (Events(), Escalations(), Joined(), Personals())


def _give_up(connection: Connection, group: int, reason: str, now: Micros) -> None:
    if groups.get(connection, group) is not None:
        entry = Entry(kind=LogKind.ESCALATION_FAILED, at=now, reason=reason)
        logbook.append(connection, group, (entry,))
