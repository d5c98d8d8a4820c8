"""Which outgoing webhooks an event sets off, and what their deliveries carry."""

from __future__ import annotations

from types import MappingProxyType

import msgspec

from tocsin.api.common import Identity
from tocsin.api.outgoingwebhook import Trigger
from tocsin.flow.groups import Actor, LogKind
from tocsin.flow.model import Micros, WebhookFragment
from tocsin.flow.targets import Targets
from tocsin.store import deliveries
from tocsin.store.deliveries import NewDelivery
from tocsin.store.events import Event

TRIGGERS = MappingProxyType(
    {
        LogKind.REGISTERED: Trigger.ALERT_GROUP_CREATED,
        LogKind.ACKNOWLEDGED: Trigger.ACKNOWLEDGE,
        LogKind.RESOLVED: Trigger.RESOLVE,
        LogKind.SILENCED: Trigger.SILENCE,
        LogKind.UNSILENCED: Trigger.UNSILENCE,
        LogKind.UNRESOLVED: Trigger.UNRESOLVE,
        LogKind.UNACKNOWLEDGED: Trigger.UNACKNOWLEDGE,
        LogKind.UNACKNOWLEDGED_BY_TIMEOUT: Trigger.UNACKNOWLEDGE,
    }
)
"""What raises an event (alert-flow R-WHK-4); a wipe and all others do not. Unlike there an un-acknowledge by timeout
does (S-25): whoever follows the group elsewhere has to know that it fires again.
"""

STATUS = frozenset(TRIGGERS.values()) - {Trigger.ALERT_GROUP_CREATED}


class WebhookOrder(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`Delivery.data` of kind `webhook`; its `channel` is the webhook, `namespace/name`.

    `event` is what happened (a status change keeps its own name, alert-flow R-WHK-8), at `at`, by `actor`. `until`: end
    of a silence, None for ever. `responder`: of a personal notification. `step`: of the chain that asks for the run.
    """

    event: Trigger
    at: Micros
    actor: Actor = Actor()
    until: Micros | None = None
    responder: str = ""
    step: str = ""


def webhooks_for(targets: Targets, integration: Identity, event: Trigger) -> tuple[str, ...]:
    """Webhooks (`namespace/name`, sorted) whose triggers and Integration filter fit the event."""
    return tuple(
        name
        for name, webhook in sorted(targets.webhooks.items())
        if listens(webhook, event) and admits(webhook, integration)
    )


def listens(webhook: WebhookFragment, event: Trigger) -> bool:
    wanted = webhook.triggers
    return event in wanted or (event in STATUS and Trigger.STATUS_CHANGE in wanted)


def admits(webhook: WebhookFragment, integration: Identity) -> bool:
    """Without a filter a webhook is for the groups of all Integrations of its namespace."""
    if webhook.integrations is None:
        return webhook.namespace == integration.namespace
    return f"{integration.namespace}/{integration.name}" in webhook.integrations


def order(key: str, webhook: str, group: int, what: WebhookOrder, now: Micros) -> NewDelivery:
    """`key` names the occasion; the webhook is added to it."""
    return NewDelivery(
        key=f"webhook/{key}/{webhook}",
        kind=deliveries.WEBHOOK,
        at=now,
        channel=webhook,
        group=group,
        data=msgspec.json.encode(what).decode(),
    )


def of_event(event: Event) -> WebhookOrder | None:
    """What webhooks are told of it; None if they are not."""
    trigger = TRIGGERS.get(event.kind)
    if trigger is None:
        return None
    until = event.details.get("until", "")
    return WebhookOrder(
        event=trigger,
        at=event.at,
        actor=event.actor,
        until=Micros(int(until)) if until.isdigit() else None,
    )
