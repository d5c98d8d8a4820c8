"""Does who acknowledged still work on it? A durable timer asks, and may take the acknowledgement back (alert-flow 10.4)."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from tocsin.dispatch.deliveries.parcels import Order
from tocsin.dispatch.dispatcher import Job
from tocsin.dispatch.escalations import snapshot_of
from tocsin.dispatch.live import Live, catching_up
from tocsin.dispatch.scene import Calendars, GroupFacts, Scene, entry_of, set_scene
from tocsin.flow.escalation import reminders as pure
from tocsin.flow.escalation.effects import Log
from tocsin.flow.escalation.reminders import Remind, Reminder, Unacknowledge
from tocsin.flow.groups import Action, Verb
from tocsin.flow.model import Micros, ResponderFragment
from tocsin.store import actions, deliveries, escalations, logbook, occurrences, posted, timers
from tocsin.store.briefs import Brief
from tocsin.store.deliveries import NewDelivery

_decoder = msgspec.json.Decoder(Reminder)


def arm(scene: Scene, group: Brief) -> None:
    """After an acknowledge; a reminder of an earlier one makes way."""
    mark = group.life.acknowledged
    if mark is None:
        return
    number = group.number
    running = escalations.get(scene.connection, number)
    snapshot = snapshot_of(scene, group) if running is None else running.run.snapshot
    if snapshot is None:
        return
    earlier = timers.get(scene.connection, timers.REMIND, str(number))
    previous = None if earlier is None else _decoder.decode(earlier.data)
    reminder = pure.arm(snapshot, mark, attached=group.life.parent is not None, previous=previous)
    if reminder is None:
        timers.cancel(scene.connection, timers.REMIND, str(number))
    else:
        _schedule(scene.connection, number, reminder, reminder.due_at)


def confirm(connection: Connection, group: int, actor: str, now: Micros) -> bool:
    """Somebody says that the group is being worked on. False if nobody is asked about it."""
    found = timers.get(connection, timers.REMIND, str(group))
    if found is None:
        return False
    done = pure.confirm(_decoder.decode(found.data), actor, now)
    entries = [entry_of(effect, now) for effect in done.effects if isinstance(effect, Log)]
    logbook.append(connection, group, entries)
    if done.resume_at is not None:
        _schedule(connection, group, done.reminder, done.resume_at)
    return True


class Reminders:
    """The handler of `remind`."""

    def __init__(self, live: Live, calendars: Calendars) -> None:
        self._live = live
        self._calendars = calendars

    def run(self, connection: Connection, job: Job) -> Micros | None:
        program, now = self._live.program, job.now
        later = catching_up(connection, program, now)
        if later is not None:
            return later
        number = int(job.timer.subject)
        scene = set_scene(connection, now, program, self._calendars, [number])
        group = scene.groups.get(number)
        if group is None:
            return None
        done = pure.advance_reminder(_decoder.decode(job.timer.data), GroupFacts(scene, group), now)
        for effect in done.effects:
            match effect:
                case Log():
                    scene.ledger.log(number, effect, now)
                case Remind():
                    _ask(scene, group, effect)
                case Unacknowledge():
                    action = Action(verb=Verb.REMINDER_TIMEOUT, at=now, reason="nobody confirmed in time")
                    acted = actions.signal(connection, number, action)
                    if acted is not None:
                        occurrences.hold(connection, acted.affected)
        scene.ledger.write(connection, now)
        if done.resume_at is not None:
            _schedule(connection, number, done.reminder, done.resume_at)
        return None


def _ask(scene: Scene, group: Brief, asked: Remind) -> None:
    """In every channel that shows the group, and of the person, if it is a Responder's, by their first contact."""
    joined = f", and {asked.alerts} alerts joined since" if asked.alerts else ""
    reason = f"acknowledged by {asked.acknowledged_by}{joined}: is it still being worked on?"
    order = msgspec.json.encode(Order(reason=reason, confirm=asked.answer_by is not None)).decode()
    key = f"{deliveries.REMINDER}/{group.number}/{asked.asked_at}"
    for message in posted.list_posted(scene.connection, [group.number]):
        scene.ledger.deliveries.append(
            NewDelivery(
                key=f"{key}/{message.channel}",
                kind=deliveries.REMINDER,
                at=scene.now,
                channel=message.channel,
                group=group.number,
                data=order,
            )
        )
    person = _person(scene, asked.acknowledged_by)
    if person is not None and person.contacts:
        contact = person.contacts[0]
        scene.ledger.deliveries.append(
            NewDelivery(
                key=f"{key}/{person.namespace}/{person.name}",
                kind=deliveries.REMINDER,
                at=scene.now,
                channel=contact.channel,
                responder=f"{person.namespace}/{person.name}",
                contact=contact.name,
                group=group.number,
                data=order,
            )
        )


def _person(scene: Scene, actor: str) -> ResponderFragment | None:
    """Whoever acts under that name, if it is a Responder's."""
    found = (one for name, one in sorted(scene.targets.responders.items()) if actor in (name, one.username))
    return next(found, None)


def _schedule(connection: Connection, group: int, reminder: Reminder, due_at: Micros) -> None:
    data = msgspec.json.encode(reminder).decode()
    timers.schedule(connection, timers.REMIND, str(group), due_at, data=data)
