"""A channel from what was declared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tocsin.flow.model import ChannelFragment
from tocsin.notify import (
    alertmanager,
    apprise,
    email,
    ntfy,
    opsgenie,
    pagerduty,
    pushover,
    twilio,
)
from tocsin.notify.channel import Channel, DeliveryFailed, FailureReason
from tocsin.notify.discord import Discord
from tocsin.notify.mattermost import Mattermost
from tocsin.notify.msteams import MSTeams
from tocsin.notify.slack import Slack
from tocsin.notify.telegram import Telegram
from tocsin.notify.tools import Tools
from tocsin.notify.webhook import Webhook

Constructor = Callable[[ChannelFragment, Mapping[str, str], Tools], Channel]

_CONSTRUCTORS: Mapping[str, Constructor] = MappingProxyType(
    {
        "alertmanager": alertmanager.build,
        "apprise": apprise.build,
        "email": email.build,
        "ntfy": ntfy.build,
        "opsgenie": opsgenie.build,
        "pagerduty": pagerduty.build,
        "pushover": pushover.build,
        "twilio": twilio.build,
        "webhook": Webhook,
        "telegram": Telegram,
        "slack": Slack,
        "msteams": MSTeams,
        "mattermost": Mattermost,
        "discord": Discord,
    }
)
"""By the member of the NotificationChannel that is set."""


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    """`secrets` are the values by the paths of `fragment.secrets`. Raises DeliveryFailed where one is missing."""
    make = _CONSTRUCTORS.get(fragment.type)
    if make is None:
        raise DeliveryFailed(
            FailureReason.CLIENT_ERROR, f"this Tocsin sends nothing to {fragment.type}", permanent=True
        )
    for path, key in fragment.secrets.items():
        if not secrets.get(path):
            raise DeliveryFailed(
                FailureReason.AUTH_ERROR,
                f"spec.{path}: Secret {key.namespace}/{key.name} has no value for key {key.key}",
                permanent=True,
            )
    return make(fragment, secrets, tools)
