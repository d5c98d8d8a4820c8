"""What happened to groups becomes what is to be done: escalations begin and end, webhooks run, messages are edited.

Level-triggered: an event says that something happened, the group as it is now says what follows from it. So the order in
which dispatchers see events does not matter, and neither does how many of one group come together.
"""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.api.escalationchain import Importance
from tocsin.dispatch import escalations, personals, reminders, triggers
from tocsin.dispatch.deliveries.parcels import Order
from tocsin.dispatch.scene import Scene
from tocsin.flow.escalation.effects import Publish, Trigger
from tocsin.flow.escalation.rehearsal import rehearsed
from tocsin.flow.escalation.snapshot import Snapshot
from tocsin.flow.groups import START_DELAY_AGAIN, LogKind, State
from tocsin.flow.model import Micros
from tocsin.store import escalations as stored
from tocsin.store import posted
from tocsin.store.briefs import Brief
from tocsin.store.events import STARTS, STOPS, Event

STATES = STARTS | STOPS
PAGES = frozenset({LogKind.DIRECT_PAGING, LogKind.UNPAGE})

AGAIN = "again"
"""Where a key names the step: it is a further message of a group that is known already."""


def handle(scene: Scene, found: Sequence[Event]) -> None:
    """Everything that follows from these events; groups that are gone are passed over."""
    by_group: dict[int, list[Event]] = {}
    for event in found:
        if event.group in scene.groups:
            by_group.setdefault(event.group, []).append(event)
    numbers = sorted(by_group)
    stored.lock(scene.connection, numbers)
    changed = [number for number in numbers if _has_changed(by_group[number])]
    messages = posted.list_posted(scene.connection, changed) if changed else ()
    scene.shown = frozenset((message.group, message.channel) for message in messages)
    # One that says that its group is over is closed, and comes to life again with the group.
    scene.ledger.edits.update((m.group, m.channel) for m in messages if m.open or m.state is State.RESOLVED)
    beginning: list[tuple[Brief, Snapshot, Event]] = []
    for number in numbers:
        group, happened = scene.groups[number], by_group[number]
        _tell_webhooks(scene, group, happened)
        _page(scene, group, happened)
        if not group.life.maintenance:
            start = _start_of(scene, group, happened)
            snapshot = None if start is None else escalations.snapshot_of(scene, group)
            if start is None:
                _settle(scene, group, happened)
            elif snapshot is None:
                scene.ledger.log(number, escalations.route_is_gone(group), scene.now)
            else:
                beginning.append((group, snapshot, start))
    scene.learn_turns(snapshot for _, snapshot, _ in beginning)
    for group, snapshot, start in beginning:
        delay = 0 if start.kind is LogKind.REGISTERED else START_DELAY_AGAIN
        escalations.begin(scene, group, snapshot, Micros(min(start.at, scene.now)), delay)


def _start_of(scene: Scene, group: Brief, happened: Sequence[Event]) -> Event | None:
    """The latest event that starts the group's escalation, if it is to run now."""
    starts = [event for event in happened if event.kind in STARTS]
    return starts[-1] if starts and escalations.can_start(scene, group) else None


def _settle(scene: Scene, group: Brief, happened: Sequence[Event]) -> None:
    """Nothing begins: what runs ends, unless the group fires again by now, of which another event tells."""
    kinds = {event.kind for event in happened}
    if kinds & STATES and not escalations.can_start(scene, group):
        scene.ledger.stopped[group.number] = max(event.at for event in happened)
    shown = group.state is not State.RESOLVED and group.life.parent is None and not group.suppressed
    if LogKind.REGISTERED in kinds and shown:  # acknowledged by its first payload
        snapshot = escalations.snapshot_of(scene, group)
        if snapshot is not None:
            escalations.publish(scene, group, snapshot, happened[0].at)
    if LogKind.ACKNOWLEDGED in kinds:
        reminders.arm(scene, group)
    if LogKind.NOTIFIED_AGAIN in kinds and group.state in (State.ACKNOWLEDGED, State.SILENCED):
        _tell_again(scene, group, happened)


def _tell_again(scene: Scene, group: Brief, happened: Sequence[Event]) -> None:
    """Whoever was told of the group, and the channels of its route: alerts joined that nobody can tell apart."""
    at = max(event.at for event in happened if event.kind is LogKind.NOTIFIED_AGAIN)
    snapshot = escalations.snapshot_of(scene, group)
    if group.life.parent is not None or group.suppressed or snapshot is None:
        return
    for channel in snapshot.channels:
        order = Order(step=AGAIN, reason=personals.AGAIN)
        escalations.post(scene, group, Publish(channel=channel, step=AGAIN), at, order)
    for earlier in stored.list_personal(scene.connection, [group.number]):
        personals.tell_again(scene, group, earlier)


def _tell_webhooks(scene: Scene, group: Brief, happened: Sequence[Event]) -> None:
    """Maintenance mutes them (S-20); under Debug the log says which would have run."""
    muted = group.suppressed and not scene.is_rehearsal(group)
    for event in happened:
        what = None if muted else triggers.of_event(event)
        if what is None:
            continue
        for webhook in triggers.webhooks_for(scene.targets, group.integration, what.event):
            if group.suppressed:
                (log,) = rehearsed([Trigger(webhook=webhook, step="")])
                scene.ledger.log(group.number, log, scene.now)
            else:
                scene.ledger.deliveries.append(
                    triggers.order(str(event.id), webhook, group.number, what, scene.now)
                )


def _page(scene: Scene, group: Brief, happened: Sequence[Event]) -> None:
    """Whom people paged into the group or out of it; of one person the last word counts."""
    last = {event.details["responder"]: event for event in happened if event.kind in PAGES}
    for responder, event in last.items():
        if event.kind is LogKind.UNPAGE:
            personals.unpage(scene, group, responder)
        else:
            personals.page(scene, group, responder, Importance(event.details["importance"]))


def _has_changed(happened: Sequence[Event]) -> bool:
    """Whether messages may show the group by now, and show it otherwise than it is."""
    return any(event.kind in STATES and event.kind is not LogKind.REGISTERED for event in happened)
