"""What the compiler says of each declared object: whether it has effect, what is wrong, and where it stands."""

from __future__ import annotations

import msgspec

from tocsin.api.common import Finding, Identity, Severity
from tocsin.api.conditions import REFERENCE_REASONS, Hint, Reason


class Facts(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a kind's status says besides conditions; known from the inventory alone."""


class IntegrationFacts(Facts, frozen=True, kw_only=True, omit_defaults=True):
    """`path` holds no token; `endpoint_secret` names the Secret with the token, if the URL has one."""

    path: str = ""
    endpoint_secret: str = ""
    attached_routes: int = 0
    attached_rules: int = 0
    attached_windows: int = 0


class RoutePlace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where a route stands on one Integration (`namespace/name`); `position` counts from 1, 0 is nowhere."""

    integration: str
    position: int = 0

    @property
    def accepted(self) -> bool:
        return self.position > 0


class RouteFacts(Facts, frozen=True, kw_only=True, omit_defaults=True):
    """One place per parent reference, in order of `spec.parentRefs`."""

    places: tuple[RoutePlace, ...] = ()


class RuleFacts(Facts, frozen=True, kw_only=True, omit_defaults=True):
    attached_integrations: int = 0


class WindowFacts(Facts, frozen=True, kw_only=True, omit_defaults=True):
    attached_integrations: int = 0


class TemplateFacts(Facts, frozen=True, kw_only=True, omit_defaults=True):
    used_by: int = 0


class ChainFacts(Facts, frozen=True, kw_only=True, omit_defaults=True):
    """`used_by`: routes and Integrations that lead to the chain."""

    steps: int = 0
    used_by: int = 0


class ChannelFacts(Facts, frozen=True, kw_only=True, omit_defaults=True):
    """`type` is `slack`, `email` ...; `used_by`: whatever refers to the channel."""

    type: str = ""
    used_by: int = 0


class ResponderFacts(Facts, frozen=True, kw_only=True, omit_defaults=True):
    contacts: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The compiler's verdict on one object.

    `accepted` False means no effect at all; `reason` is that of the Accepted condition. Findings are sorted.
    """

    identity: Identity
    accepted: bool = True
    reason: str = Reason.ACCEPTED
    findings: tuple[Finding, ...] = ()
    facts: Facts = Facts()

    @property
    def suspended(self) -> bool:
        return self.reason == Reason.SUSPENDED

    @property
    def resolved_refs(self) -> bool:
        return not self.reference_findings

    @property
    def reference_findings(self) -> tuple[Finding, ...]:
        """Errors that make ResolvedRefs False."""
        return tuple(f for f in self._errors if f.reason in REFERENCE_REASONS)

    @property
    def partial_findings(self) -> tuple[Finding, ...]:
        """Errors that make PartiallyInvalid True: the rest of the object works."""
        return tuple(f for f in self._errors if f.reason not in REFERENCE_REASONS) if self.accepted else ()

    @property
    def shadow_findings(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.reason in (Reason.SHADOWED, Hint.DUPLICATE_ROUTE))

    @property
    def _errors(self) -> tuple[Finding, ...]:
        return tuple(f for f in self.findings if f.severity is Severity.ERROR)
