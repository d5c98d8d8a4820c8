"""Responders' own rules at work for a group, begun by a step of a chain or by a page."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection

from tocsin.api.escalationchain import Importance
from tocsin.api.outgoingwebhook import Trigger
from tocsin.dispatch import triggers
from tocsin.dispatch.deliveries.parcels import Order
from tocsin.dispatch.scene import PersonFacts, Scene
from tocsin.dispatch.triggers import WebhookOrder
from tocsin.flow.escalation.effects import Log
from tocsin.flow.escalation.personal import PersonalRun, Send, advance_personal, start_personal
from tocsin.flow.groups import LogKind
from tocsin.flow.model import Micros, ResponderFragment, RuleFragment
from tocsin.store import deliveries, escalations, wakeups
from tocsin.store.deliveries import NewDelivery
from tocsin.store.escalations import Personal
from tocsin.store.groups import AlertGroup

AGAIN = "further alerts joined a group that cannot tell them apart"


def begin(scene: Scene, group: AlertGroup, responder: str, importance: Importance, *, reason: str) -> None:
    """The rules of a responder start and the first is run; rules that run for this group already make way."""
    fragment = scene.targets.responders.get(responder)
    if fragment is None:
        scene.ledger.log(group.number, _gone(responder), scene.now)
        return
    run = start_personal(fragment, importance, scene.now)
    go_on(scene, group, Personal(group=group.number, run=run, resume_at=run.resume_at), reason=reason)


def tell_again(scene: Scene, group: AlertGroup, earlier: Personal) -> None:
    """Once, by the first rule that names a contact, although the group is acknowledged or silenced."""
    fragment = scene.targets.responders.get(earlier.run.responder)
    if fragment is None:
        return
    run = start_personal(fragment, earlier.run.importance, scene.now, paged=True)
    first = next((rule for rule in run.rules if rule.contact), None)
    rules: tuple[RuleFragment, ...] = () if first is None else (first,)
    run = msgspec.structs.replace(run, rules=rules)
    go_on(scene, group, Personal(group=group.number, run=run, resume_at=run.resume_at), reason=AGAIN)


def go_on(scene: Scene, group: AlertGroup, found: Personal, *, reason: str = "") -> None:
    """Every rule that is due."""
    run = found.run
    facts = PersonFacts(scene, group, run.responder, run.started_at)
    done = advance_personal(run, facts, scene.now)
    for effect in done.effects:
        if isinstance(effect, Send):
            _send(scene, group, run, effect, reason or _reason(run))
        else:
            scene.ledger.log(group.number, effect, scene.now)
    scene.ledger.personals[group.number, run.responder] = Personal(
        group=group.number,
        run=done.run,
        resume_at=done.resume_at,
        finished_at=scene.now if done.resume_at is None else None,
    )


def page(
    connection: Connection, group: int, responder: ResponderFragment, importance: Importance, now: Micros
) -> None:
    """By hand: the responder is told of the group, also if it is acknowledged or silenced (alert-flow R-PAG-3).

    The engine of some process takes it from here, at once.
    """
    run = start_personal(responder, importance, now, paged=True)
    escalations.put_personal(connection, [Personal(group=group, run=run, resume_at=run.resume_at)])
    wakeups.mark(connection, wakeups.EVENTS)


def unpage(connection: Connection, group: int, responder: str, now: Micros) -> bool:
    """The responder is not told any more, as far as nothing is on its way. False if nothing ran or waited."""
    ran = escalations.stop_personal(connection, group, responder, now)
    kinds = (deliveries.PERSONAL,)
    waited = deliveries.drop_pending(connection, group, now, kinds=kinds, responder=responder)
    return ran or waited > 0


def _send(scene: Scene, group: AlertGroup, run: PersonalRun, send: Send, reason: str) -> None:
    person = scene.targets.responders[run.responder]
    channel = next(contact.channel for contact in person.contacts if contact.name == send.contact)
    occasion = f"{group.number}/{run.responder}/{run.started_at}/{send.rule}"
    important = run.importance is Importance.IMPORTANT
    order = Order(reason=reason, important=important, even_if_acknowledged=run.even_if_acknowledged)
    scene.ledger.deliveries.append(
        NewDelivery(
            key=f"{deliveries.PERSONAL}/{occasion}",
            kind=deliveries.PERSONAL,
            at=scene.now,
            channel=channel,
            responder=run.responder,
            contact=send.contact,
            group=group.number,
            data=msgspec.json.encode(order).decode(),
        )
    )
    what = WebhookOrder(event=Trigger.PERSONAL_NOTIFICATION, at=scene.now, responder=run.responder)
    for webhook in triggers.webhooks_for(scene.targets, group.integration, what.event):
        scene.ledger.deliveries.append(triggers.order(occasion, webhook, group.number, what, scene.now))


def _reason(run: PersonalRun) -> str:
    if run.even_if_acknowledged:
        return "paged by hand"
    return f"rule of {run.responder} ({run.importance.lower()})"


def _gone(responder: str) -> Log:
    reason = f"there is no Responder {responder} (deleted, suspended or refused)"
    return Log(kind=LogKind.PERSON_NOT_NOTIFIED, details={"responder": responder, "reason": reason})
