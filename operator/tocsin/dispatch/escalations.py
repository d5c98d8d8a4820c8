"""Escalations of groups: the pure flow asked what is due, and its effects turned into rows.

A step notifies by writing deliveries; whoever sends them does so after the commit. So a step and what it set off are one
commit, and a step is never done twice.
"""

from __future__ import annotations

import msgspec

from tocsin.api.outgoingwebhook import Trigger as WebhookTrigger
from tocsin.dispatch import personals, triggers
from tocsin.dispatch.deliveries.parcels import Order
from tocsin.dispatch.scene import GroupFacts, Scene, target_of
from tocsin.dispatch.triggers import WebhookOrder
from tocsin.flow.escalation import run as chain
from tocsin.flow.escalation.effects import (
    Effect,
    Log,
    Notify,
    Publish,
    ResolveGroup,
    TookTurn,
    Trigger,
    in_words,
)
from tocsin.flow.escalation.rehearsal import rehearsed
from tocsin.flow.escalation.snapshot import Snapshot, take
from tocsin.flow.groups import LogKind, State
from tocsin.flow.model import Micros
from tocsin.store import alerts, deliveries
from tocsin.store.briefs import Brief
from tocsin.store.deliveries import NewDelivery
from tocsin.store.escalations import Escalation

ROUTE = "route"
"""Where a key names the step: it was the route itself that asked for the message."""


def can_start(scene: Scene, group: Brief) -> bool:
    """Whether the state of the group lets an escalation begin (alert-flow R-ESC-1, R-ESC-7)."""
    free = group.life.parent is None and not group.life.maintenance and not group.life.wiped
    if not free or group.state is not State.FIRING:
        return False
    return group.escalate_at is not None or scene.is_rehearsal(group)


def snapshot_of(scene: Scene, group: Brief) -> Snapshot | None:
    """Of the group's route as it is now; None if it is gone."""
    target = target_of(scene.program, group.integration, group.route)
    return None if target is None else take(target, group.route, scene.targets)


def begin(scene: Scene, group: Brief, snapshot: Snapshot, at: Micros, delay: int) -> None:
    """A new escalation from the first step. `at`: what happened that starts it, `delay`: how long it waits."""
    publish(scene, group, snapshot, at)
    if not snapshot.chain:
        return
    run = chain.start(snapshot, at, delay=delay)
    go_on(scene, group, Escalation(group=group.number, run=run, resume_at=run.resume_at))


def publish(scene: Scene, group: Brief, snapshot: Snapshot, at: Micros) -> None:
    """The group goes to the channels of its route that do not show it yet."""
    new = [name for name in snapshot.channels if (group.number, name) not in scene.shown]
    effects = [Publish(channel=name, step=ROUTE) for name in new]
    for effect in rehearsed(effects) if group.suppressed else effects:
        if isinstance(effect, Log):
            scene.ledger.log(group.number, effect, scene.now)
        elif isinstance(effect, Publish):
            post(scene, group, effect, at, Order())


def go_on(scene: Scene, group: Brief, found: Escalation, *, joined: bool = False) -> None:
    """Every step that is due. `joined`: an alert came that a paused escalation waits for."""
    now = scene.now
    if group.suppressed and not scene.is_rehearsal(group):
        scene.ledger.stopped[group.number] = now  # the window is over and keeps the group quiet
        return
    latest = None
    if any(step.continue_if_more_alerts is not None for step in found.run.snapshot.steps):
        latest = alerts.latest(scene.connection, group.number)  # before they are counted
    facts = GroupFacts(scene, group, found.run.snapshot)
    scene.learn_turns([found.run.snapshot])
    step = chain.new_alert if joined else chain.advance
    done = step(found.run, facts, now)
    effects = rehearsed(done.effects) if group.suppressed else done.effects
    for effect in effects:
        _carry_out(scene, group, done.run, effect)
    scene.ledger.escalations[group.number] = Escalation(
        group=group.number,
        run=done.run,
        resume_at=done.resume_at,
        seen_alert=latest[0] if done.run.paused and latest is not None else None,
        finished_at=now if done.run.finished else None,
    )


def _carry_out(scene: Scene, group: Brief, run: chain.Run, effect: Effect) -> None:
    match effect:
        case Log():
            scene.ledger.log(group.number, effect, scene.now)
        case Notify():
            reason = _reason(run, effect.step)
            personals.begin(scene, group, effect.responder, effect.importance, reason=reason)
        case Publish():
            order = Order(step=effect.step, reason=_reason(run, effect.step))
            post(scene, group, effect, run.started_at, order)
        case Trigger():
            what = WebhookOrder(event=WebhookTrigger.ESCALATION, at=scene.now, step=effect.step)
            key = f"{group.number}/{run.started_at}/{effect.step}"
            scene.ledger.deliveries.append(triggers.order(key, effect.webhook, group.number, what, scene.now))
        case TookTurn():
            scene.ledger.turns[effect.chain, effect.step] = effect.responder
        case ResolveGroup():
            scene.ledger.resolved.add(group.number)


def _reason(run: chain.Run, step: str) -> str:
    """Why one is told, in the words of a message."""
    return f"{in_words(step)} of EscalationChain {run.snapshot.chain}"


def post(scene: Scene, group: Brief, effect: Publish, at: Micros, order: Order) -> None:
    """A message of the group to a channel; `at`: what tells this occasion from others of the same step."""
    scene.ledger.deliveries.append(
        NewDelivery(
            key=f"{deliveries.GROUP}/{group.number}/{at}/{effect.channel}/{effect.step}",
            kind=deliveries.GROUP,
            at=scene.now,
            channel=effect.channel,
            group=group.number,
            data=msgspec.json.encode(order).decode(),
        )
    )


def route_is_gone(group: Brief) -> Log:
    """For the log of a group that nobody is told of because of that."""
    owner = f"{group.integration.namespace}/{group.integration.name}"
    what = f"Integration {owner}" if group.route == "default" else f"AlertRoute {group.route}"
    return Log(
        kind=LogKind.ESCALATION_FAILED,
        details={"reason": f"{what} is gone (deleted, suspended or refused): nobody is told"},
    )
