"""The report of one object, from what the compilation found out about it."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.api.common import Finding, Identity, Severity
from tocsin.api.conditions import Hint, Reason
from tocsin.api.integration import AuthMode, Integration
from tocsin.flow.compiler.findings import in_order
from tocsin.flow.compiler.integrations import unknown_type
from tocsin.flow.compiler.links import NO_LINKS
from tocsin.flow.compiler.local import Local
from tocsin.flow.compiler.report import (
    ChainFacts,
    ChannelFacts,
    Facts,
    IntegrationFacts,
    Report,
    ResponderFacts,
    RouteFacts,
    RoutePlace,
    RuleFacts,
    TemplateFacts,
    WindowFacts,
)
from tocsin.flow.compiler.state import State
from tocsin.flow.model import ChainFragment, ChannelFragment, ResponderFragment
from tocsin.sources.model import SourceType


def report_on(identity: Identity, state: State) -> Report | None:
    """None for an object that is not declared (any more)."""
    invalid = state.inventory.invalid.get(identity)
    if invalid is not None:
        return Report(identity=identity, accepted=False, reason=Reason.INVALID, findings=in_order(invalid))
    if identity not in state.inventory.objects(identity.kind):
        return None
    match identity.kind:
        case "Integration":
            return _integration(identity, state)
        case "AlertTemplate":
            return _template(identity, state)
        case "AlertRoute" | "LabelRule" | "MaintenanceWindow":
            return _source(identity, state)
        case _:
            return _telling(identity, state)


def _integration(identity: Identity, state: State) -> Report:
    integration, assembly = state.inventory.integrations[identity], state.assemblies.get(identity)
    if assembly is None:
        finding = unknown_type(integration, state.types)
        return _report(identity, Local(reason=Reason.UNKNOWN_TYPE), (finding,), Facts())
    path, secret = _endpoint(identity, integration, state.types[integration.spec.type])
    fragment = assembly.fragment
    facts = IntegrationFacts(
        path=path,
        endpoint_secret=secret,
        attached_routes=len(fragment.routes),
        attached_rules=len(fragment.label_rules),
        attached_windows=len(fragment.windows),
    )
    return _report(identity, state.locals[identity], assembly.findings, facts)


def _template(identity: Identity, state: State) -> Report:
    suspended = state.inventory.templates[identity].spec.suspend
    return Report(
        identity=identity,
        reason=Reason.SUSPENDED if suspended else Reason.ACCEPTED,
        findings=in_order(state.sets[identity].findings),
        facts=TemplateFacts(used_by=len(state.uses.to(identity))),
    )


def _source(identity: Identity, state: State) -> Report:
    local, links = state.locals[identity], state.links.get(identity, NO_LINKS)
    findings = [*local.findings, *links.findings]
    attached = len(links.targets)
    facts: Facts
    match identity.kind:
        case "LabelRule":
            facts = RuleFacts(attached_integrations=attached)
        case "MaintenanceWindow":
            facts = WindowFacts(attached_integrations=attached)
        case _:
            places = tuple(
                RoutePlace(integration=f"{at.namespace}/{at.name}", position=_position(identity, at, state))
                for at in links.named
            )
            facts = RouteFacts(places=places)
            findings.extend(_shadow_findings(identity, links.named, state))
    return _report(identity, local, findings, facts)


def _telling(identity: Identity, state: State) -> Report:
    local = state.locals[identity]
    used_by = len(state.uses.to(identity))
    facts: Facts
    match local.fragment:
        case ChainFragment(steps=steps):
            facts = ChainFacts(steps=len(steps), used_by=used_by)
        case ChannelFragment() as channel:
            facts = ChannelFacts(type=channel.type, used_by=used_by)
        case ResponderFragment(contacts=contacts):
            facts = ResponderFacts(contacts=len(contacts))
        case _:
            facts = Facts()
    return _report(identity, local, local.findings, facts)


def _report(identity: Identity, local: Local, findings: Iterable[Finding], facts: Facts) -> Report:
    return Report(
        identity=identity,
        accepted=local.reason in (Reason.ACCEPTED, Reason.SUSPENDED),
        reason=local.reason,
        findings=in_order(findings),
        facts=facts,
    )


def _position(route: Identity, integration: Identity, state: State) -> int:
    assembly = state.assemblies.get(integration)
    return 0 if assembly is None else assembly.positions.get(route, 0)


def _shadow_findings(route: Identity, integrations: Iterable[Identity], state: State) -> Iterable[Finding]:
    for integration in integrations:
        assembly = state.assemblies.get(integration)
        shadow = None if assembly is None else assembly.shadows.get(route)
        if shadow is None:
            continue
        by = f"{shadow.by.namespace}/{shadow.by.name}"
        on = f"Integration {integration.namespace}/{integration.name}"
        reason: str
        if shadow.duplicate:
            reason, why = Hint.DUPLICATE_ROUTE, f"route {by} asks for the same and comes first on {on}"
        else:
            reason, why = (
                Reason.SHADOWED,
                f"on {on} route {by} comes first and takes every alert that this one matches",
            )
        yield Finding(
            field="spec.match",
            reason=reason,
            message=f"{why}; no alert reaches this route there: lower its spec.priority or narrow the other",
            severity=Severity.WARNING,
        )


def _endpoint(identity: Identity, integration: Integration, source_type: SourceType) -> tuple[str, str]:
    """Path of the alert URL with `<token>` in place of the token, and the name of the Secret that holds it."""
    if not source_type.url:
        return "", ""
    auth = integration.spec.auth
    if auth.mode is not AuthMode.TOKEN:
        return f"/v1/namespaces/{identity.namespace}/integrations/{identity.name}/", ""
    ref = auth.token_secret_ref
    secret = f"{identity.name}-endpoint" if ref is None else ref.name
    return f"/integrations/v1/{source_type.slug}/<token>/", secret
