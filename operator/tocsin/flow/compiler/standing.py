"""What others see of a chain, channel, webhook, person or schedule that they refer to.

Nothing else of it matters to them: a new step of a chain compiles none of the routes again that lead to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, TypeGuard

from tocsin.api.common import Sharing
from tocsin.api.escalationchain import EscalationChain
from tocsin.api.notificationchannel import ChannelTarget, NotificationChannel
from tocsin.api.objects import AnyObject
from tocsin.api.oncallschedule import OnCallSchedule
from tocsin.api.outgoingwebhook import OutgoingWebhook
from tocsin.api.responder import Responder

Telling = EscalationChain | NotificationChannel | OutgoingWebhook | Responder | OnCallSchedule
"""What says who is told."""

TELLING = ("EscalationChain", "NotificationChannel", "OutgoingWebhook", "Responder", "OnCallSchedule")
"""The same as names of kinds."""

PLACES: Mapping[str, str] = {
    "slack": "channel",
    "mattermost": "channelId",
    "telegram": "chatId",
    "email": "to",
    "ntfy": "topic",
    "pushover": "userSecretRef",
    "twilio": "to",
}
"""The field that makes a channel a place of its own; without it the channel is only the way to people.

A channel of any other type always is a place.
"""
_ATTRIBUTES = {"channelId": "channel_id", "chatId": "chat_id", "userSecretRef": "user_secret_ref"}


class Standing(NamedTuple):
    """`type`, `has_place` and `fallback` (a name of the same namespace, or empty) are those of a channel."""

    sharing: Sharing
    suspended: bool
    type: str = ""
    has_place: bool = True
    fallback: str = ""


def is_telling(declared: AnyObject) -> TypeGuard[Telling]:
    return isinstance(declared, Telling)


def standing_of(declared: AnyObject | None) -> Standing | None:
    """None for what is not declared, or of another kind."""
    if declared is None or not is_telling(declared):
        return None
    spec = declared.spec
    if not isinstance(declared, NotificationChannel):
        return Standing(spec.sharing, spec.suspend)
    channel = declared.spec
    name = type_of(channel)
    return Standing(
        sharing=channel.sharing,
        suspended=channel.suspend,
        type=name,
        has_place=has_place(channel, name),
        fallback="" if channel.fallback_ref is None else channel.fallback_ref.name,
    )


def type_of(target: ChannelTarget) -> str:
    """The member that is set: `slack`."""
    return next(name for name in ChannelTarget.__struct_fields__ if getattr(target, name) is not None)


def has_place(target: ChannelTarget, name: str) -> bool:
    """Whether the channel of type `name` says itself where messages go."""
    field = PLACES.get(name)
    return field is None or bool(getattr(getattr(target, name), _ATTRIBUTES.get(field, field)))
