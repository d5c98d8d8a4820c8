"""NotificationChannel: where messages go, one sub-object per kind of channel, credentials by Secret reference.

A channel may be a place that everybody reads (`slack.channel`) or only the way to people: then the address comes from
the contact of a Responder.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from tocsin.api.common import KeyRef, LocalRef, Metadata, Sharing, Spec, Status

Short = Annotated[str, msgspec.Meta(max_length=253)]
Text = Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
# Printable ASCII only, as the API server's regular expressions and Python's agree on nothing else. No user and password
# before the host: a credential belongs into a Secret.
Url = Annotated[
    str,
    msgspec.Meta(min_length=1, max_length=2048, pattern=r"^https?://[-A-Za-z0-9_.:\[\]]+([/?][!-~]*)?\Z"),
]
Address = Annotated[
    str,
    msgspec.Meta(
        min_length=3,
        max_length=254,
        pattern=r"^[-A-Za-z0-9_.+=/!#%&'*?{|}~]+@[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?\Z",
    ),
]
PhoneNumber = Annotated[str, msgspec.Meta(min_length=4, max_length=16, pattern=r"^[+][1-9][0-9]{2,14}\Z")]


class SlackChannel(Spec, frozen=True, kw_only=True):
    """A bot token (`chat:write`). `signing_secret_ref` makes the buttons work; `channel` is an id or `#name`."""

    token_secret_ref: KeyRef
    signing_secret_ref: KeyRef | None = None
    channel: Short = ""
    api_url: Url = "https://slack.com/api"


class MattermostChannel(Spec, frozen=True, kw_only=True):
    """A bot's token on one server; `channel_id` is that of the channel."""

    server_url: Url
    token_secret_ref: KeyRef
    channel_id: Short = ""


class MSTeamsChannel(Spec, frozen=True, kw_only=True):
    """The URL that a Teams workflow ("when a webhook request is received") gives, from a Secret."""

    url_secret_ref: KeyRef


class TelegramChannel(Spec, frozen=True, kw_only=True):
    """`webhook_secret_ref` is the secret token of the bot's webhook, which makes the buttons work."""

    token_secret_ref: KeyRef
    chat_id: Annotated[str, msgspec.Meta(max_length=64)] = ""
    webhook_secret_ref: KeyRef | None = None
    api_url: Url = "https://api.telegram.org"


class DiscordChannel(Spec, frozen=True, kw_only=True):
    url_secret_ref: KeyRef


class SmtpTls(StrEnum):
    START_TLS = "StartTLS"
    TLS = "TLS"
    NONE = "None"


class EmailChannel(Spec, frozen=True, kw_only=True):
    host: Text
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 587
    tls: SmtpTls = SmtpTls.START_TLS
    username: Short = ""
    password_secret_ref: KeyRef | None = None
    from_: Address = msgspec.field(name="from")
    to: Annotated[tuple[Address, ...], msgspec.Meta(max_length=50)] = ()


class WebhookChannel(Spec, frozen=True, kw_only=True):
    """POSTs a documented JSON document. `url` or `url_secret_ref`, one of them (CEL). Signed if there is a secret."""

    url: Url | None = None
    url_secret_ref: KeyRef | None = None
    bearer_secret_ref: KeyRef | None = None
    hmac_secret_ref: KeyRef | None = None


class PagerDutyChannel(Spec, frozen=True, kw_only=True):
    """Events API v2."""

    routing_key_secret_ref: KeyRef
    url: Url = "https://events.pagerduty.com"


class OpsgenieChannel(Spec, frozen=True, kw_only=True):
    api_key_secret_ref: KeyRef
    url: Url = "https://api.opsgenie.com"


class AlertmanagerChannel(Spec, frozen=True, kw_only=True):
    """Posts to `/api/v2/alerts` of every URL, as Prometheus does."""

    urls: Annotated[tuple[Url, ...], msgspec.Meta(min_length=1, max_length=8)]
    username: Short = ""
    password_secret_ref: KeyRef | None = None
    bearer_secret_ref: KeyRef | None = None


class NtfyChannel(Spec, frozen=True, kw_only=True):
    server_url: Url = "https://ntfy.sh"
    topic: Short = ""
    token_secret_ref: KeyRef | None = None


class PushoverChannel(Spec, frozen=True, kw_only=True):
    token_secret_ref: KeyRef
    user_secret_ref: KeyRef | None = None
    api_url: Url = "https://api.pushover.net"


class TwilioMedium(StrEnum):
    SMS = "SMS"
    CALL = "Call"


class TwilioChannel(Spec, frozen=True, kw_only=True):
    account_sid: Text
    token_secret_ref: KeyRef
    from_: PhoneNumber = msgspec.field(name="from")
    medium: TwilioMedium = TwilioMedium.SMS
    to: Annotated[tuple[PhoneNumber, ...], msgspec.Meta(max_length=20)] = ()
    api_url: Url = "https://api.twilio.com"


class AppriseChannel(Spec, frozen=True, kw_only=True):
    """One of Apprise's hundred others, from a URL in a Secret. Off unless the operator of Tocsin enables it."""

    url_secret_ref: KeyRef


class ChannelTarget(Spec, frozen=True, kw_only=True):
    """Exactly one member is set (CEL)."""

    slack: SlackChannel | None = None
    mattermost: MattermostChannel | None = None
    msteams: MSTeamsChannel | None = None
    telegram: TelegramChannel | None = None
    discord: DiscordChannel | None = None
    email: EmailChannel | None = None
    webhook: WebhookChannel | None = None
    pagerduty: PagerDutyChannel | None = None
    opsgenie: OpsgenieChannel | None = None
    alertmanager: AlertmanagerChannel | None = None
    ntfy: NtfyChannel | None = None
    pushover: PushoverChannel | None = None
    twilio: TwilioChannel | None = None
    apprise: AppriseChannel | None = None


class NotificationChannelSpec(ChannelTarget, frozen=True, kw_only=True):
    """`fallback_ref` gets what this channel could not deliver. `send_resolved`: also tell that a group was resolved."""

    fallback_ref: LocalRef | None = None
    send_resolved: bool = True
    sharing: Sharing = Sharing()
    suspend: bool = False


class NotificationChannelStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Times are RFC 3339, written at most once a minute. `type` is the member that is set."""

    type: str = ""
    last_sent: str = ""
    last_error: str = ""
    failing_since: str = ""
    used_by: int = 0


class NotificationChannel(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: NotificationChannelSpec
