"""Paging people by hand (alert-flow 3.4): a new group through an Integration of type direct_paging, or an existing one.

A page of a Responder is a row of `paged`, an entry of the group's log, and an event from which their notification rules
start; an un-page is its undoing. All in the caller's transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection

from tocsin.api.escalationchain import Importance
from tocsin.flow.groups import Actor, Entry, GroupState, LogKind, Refusal, Refused
from tocsin.flow.model import Micros, Target
from tocsin.flow.program import IntegrationProgram, Program
from tocsin.store import Arrival, actions, events, logbook, notes
from tocsin.store.actions import NoSuchGroup
from tocsin.store.within import ingest_within

TYPE = "direct_paging"
RESPONDER, IMPORTANCE = "responder", "importance"
"""Details of the log entries and events DIRECT_PAGING (both) and UNPAGE (the first)."""


class Who(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to page: `responder` is `namespace/name`."""

    responder: str
    important: bool = False


class Words(msgspec.Struct, frozen=True, kw_only=True):
    """What a new group says. `important`: what `payload.oncall.important` is, for routes."""

    title: str = ""
    message: str = ""
    source_url: str = ""
    important: bool = False


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """Who pages, and when."""

    actor: Actor
    now: Micros


def integration_for(program: Program, namespace: str, team: str) -> IntegrationProgram | None:
    """The Integration through which this team is paged (no team: people by name); of several the first by name."""
    found = (
        one
        for one in program.integrations.values()
        if one.fragment.type == TYPE and (one.fragment.namespace, one.fragment.team) == (namespace, team)
    )
    usable = [one for one in found if not one.fragment.suspended]
    return min(usable, key=lambda one: one.identity, default=None)


def is_contactable(program: Program, integration: IntegrationProgram) -> bool:
    """Whether a page through it can reach anybody: some route leads to a chain or a channel that is there (R-PAG-5)."""
    targets = program.targets

    def leads_somewhere(target: Target) -> bool:
        return target.escalation_chain in targets.chains or any(
            channel in targets.channels for channel in target.channels
        )

    routes = (route.target for route in integration.evaluator.routes.routes)
    return any(leads_somewhere(target) for target in (integration.fragment.default_target, *routes))


def open_group(
    connection: Connection, program: Program, integration: IntegrationProgram, words: Words, call: Call
) -> int:
    """A new alert through the Integration's normal flow; the number of its group (R-PAG-2)."""
    payload = {
        "oncall": {
            "title": words.title,
            "message": words.message,
            "uid": secrets.token_hex(16),
            "author_username": call.actor.name,
            "permalink": words.source_url,
            "important": words.important,
        }
    }
    arrival = Arrival(
        integration=integration.identity,
        decision=integration.evaluate(payload, call.now, notes=(f"paged by {call.actor.name}",)),
        payload=msgspec.json.encode(integration.redact(payload)),
        received_at=call.now,
        now=call.now,
        manifest=program.digest,
    )
    (stored,) = ingest_within(connection, (arrival,))
    return stored.number


def page(connection: Connection, number: int, people: Sequence[Who], call: Call) -> None:
    """Tells these people of the group, also of an acknowledged or silenced one (R-PAG-3). Raises Refused or NoSuchGroup."""
    group = _locked(connection, number)
    if group.resolved is not None:
        raise Refused(Refusal.RESOLVED, f"#{number} is resolved: unresolve it, or page with a new group")
    if group.parent is not None:
        raise Refused(Refusal.ATTACHED, f"#{number} is attached to #{group.parent}: page into that one")
    for who in people:
        importance = Importance.IMPORTANT if who.important else Importance.DEFAULT
        details = ((RESPONDER, who.responder), (IMPORTANCE, importance.value))
        _tell(connection, number, LogKind.DIRECT_PAGING, details, call)
        notes.page(
            connection,
            notes.Page(
                group=number,
                responder=who.responder,
                important=who.important,
                at=call.now,
                actor=call.actor.name,
            ),
        )


def unpage(connection: Connection, number: int, responder: str, call: Call) -> bool:
    """Ends what the responder is still to be told of the group; logged in any case (R-PAG-4). Whether they were paged.

    Raises NoSuchGroup.
    """
    _locked(connection, number)
    was_paged = notes.unpage(connection, number, responder)
    _tell(connection, number, LogKind.UNPAGE, ((RESPONDER, responder),), call)
    return was_paged


def _tell(
    connection: Connection, number: int, kind: LogKind, details: tuple[tuple[str, str], ...], call: Call
) -> None:
    entry = Entry(kind=kind, at=call.now, actor=call.actor, details=details)
    logbook.append(connection, number, (entry,))
    events.append(connection, number, entry)


def _locked(connection: Connection, number: int) -> GroupState:
    group = actions.state_for_update(connection, number)
    if group is None:
        raise NoSuchGroup(number)
    return group
