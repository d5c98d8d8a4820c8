"""What became of a group: its escalation, whom it was told to and where it is posted."""

from __future__ import annotations

from sqlalchemy import Connection

from tocsin.api import ids
from tocsin.console.api.context import Document
from tocsin.console.api.people import person_document
from tocsin.console.api.shapes import moment
from tocsin.flow.program import Program
from tocsin.store import deliveries, escalations, notes, posted
from tocsin.store.backend import disguise_of
from tocsin.store.deliveries import Delivery
from tocsin.store.escalations import Escalation, Personal
from tocsin.store.posted import Posted

SHOWN_DELIVERIES = 50


def telling_documents(connection: Connection, number: int, program: Program) -> Document:
    """Members of the document of one group."""
    escalation = escalations.get(connection, number)
    latest = deliveries.list_deliveries(connection, group=number, limit=SHOWN_DELIVERIES)
    return {
        "escalation": None if escalation is None else _escalation(escalation),
        "personal": [_personal(one, program) for one in escalations.list_personal(connection, [number])],
        "paged": [_page(one, program) for one in notes.list_paged(connection, [number])],
        "posted": [_posted(one) for one in posted.list_posted(connection, [number])],
        "deliveries": [delivery_document(connection, one) for one in latest],
    }


def delivery_document(connection: Connection, one: Delivery) -> Document:
    group = None if one.group is None else disguise_of(connection).id_of(ids.GROUP, one.group)
    return {
        "id": one.id,
        "kind": one.kind,
        "state": one.state.name.lower(),
        "channel": one.channel or None,
        "responder": one.responder or None,
        "contact": one.contact or None,
        "alert_group_id": group,
        "created_at": moment(one.created_at),
        "due_at": moment(one.due_at),
        "attempts": one.attempts,
        "first_attempt_at": moment(one.first_attempt_at),
        "finished_at": moment(one.finished_at),
        "reason": one.reason,
        "error": one.error,
        "receipt": one.receipt,
        "idempotency_key": one.key,
    }


def _escalation(one: Escalation) -> Document:
    """`step` counts from 0; `steps` is how many there are."""
    run = one.run
    return {
        "chain": run.snapshot.chain or None,
        "route": run.snapshot.route,
        "channels": list(run.snapshot.channels),
        "step": run.cursor,
        "steps": len(run.snapshot.steps),
        "passes": run.passes,
        "paused": run.paused and one.finished_at is None,
        "started_at": moment(run.started_at),
        "next_at": moment(one.resume_at),
        "finished_at": moment(one.finished_at),
        "finished": one.finished_at is not None,
    }


def _personal(one: Personal, program: Program) -> Document:
    run = one.run
    return {
        **person_document(program, run.responder),
        "importance": run.importance.value,
        "rule": run.cursor,
        "rules": len(run.rules),
        "started_at": moment(run.started_at),
        "next_at": moment(one.resume_at),
        "finished": one.finished_at is not None,
    }


def _page(one: notes.Page, program: Program) -> Document:
    return {
        **person_document(program, one.responder),
        "important": one.important,
        "at": moment(one.at),
        "by": one.actor or None,
    }


def _posted(one: Posted) -> Document:
    return {
        "channel": one.channel,
        "state": one.state,
        "alerts_count": one.alerts_count,
        "posted_at": moment(one.posted_at),
        "updated_at": moment(one.updated_at),
        "open": one.open,
    }
