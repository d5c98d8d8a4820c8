"""Integration: the entry point of alerts (URL, type, templates, labels, authentication, heartbeat)."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import msgspec

from tocsin.api.common import (
    Delimiters,
    Duration,
    KeyRef,
    LabelKey,
    LabelValue,
    Metadata,
    ObjectRef,
    Sharing,
    Spec,
    Status,
    Template,
    TemplateFrom,
    Templates,
)


class LabelInheritance(StrEnum):
    PASS = "Pass"
    KEEP = "Keep"


class IntegrationLabel(Spec, frozen=True, kw_only=True):
    """A label of the integration; `inheritance: Pass` hands it down to its alert groups (alert-flow R-LBL-4)."""

    key: LabelKey
    value: LabelValue
    inheritance: LabelInheritance = LabelInheritance.PASS


class AuthMode(StrEnum):
    TOKEN = "Token"
    BASIC = "Basic"
    BEARER = "Bearer"
    HMAC = "HMAC"


class BasicAuth(Spec, frozen=True, kw_only=True):
    username_secret_ref: KeyRef
    password_secret_ref: KeyRef


class BearerAuth(Spec, frozen=True, kw_only=True):
    secret_ref: KeyRef


class HmacEncoding(StrEnum):
    HEX = "Hex"
    BASE64 = "Base64"


class HmacAuth(Spec, frozen=True, kw_only=True):
    """Signature of the raw body in a header, optionally with a prefix such as `sha256=`."""

    secret_ref: KeyRef
    header: Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^[-A-Za-z0-9]+\Z")] = (
        "X-Signature"
    )
    algorithm: Annotated[str, msgspec.Meta(pattern=r"^(sha1|sha256|sha512)\Z")] = "sha256"
    encoding: HmacEncoding = HmacEncoding.HEX
    prefix: Annotated[str, msgspec.Meta(max_length=32)] = ""


class Auth(Spec, frozen=True, kw_only=True):
    """How senders prove themselves. With Token the URL holds the secret; the other modes use a URL without one.

    When the referenced token changes, the old one stays valid for `rotationOverlap`.
    """

    mode: AuthMode = AuthMode.TOKEN
    token_secret_ref: KeyRef | None = None
    rotation_overlap: Duration = "24h"
    basic: BasicAuth | None = None
    bearer: BearerAuth | None = None
    hmac: HmacAuth | None = None


class Heartbeat(Spec, frozen=True, kw_only=True):
    interval: Duration
    grace: Duration = "0s"
    required: bool = False
    title: Template = ""
    message: Template = ""
    labels: Annotated[tuple[IntegrationLabel, ...], msgspec.Meta(max_length=15)] = ()
    route_ref: ObjectRef | None = None


class RateLimit(Spec, frozen=True, kw_only=True):
    alerts: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    period: Duration = "5m"


class ChannelPublication(Spec, frozen=True, kw_only=True):
    channel_ref: ObjectRef


class RouteTarget(Spec, frozen=True, kw_only=True):
    """What happens with groups of a route: who is told and where it is published."""

    escalation_chain_ref: ObjectRef | None = None
    chatops: Annotated[tuple[ChannelPublication, ...], msgspec.Meta(max_length=16)] = ()


class SourceSignals(StrEnum):
    """Whether the source's resolve signal may resolve groups (alert-flow R-TYP-3, R-GRP-10)."""

    ALLOWED = "Allowed"
    IGNORED = "Ignored"


class IntegrationSpec(Spec, frozen=True, kw_only=True):
    type: Annotated[
        str, msgspec.Meta(min_length=1, max_length=63, pattern=r"^[a-z0-9]([_a-z0-9]*[a-z0-9])?\Z")
    ]
    title: Annotated[str, msgspec.Meta(max_length=150)] = ""
    description: Annotated[str, msgspec.Meta(max_length=250)] = ""
    team: Annotated[str, msgspec.Meta(max_length=100)] = ""
    labels: Annotated[tuple[IntegrationLabel, ...], msgspec.Meta(max_length=64)] = ()
    auth: Auth = Auth()
    heartbeat: Heartbeat | None = None
    rate_limit: RateLimit | None = None
    source_resolve: SourceSignals = SourceSignals.ALLOWED
    default_route: RouteTarget = RouteTarget()
    templates: Templates = Templates()
    templates_from: Annotated[tuple[TemplateFrom, ...], msgspec.Meta(max_length=32)] = ()
    template_refs: Annotated[tuple[ObjectRef, ...], msgspec.Meta(max_length=8)] = ()
    delimiters: Delimiters = ("{{", "}}")
    redact: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=256)], ...], msgspec.Meta(max_length=32)
    ] = ()
    sharing: Sharing = Sharing()
    suspend: bool = False


class HeartbeatStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    state: str = ""
    last_seen: str = ""
    interval: str = ""


class IntegrationStatus(Status, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """`path` never holds the token; `endpoint_secret` names the Secret that does."""

    path: str = ""
    endpoint_secret: str = ""
    attached_routes: int = 0
    last_alert: str = ""
    default_route_hits: int = 0
    heartbeat: HeartbeatStatus | None = None


class Integration(msgspec.Struct, frozen=True, kw_only=True):
    metadata: Metadata
    spec: IntegrationSpec
