"""OutgoingWebhook: an HTTP request of one's own making when something happens to an alert group (alert-flow 13)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from tocsin.api.common import (
    Delimiters,
    Duration,
    KeyRef,
    Metadata,
    ObjectRef,
    Selector,
    Sharing,
    Spec,
    Status,
    Template,
)

HeaderName = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[-_.A-Za-z0-9]+\Z")]
# The keys of a map have no schema of their own: CEL rules say what a name looks like.
Headers = Annotated[
    dict[Annotated[str, msgspec.Meta(max_length=128)], Annotated[str, msgspec.Meta(max_length=4096)]],
    msgspec.Meta(max_length=32),
]


class Trigger(StrEnum):
    """Events (alert-flow R-WHK-3). `StatusChange` is any of the six status events."""

    ESCALATION = "Escalation"
    ALERT_GROUP_CREATED = "AlertGroupCreated"
    ACKNOWLEDGE = "Acknowledge"
    RESOLVE = "Resolve"
    SILENCE = "Silence"
    UNSILENCE = "Unsilence"
    UNRESOLVE = "Unresolve"
    UNACKNOWLEDGE = "Unacknowledge"
    STATUS_CHANGE = "StatusChange"
    PERSONAL_NOTIFICATION = "PersonalNotification"


class HttpMethod(StrEnum):
    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    PATCH = "PATCH"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"


class SecretHeader(Spec, frozen=True, kw_only=True):
    """A header whose whole value stands in a Secret; set last."""

    name: HeaderName
    value_secret_ref: KeyRef


class WebhookBasicAuth(Spec, frozen=True, kw_only=True):
    username_secret_ref: KeyRef
    password_secret_ref: KeyRef


class OutgoingWebhookSpec(Spec, frozen=True, kw_only=True):
    """`url` or `url_secret_ref`, one of them (CEL). `headers` and `body` are templates.

    Without `body` the whole data is sent as JSON (POST, PUT, PATCH). `condition` is a template; without one: always.
    Without `integration_refs` and `integration_selector`: groups of every Integration of the namespace.
    """

    triggers: Annotated[tuple[Trigger, ...], msgspec.Meta(min_length=1, max_length=10)]
    method: HttpMethod = HttpMethod.POST
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)] | None = None
    url_secret_ref: KeyRef | None = None
    headers: Headers = msgspec.field(default_factory=dict)
    secret_headers: Annotated[tuple[SecretHeader, ...], msgspec.Meta(max_length=8)] = ()
    basic_auth: WebhookBasicAuth | None = None
    body: Template = ""
    condition: Template = ""
    delimiters: Delimiters = ("{{", "}}")
    integration_refs: Annotated[tuple[ObjectRef, ...], msgspec.Meta(max_length=64)] = ()
    integration_selector: Selector | None = None
    timeout: Duration = "4s"
    sharing: Sharing = Sharing()
    suspend: bool = False


class OutgoingWebhookStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """`last_status_code` 0: there was no answer. At most one write a minute."""

    last_run: str = ""
    last_status_code: int = 0
    last_error: str = ""
    failing_since: str = ""


class OutgoingWebhook(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: OutgoingWebhookSpec
