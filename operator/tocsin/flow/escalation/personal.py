"""How one person is told of one group: their rules, one after another, until somebody acts (alert-flow 12.3). Pure."""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec.structs import replace

from tocsin.api.escalationchain import Importance
from tocsin.flow.escalation.effects import Log
from tocsin.flow.escalation.overdue import LATE, Due
from tocsin.flow.groups import LogKind, State
from tocsin.flow.model import Micros, ResponderFragment, RuleFragment


class PersonalRun(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`rules` are those at the start; contacts are looked up when their turn comes.

    `even_if_acknowledged`: a person was paged by hand, so an acknowledged or silenced group does not stop it.
    Store one per group and responder: a new one replaces the older (alert-flow R-NTF-4).
    """

    responder: str
    importance: Importance
    rules: tuple[RuleFragment, ...]
    started_at: Micros
    resume_at: Micros
    cursor: int = 0
    even_if_acknowledged: bool = False
    finished: bool = False


class PersonFacts(Protocol):
    """What is true now. `responder`: None if there is none of that name any more.

    `answered`: this very person acknowledged the group after the run started (alert-flow R-PAG-3).
    """

    @property
    def state(self) -> State: ...
    @property
    def attached(self) -> bool: ...
    @property
    def wiped(self) -> bool: ...
    @property
    def answered(self) -> bool: ...
    @property
    def responder(self) -> ResponderFragment | None: ...


class Send(msgspec.Struct, frozen=True, kw_only=True):
    """Tell the person through their contact of this name. `rule`: index of the rule, for the idempotency key."""

    contact: str
    rule: int


PersonalEffect = Send | Log


class PersonalAdvance(msgspec.Struct, frozen=True, kw_only=True):
    """`resume_at` None: nothing more is to come."""

    run: PersonalRun
    effects: tuple[PersonalEffect, ...] = ()
    resume_at: Micros | None = None


def start_personal(
    responder: ResponderFragment, importance: Importance, now: Micros, *, paged: bool = False
) -> PersonalRun:
    """A run that is due at once. Without important rules the default ones apply, without any the first contact once."""
    rules = (importance is Importance.IMPORTANT and responder.important) or responder.default
    if not rules:
        rules = tuple(RuleFragment(contact=contact.name) for contact in responder.contacts[:1])
    return PersonalRun(
        responder=f"{responder.namespace}/{responder.name}",
        importance=importance,
        rules=rules,
        started_at=now,
        resume_at=now,
        even_if_acknowledged=paged,
    )


def stop_personal(run: PersonalRun) -> PersonalRun:
    """Un-paged, or the group is gone."""
    return replace(run, finished=True)


def advance_personal(run: PersonalRun, facts: PersonFacts, now: Micros) -> PersonalAdvance:
    """Every rule that is due. Too early and finished runs stay as they are, so calling twice is harmless.

    What is overdue is treated as in an escalation (`overdue`).
    """
    if run.finished:
        return PersonalAdvance(run=run)
    if _stopped(run, facts):
        return PersonalAdvance(run=stop_personal(run))
    if now < run.resume_at:
        return PersonalAdvance(run=run, resume_at=run.resume_at)
    if facts.responder is None:
        reason = f"there is no Responder {run.responder} any more: it is deleted, suspended or refused"
        return PersonalAdvance(run=stop_personal(run), effects=(_failed(run, reason),))
    if not run.rules:
        reason = f"Responder {run.responder} has neither rules nor a contact: nobody is told"
        return PersonalAdvance(run=stop_personal(run), effects=(_failed(run, reason),))
    return _walk(run, frozenset(contact.name for contact in facts.responder.contacts), now)


def _stopped(run: PersonalRun, facts: PersonFacts) -> bool:
    """Alert-flow R-NTF-5; of a person paged by hand R-PAG-3."""
    if facts.attached or facts.wiped or facts.state is State.RESOLVED:
        return True
    if run.even_if_acknowledged:
        return facts.answered
    return facts.state is not State.FIRING


def _walk(run: PersonalRun, contacts: frozenset[str], now: Micros) -> PersonalAdvance:
    due: Due[PersonalEffect] = Due(late=now - run.resume_at > LATE)
    at = run.resume_at
    for index, rule in enumerate(run.rules[run.cursor :], start=run.cursor):
        if not rule.contact:
            at = due.until(at, rule.wait, now)
            if at > now:
                waiting = replace(run, cursor=index + 1, resume_at=at)
                return PersonalAdvance(run=waiting, effects=_effects(run, due), resume_at=at)
            due.next_moment()
        elif rule.contact in contacts:
            due.telling()
            due.add(index, _entry(run, LogKind.PERSON_NOTIFIED, contact=rule.contact))
            due.add(index, Send(contact=rule.contact, rule=index))
        else:
            reason = f"Responder {run.responder} has no contact {rule.contact} any more"
            due.add(index, _failed(run, reason))
    finished = replace(run, cursor=len(run.rules), finished=True)
    return PersonalAdvance(run=finished, effects=_effects(run, due))


def _effects(run: PersonalRun, due: Due[PersonalEffect]) -> tuple[PersonalEffect, ...]:
    if not due.skipped:
        return tuple(due.effects)
    reason = "overdue, because nobody ran them in time: only the newest rules that are due were run"
    return (_entry(run, LogKind.PERSON_NOTIFIED, skipped=due.skipped, reason=reason), *due.effects)


def _failed(run: PersonalRun, reason: str) -> Log:
    return _entry(run, LogKind.PERSON_NOT_NOTIFIED, reason=reason)


def _entry(run: PersonalRun, kind: LogKind, **details: str) -> Log:
    return Log(kind=kind, details={"responder": run.responder, "importance": run.importance.value, **details})
