"""Responder: a person, how to reach them, and their notification rules (alert-flow 12.3)."""

from __future__ import annotations

from typing import Annotated

import msgspec

from tocsin.api.common import Duration, KeyRef, Metadata, ObjectRef, Sharing, Spec, Status
from tocsin.api.escalationchain import Team, TimeZone
from tocsin.api.notificationchannel import Address


class Contact(Spec, frozen=True, kw_only=True):
    """One way to reach a person: a channel, and their address on it if the channel itself does not say it.

    An address is what the channel calls people: an e-mail address, a phone number, a Slack, Mattermost or Telegram user id,
    an ntfy topic, a Pushover user key.
    """

    name: Annotated[
        str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
    ]
    channel_ref: ObjectRef
    address: Annotated[str, msgspec.Meta(max_length=254)] = ""
    address_secret_ref: KeyRef | None = None


class Rule(Spec, frozen=True, kw_only=True):
    """Exactly one member is set (CEL): `notify` names a contact, or `wait`."""

    notify: Annotated[str, msgspec.Meta(min_length=1, max_length=63)] | None = None
    wait: Duration | None = None


Rules = Annotated[tuple[Rule, ...], msgspec.Meta(max_length=32)]


class NotificationRules(Spec, frozen=True, kw_only=True):
    """Without rules a person is told once through their first contact (R-NTF-2). `important` empty: `default` applies."""

    default: Rules = ()
    important: Rules = ()


class ResponderSpec(Spec, frozen=True, kw_only=True):
    """`username` is what calendars and APIs call the person; metadata.name if empty."""

    display_name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    username: Annotated[str, msgspec.Meta(max_length=200)] = ""
    email: Address | None = None
    time_zone: TimeZone = "UTC"
    teams: Annotated[tuple[Team, ...], msgspec.Meta(max_length=32)] = ()
    contacts: Annotated[tuple[Contact, ...], msgspec.Meta(max_length=16)] = ()
    rules: NotificationRules = NotificationRules()
    sharing: Sharing = Sharing()
    suspend: bool = False


class ResponderStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    contacts: int = 0


class Responder(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: ResponderSpec
