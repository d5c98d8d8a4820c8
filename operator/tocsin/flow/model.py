"""The compiled flow: immutable fragments, one per declared object, addressed by their content.

A `Flow` is what control publishes and every replica loads: a manifest (object identity -> digest of its
fragment) plus the fragments. Fragments hold resolved text and references, never credentials, never clocks.
`program.link` turns a Flow into something that can be evaluated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NewType, get_args

import msgspec

from tocsin.api.common import Identity, Matcher
from tocsin.api.escalationchain import Step
from tocsin.api.notificationchannel import ChannelTarget
from tocsin.api.oncallschedule import Layer, Override

Digest = NewType("Digest", str)
"""Lower-case hexadecimal SHA-256 of a fragment's canonical JSON."""

Micros = NewType("Micros", int)
"""A moment: UTC, integer microseconds since 1970. Durations are plain ints in microseconds."""

DEFAULT_ROUTE = "default"
"""Name of the route that every integration has and that matches everything."""


NOT_ADMITTED = "..not-admitted"
"""Stands behind a name in a fragment whose owner does not admit the namespace that refers to it, if it exists at all.

No object can be called so: nothing is ever found under such a name, and whoever logs it says why.
"""


class Fragment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind"):
    """One object as compiled. Equal content means equal digest, whatever the order of keys in the YAML."""

    namespace: str
    name: str

    @property
    def identity(self) -> Identity:
        return Identity(type(self).__struct_config__.tag, self.namespace, self.name)  # type: ignore[arg-type]


class TemplateText(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Source of one template. `origin` names object and field, for traces: `AlertTemplate/a/b spec.templates.title`."""

    text: str
    delimiters: tuple[str, str] = ("{{", "}}")
    origin: str = ""


class SecretKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a credential is; `digest` is keyed, so that a changed secret changes the fragment and reveals nothing."""

    namespace: str
    name: str
    key: str
    digest: str = ""


class AuthFragment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`mode` is Token, Basic, Bearer or HMAC; only the keys of that mode are set."""

    mode: str = "Token"
    token: SecretKey | None = None
    username: SecretKey | None = None
    password: SecretKey | None = None
    secret: SecretKey | None = None
    hmac_header: str = ""
    hmac_algorithm: str = ""
    hmac_encoding: str = ""
    hmac_prefix: str = ""
    rotation_overlap: int = 0


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a route leads to; names are `namespace/name`."""

    escalation_chain: str = ""
    channels: tuple[str, ...] = ()


class HeartbeatFragment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`interval` and `grace` in microseconds; `route` is a route's `namespace/name` or empty for normal routing."""

    interval: int
    grace: int = 0
    required: bool = False
    title: TemplateText | None = None
    message: TemplateText | None = None
    labels: tuple[tuple[str, str], ...] = ()
    route: str = ""


class IntegrationFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="Integration"):
    """An Integration with everything attached to it, in order of evaluation.

    `templates` maps slots (`api.common.TEMPLATE_SLOTS`) to what users set; a slot absent here has the type's default.
    `routes`, `label_rules` and `windows` are `namespace/name` keys of their own fragments in the same Flow.
    """

    type: str
    title: str = ""
    description: str = ""
    team: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    inherited_labels: tuple[tuple[str, str], ...] = ()
    auth: AuthFragment = AuthFragment()
    heartbeat: HeartbeatFragment | None = None
    rate_limit: int = 0
    rate_period: int = 0
    source_resolve: bool = True
    default_target: Target = Target()
    templates: dict[str, TemplateText] = {}
    redact: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    label_rules: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    suspended: bool = False


class RouteFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="AlertRoute"):
    """All of `template`, `matchers` and `regex` that are set must hold. `broken` fields always fail (half-bad object)."""

    priority: int = 1000
    template: TemplateText | None = None
    matchers: tuple[Matcher, ...] = ()
    regex: str = ""
    target: Target = Target()


class LabelRuleFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="LabelRule"):
    static: tuple[tuple[str, str], ...] = ()
    dynamic: tuple[tuple[str, TemplateText], ...] = ()
    extract: TemplateText | None = None


class WindowFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="MaintenanceWindow"):
    """`start` is local wall time without offset in `time_zone`; `duration` and `announce_before` in microseconds."""

    mode: str
    start: str
    duration: int
    time_zone: str = "UTC"
    recurrence: str = ""
    exceptions: tuple[str, ...] = ()
    matchers: tuple[Matcher, ...] = ()
    on_end: str = "Resume"
    announce_channels: tuple[str, ...] = ()
    announce_at_start: bool = False
    announce_at_end: bool = False
    announce_before: tuple[int, ...] = ()


class ChainFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="EscalationChain"):
    """Steps as declared, but every reference inside has its namespace, and steps that cannot work are in `broken`.

    `broken`: (index of the step, what to log instead of it; alert-flow R-ESC-35). Durations in microseconds; 0: never.
    """

    steps: tuple[Step, ...] = ()
    broken: tuple[tuple[int, str], ...] = ()
    team: str = ""
    remind_every: int = 0
    unacknowledge_after: int = 0


class ChannelFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="NotificationChannel"):
    """`target` has one member. `secrets` by dotted path inside it: `slack.tokenSecretRef`. `fallback`: `namespace/name`."""

    target: ChannelTarget
    secrets: dict[str, SecretKey] = {}
    fallback: str = ""
    send_resolved: bool = True

    @property
    def type(self) -> str:
        """`slack`, `email` ...: the member that is set."""
        return next(
            name for name in self.target.__struct_fields__ if getattr(self.target, name, None) is not None
        )


class WebhookFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="OutgoingWebhook"):
    """`url` None: `url_secret` holds it. `condition` and `body` None: not set. `timeout` in microseconds.

    `integrations`: `namespace/name` of those it is for; None for all of its namespace.
    """

    triggers: tuple[str, ...]
    method: str = "POST"
    url: TemplateText | None = None
    url_secret: SecretKey | None = None
    headers: dict[str, TemplateText] = {}
    secret_headers: tuple[tuple[str, SecretKey], ...] = ()
    username: SecretKey | None = None
    password: SecretKey | None = None
    condition: TemplateText | None = None
    body: TemplateText | None = None
    timeout: int = 4_000_000
    integrations: tuple[str, ...] | None = None


class ContactFragment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`channel` is `namespace/name`; `address_secret` wins over `address`."""

    name: str
    channel: str
    address: str = ""
    address_secret: SecretKey | None = None


class RuleFragment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`contact` names one of the responder's; else `wait` in microseconds."""

    contact: str = ""
    wait: int = 0


class ResponderFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="Responder"):
    """Rules that name no contact are left out. `display_name` and `username` are never empty."""

    display_name: str
    username: str
    email: str = ""
    time_zone: str = "UTC"
    teams: tuple[str, ...] = ()
    contacts: tuple[ContactFragment, ...] = ()
    default: tuple[RuleFragment, ...] = ()
    important: tuple[RuleFragment, ...] = ()


class CalendarFragment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of `url`, `url_secret` and `text` (from a ConfigMap). `refresh` in microseconds."""

    url: str = ""
    url_secret: SecretKey | None = None
    text: str = ""
    refresh: int = 600_000_000


class ScheduleFragment(Fragment, frozen=True, kw_only=True, omit_defaults=True, tag="OnCallSchedule"):
    """As declared, but every reference to a Responder has its namespace, and unreadable layers are left out."""

    time_zone: str = "UTC"
    team: str = ""
    layers: tuple[Layer, ...] = ()
    overrides: tuple[Override, ...] = ()
    calendar: CalendarFragment | None = None


AnyFragment = (
    IntegrationFragment
    | RouteFragment
    | LabelRuleFragment
    | WindowFragment
    | ChainFragment
    | ChannelFragment
    | WebhookFragment
    | ResponderFragment
    | ScheduleFragment
)

FRAGMENT_KINDS = frozenset(str(kind.__struct_config__.tag) for kind in get_args(AnyFragment))
"""Kinds that a flow consists of. One that a newer Tocsin has published may hold others."""

_encoder = msgspec.json.Encoder(order="sorted")
_decoder: msgspec.json.Decoder[AnyFragment] = msgspec.json.Decoder(AnyFragment)


def encode_fragment(fragment: AnyFragment) -> bytes:
    """Canonical JSON: sorted keys, defaults left out."""
    return _encoder.encode(fragment)


def decode_fragment(data: bytes) -> AnyFragment:
    """The inverse of `encode_fragment`. Raises msgspec.DecodeError on foreign data."""
    return _decoder.decode(data)


def digest_of(data: bytes) -> Digest:
    return Digest(hashlib.sha256(data).hexdigest())


def manifest_digest(manifest: Mapping[Identity, Digest]) -> Digest:
    """Digest of a manifest's canonical JSON: `{"Kind/namespace/name": digest}` with sorted keys."""
    return lines_digest({str(identity): digest for identity, digest in manifest.items()})


def lines_digest(lines: Mapping[str, Digest]) -> Digest:
    """The same of a manifest whose identities are texts already."""
    return digest_of(_encoder.encode(lines))


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """Everything declared, compiled. `digest` covers the manifest and so, through it, every fragment."""

    manifest: Mapping[Identity, Digest]
    fragments: Mapping[Digest, AnyFragment]
    digest: Digest

    def fragment(self, identity: Identity) -> AnyFragment | None:
        digest = self.manifest.get(identity)
        return None if digest is None else self.fragments[digest]


EMPTY_FLOW = Flow(manifest={}, fragments={}, digest=digest_of(b"{}"))
