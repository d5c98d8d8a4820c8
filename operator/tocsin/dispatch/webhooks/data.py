"""What a webhook's templates see, and what it sends if it has no body of its own (alert-flow R-WHK-11)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

import msgspec
from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.api.outgoingwebhook import Trigger
from tocsin.dispatch.scene import Calendars
from tocsin.dispatch.triggers import WebhookOrder
from tocsin.flow.escalation.telling import in_turn, name_of
from tocsin.flow.groups import Mark, State
from tocsin.flow.model import Micros, ResponderFragment
from tocsin.flow.oncall import on_call
from tocsin.flow.program import Program
from tocsin.flow.targets import Targets
from tocsin.flow.zones import exact_time
from tocsin.store import alerts, deliveries, escalations, groups, identities, webhookruns
from tocsin.store.alerts import Alert
from tocsin.store.deliveries import Delivery, DeliveryState
from tocsin.store.groups import AlertGroup

Document = dict[str, Any]

EVENT_NAMES: Mapping[Trigger, str] = MappingProxyType(
    {
        Trigger.ESCALATION: "escalation",
        Trigger.ALERT_GROUP_CREATED: "alert group created",
        Trigger.ACKNOWLEDGE: "acknowledge",
        Trigger.RESOLVE: "resolve",
        Trigger.SILENCE: "silence",
        Trigger.UNSILENCE: "unsilence",
        Trigger.UNRESOLVE: "unresolve",
        Trigger.UNACKNOWLEDGE: "unacknowledge",
        Trigger.STATUS_CHANGE: "status change",
        Trigger.PERSONAL_NOTIFICATION: "personal notification",
    }
)
_MOST_TOLD = 200


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Read in one go. `responses`: what other webhooks answered for the group, by their names."""

    group: AlertGroup
    first: Alert | None
    payload: bytes | None
    last: Alert | None
    last_payload: bytes | None
    told: tuple[str, ...]
    to_tell: tuple[str, ...]
    responses: Mapping[str, str]


def read(
    connection: Connection, delivery: Delivery, program: Program, calendars: Calendars, now: Micros
) -> Subject | None:
    """None if the group is gone."""
    group = None if delivery.group is None else groups.get(connection, delivery.group)
    if group is None:
        return None
    first, last = alerts.first(connection, group.number), alerts.last(connection, group.number)
    return Subject(
        group=group,
        first=first,
        payload=_payload(connection, first),
        last=last,
        last_payload=_payload(connection, last),
        told=_told(connection, group.number),
        to_tell=_to_tell(connection, group.number, program.targets, calendars, now),
        responses=webhookruns.latest_responses(connection, group.number, without=delivery.channel),
    )


def document(subject: Subject, order: WebhookOrder, webhook: str, program: Program, link: str) -> Document:
    """Everything, ready for JSON. `link` is the group's page, "" where there is none."""
    group, targets = subject.group, program.targets
    found: Document = {
        "event": _event(order, targets),
        "user": _user_called(order.actor.name, targets),
        "alert_group": _group(subject, program, link),
        "alert_group_id": group.public_id,
        "alert_payload": "" if subject.payload is None else msgspec.json.decode(subject.payload),
        "integration": _integration(group, program),
        "notified_users": _users(subject.told, targets),
        "users_to_be_notified": _users(subject.to_tell, targets),
        "alert_group_acknowledged_by": _marked(group.life.acknowledged, targets),
        "alert_group_resolved_by": _marked(group.life.resolved, targets),
        "webhook": {"id": webhook, "name": webhook.partition("/")[2]},
    }
    if subject.responses:
        found["responses"] = {name: _parsed(text) for name, text in subject.responses.items()}
    return found


def _event(order: WebhookOrder, targets: Targets) -> Document:
    event: Document = {"type": EVENT_NAMES[order.event], "time": _time(order.at)}
    if order.event is Trigger.SILENCE:
        event["until"] = _time(order.until)
    if order.responder and order.responder in targets.responders:
        event["user"] = _user(order.responder, targets.responders[order.responder])
    return event


def _group(subject: Subject, program: Program, link: str) -> Document:
    group, life = subject.group, subject.group.life
    known = program.integrations.get(group.integration)
    return {
        "id": group.public_id,
        "number": group.number,
        "integration_id": identities.public_id(group.integration),
        "team_id": known.fragment.team or None if known is not None else None,
        "route_id": identities.public_id(identities.route_identity(group.route)),
        "route": group.route,
        "alerts_count": group.alerts_count,
        "state": "firing" if group.state is State.FIRING else group.state.value,
        "created_at": _time(group.started_at),
        "resolved_at": _at(life.resolved),
        "resolved_by": _by(life.resolved),
        "acknowledged_at": _at(life.acknowledged),
        "acknowledged_by": _by(life.acknowledged),
        "silenced_at": None if life.silenced is None else _time(life.silenced.at),
        "title": group.title,
        "labels": dict(group.labels),
        "permalinks": {"web": link or None},
        "last_alert": _alert(subject.last, subject.last_payload, group.public_id),
    }


def _alert(alert: Alert | None, payload: bytes | None, group: str) -> Document | None:
    if alert is None:
        return None
    return {
        "id": alert.public_id,
        "alert_group_id": group,
        "created_at": _time(alert.received_at),
        "payload": None if payload is None else msgspec.json.decode(payload),
    }


def _integration(group: AlertGroup, program: Program) -> Document:
    known = program.integrations.get(group.integration)
    fragment = None if known is None else known.fragment
    return {
        "id": identities.public_id(group.integration),
        "type": "" if fragment is None else fragment.type,
        "name": group.integration.name if fragment is None else fragment.title or group.integration.name,
        "team": None if fragment is None else fragment.team or None,
        "labels": {} if fragment is None else dict(fragment.labels),
    }


def _users(names: Iterable[str], targets: Targets) -> list[Document]:
    return [_user(name, targets.responders[name]) for name in names if name in targets.responders]


def _user(name: str, responder: ResponderFragment) -> Document:
    """`id` as in the API."""
    namespace, _, own = name.partition("/")
    public = identities.public_id(Identity("Responder", namespace, own))
    return {"id": public, "username": responder.username, "email": responder.email}


def _user_called(actor: str, targets: Targets) -> Document | None:
    """Whoever acted; null for sources and Tocsin itself (alert-flow R-WHK-5)."""
    if not actor:
        return None
    for name, responder in targets.responders.items():
        if actor in (name, responder.username):
            return _user(name, responder)
    return {"id": None, "username": actor, "email": ""}


def _marked(mark: Mark | None, targets: Targets) -> Document | None:
    return None if mark is None else _user_called(mark.actor, targets)


def _told(connection: Connection, group: int) -> tuple[str, ...]:
    """Who was told in person, each once."""
    done = deliveries.list_deliveries(
        connection, group=group, states=(DeliveryState.DELIVERED,), limit=_MOST_TOLD
    )
    people = [one.responder for one in reversed(done) if one.kind == deliveries.PERSONAL]
    return tuple(dict.fromkeys(people))


def _to_tell(
    connection: Connection, group: int, targets: Targets, calendars: Calendars, now: Micros
) -> tuple[str, ...]:
    """People that the chain names, whose turn it is, or who are on call; not members of teams (alert-flow R-WHK-11)."""
    known = escalations.get(connection, group)
    if known is None:
        return ()
    snapshot = known.run.snapshot
    turns = escalations.turns(connection, {snapshot.chain}) if snapshot.chain else {}
    found: list[str] = []
    for index, step in enumerate(snapshot.steps):
        if step.notify_responders is not None:
            found += [name_of(ref) for ref in step.notify_responders.responder_refs]
        elif step.notify_next_responder is not None:
            names = [name_of(ref) for ref in step.notify_next_responder.responder_refs]
            present = [name for name in names if name in targets.responders]
            found += in_turn(present, turns.get((snapshot.chain, str(index)), ""), targets)[:1]
        elif step.notify_on_call is not None:
            schedule = name_of(step.notify_on_call.schedule_ref)
            fragment = targets.schedules.get(schedule)
            if fragment is not None:
                found += on_call(fragment, targets.responders, calendars.get(schedule), now).responders
    return tuple(dict.fromkeys(found))


def _payload(connection: Connection, alert: Alert | None) -> bytes | None:
    return alerts.payload_of(connection, alert.id) if alert is not None and alert.has_payload else None


def _parsed(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def _at(mark: Mark | None) -> str | None:
    return None if mark is None else _time(mark.at)


def _by(mark: Mark | None) -> str | None:
    return None if mark is None else mark.actor or None


def _time(moment: Micros | None) -> str | None:
    return None if moment is None else exact_time(moment)
