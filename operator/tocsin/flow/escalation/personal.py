"""How one person is told of one group: their rules, one after another, until somebody acts (alert-flow 12.3). Pure."""

from __future__ import annotations

from typing import Protocol

import msgspec
from msgspec.structs import replace

from tocsin.api.escalationchain import Importance
from tocsin.flow.escalation.effects import Log
from tocsin.flow.groups import State
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
