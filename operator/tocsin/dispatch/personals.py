"""Responders' own rules at work for a group, begun by a step of a chain or by a page."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from tocsin.api.escalationchain import Importance
from tocsin.api.outgoingwebhook import Trigger
from tocsin.dispatch import triggers
from tocsin.dispatch.deliveries.parcels import Order
from tocsin.dispatch.scene import PersonFacts, Scene
from tocsin.dispatch.triggers import WebhookOrder
from tocsin.flow.escalation.effects import Log
from tocsin.flow.escalation.personal import PersonalRun, Send, advance_personal, start_personal
from tocsin.flow.groups import LogKind
from tocsin.flow.model import RuleFragment
from tocsin.store import deliveries, escalations
from tocsin.store.briefs import Brief
from tocsin.store.deliveries import NewDelivery
from tocsin.store.escalations import Personal

PAGED = "paged by hand"
AGAIN = "further alerts joined a group that cannot tell them apart"


def begin(scene: Scene, group: Brief, responder: str, importance: Importance, *, reason: str) -> None:
    """The rules of a responder start and the first is run; rules that run for this group already make way."""
    run = _run(scene, group, responder, importance)
    if run is not None:
        _start(scene, group, run, reason)


def page(scene: Scene, group: Brief, responder: str, importance: Importance) -> None:
    """By hand: the responder is told of the group, also if it is acknowledged or silenced (alert-flow R-PAG-3)."""
    run = _run(scene, group, responder, importance, paged=True)
    if run is not None:
        _start(scene, group, run, PAGED)


def tell_again(scene: Scene, group: Brief, earlier: Personal) -> None:
    """Once, by the first rule that names a contact, although the group is acknowledged or silenced."""
    run = _run(scene, group, earlier.run.responder, earlier.run.importance, paged=True)
    if run is not None:
        first = next((rule for rule in run.rules if rule.contact), None)
        rules: tuple[RuleFragment, ...] = () if first is None else (first,)
        _start(scene, group, replace(run, rules=rules), AGAIN)


def go_on(scene: Scene, group: Brief, found: Personal, *, reason: str = "") -> None:
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


def unpage(scene: Scene, group: Brief, responder: str) -> None:
    """The responder is not told any more, as far as nothing is on its way (alert-flow R-PAG-4)."""
    escalations.stop_personal(scene.connection, group.number, responder, scene.now)
    kinds = (deliveries.PERSONAL,)
    deliveries.drop_pending(scene.connection, group.number, scene.now, kinds=kinds, responder=responder)


def _run(
    scene: Scene, group: Brief, responder: str, importance: Importance, *, paged: bool = False
) -> PersonalRun | None:
    """A fresh one; None, and an entry of the log, if there is no such responder."""
    fragment = scene.targets.responders.get(responder)
    if fragment is None:
        scene.ledger.log(group.number, _gone(responder), scene.now)
        return None
    return start_personal(fragment, importance, scene.now, paged=paged)


def _start(scene: Scene, group: Brief, run: PersonalRun, reason: str) -> None:
    go_on(scene, group, Personal(group=group.number, run=run, resume_at=run.resume_at), reason=reason)


def _send(scene: Scene, group: Brief, run: PersonalRun, send: Send, reason: str) -> None:
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
        return PAGED
    return f"rule of {run.responder} ({run.importance.lower()})"


def _gone(responder: str) -> Log:
    reason = f"there is no Responder {responder} (deleted, suspended or refused)"
    return Log(kind=LogKind.PERSON_NOT_NOTIFIED, details={"responder": responder, "reason": reason})
