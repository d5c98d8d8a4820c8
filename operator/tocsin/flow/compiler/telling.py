"""Compiling the kinds that say who is told. None of them waits for another: a reference is looked at, not followed up."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.api.common import Identity
from tocsin.api.escalationchain import EscalationChain
from tocsin.api.notificationchannel import NotificationChannel
from tocsin.api.oncallschedule import OnCallSchedule
from tocsin.api.outgoingwebhook import OutgoingWebhook
from tocsin.api.responder import Responder
from tocsin.flow.compiler.chains import chain_of
from tocsin.flow.compiler.channels import channel_of
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.compiler.local import Local, accepted_reason
from tocsin.flow.compiler.reading import Reader
from tocsin.flow.compiler.references import Scope
from tocsin.flow.compiler.responders import responder_of
from tocsin.flow.compiler.schedules import check_gaps, schedule_of
from tocsin.flow.compiler.standing import Telling
from tocsin.flow.compiler.webhooks import webhook_of
from tocsin.flow.model import AnyFragment, Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`uses`: what the object refers to and reaches."""

    local: Local
    uses: frozenset[Identity]


def compile_telling(identity: Identity, declared: Telling, reader: Reader, now: Micros) -> Told:
    """The whole of one object. It is always accepted: what cannot work of it is left out, or said when it is met."""
    scope = Scope(identity, reader, Findings())
    recheck = None
    fragment: AnyFragment
    match declared:
        case EscalationChain():
            fragment = chain_of(declared.spec, scope)
        case NotificationChannel():
            fragment = channel_of(declared.spec, scope)
        case OutgoingWebhook():
            fragment = webhook_of(declared.spec, scope)
        case Responder():
            fragment = responder_of(declared.spec, scope)
        case OnCallSchedule():
            fragment = schedule_of(declared.spec, scope)
            recheck = check_gaps(fragment, now, scope)
    suspended = declared.spec.suspend
    local = Local(
        fragment=fragment,
        reason=accepted_reason(suspend=suspended),
        findings=scope.findings.done(),
        recheck=recheck,
    )
    return Told(local=local, uses=frozenset() if suspended else frozenset(scope.reached))
