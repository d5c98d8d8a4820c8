"""Which Integrations a route, label rule or window is attached to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from tocsin.api.alertroute import AlertRoute
from tocsin.api.common import Finding, Identity, ObjectRef, Selector
from tocsin.api.conditions import Hint, Reason
from tocsin.api.labelrule import LabelRule
from tocsin.api.maintenancewindow import MaintenanceWindow
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.compiler.reading import Reader
from tocsin.flow.compiler.references import (
    Scope,
    follow_to_integration,
    reach_channels,
    reach_target,
    selects,
    target_of,
)
from tocsin.flow.model import AnyFragment, RouteFragment, WindowFragment


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """`targets` are attached; `named` are all that are referred to, attached or not, in order, each once.

    `fragment` is the object's, complete; `uses` are chains and channels that it leads to.
    """

    targets: frozenset[Identity] = frozenset()
    named: tuple[Identity, ...] = ()
    findings: tuple[Finding, ...] = ()
    fragment: AnyFragment | None = None
    uses: frozenset[Identity] = frozenset()


NO_LINKS = Links()

Source = AlertRoute | LabelRule | MaintenanceWindow
"""What attaches itself to Integrations."""


def link_source(identity: Identity, declared: Source, fragment: AnyFragment | None, reader: Reader) -> Links:
    """The links of an AlertRoute, LabelRule or MaintenanceWindow that takes part in the flow with this fragment."""
    field, refs, selector = _wanted(declared)
    findings = Findings()
    scope = Scope(identity, reader, findings)
    targets: set[Identity] = set()
    named: dict[Identity, str] = {}
    for index, ref in enumerate(refs):
        at = f"{field}[{index}]"
        target = target_of(ref, "Integration", identity.namespace)
        if target in named:
            findings.warn(at, Hint.DUPLICATE_REF, f"names the same Integration as {named[target]}")
            continue
        named[target] = at
        if follow_to_integration(ref, at, scope) is not None:
            targets.add(target)
    if selector is not None:
        targets.update(selected(selector, scope))
    completed = _completed(declared, fragment, scope)
    return Links(
        targets=frozenset(targets),
        named=tuple(named),
        findings=findings.done(),
        fragment=completed,
        uses=frozenset(scope.reached),
    )


def _completed(declared: Source, fragment: AnyFragment | None, scope: Scope) -> AnyFragment | None:
    """With the chains and channels that the object names."""
    match declared, fragment:
        case AlertRoute(spec=spec), RouteFragment():
            target = reach_target(spec.escalation_chain_ref, spec.chatops, "spec", scope)
            return msgspec.structs.replace(fragment, target=target)
        case MaintenanceWindow(spec=window), WindowFragment() if window.announce is not None:
            channels = reach_channels(window.announce.chatops, "spec.announce.chatops", scope)
            return msgspec.structs.replace(fragment, announce_channels=channels)
        case _:
            return fragment


def _wanted(declared: Source) -> tuple[str, tuple[ObjectRef, ...], Selector | None]:
    match declared:
        case AlertRoute(spec=spec):
            return "spec.parentRefs", spec.parent_refs, None
        case LabelRule(spec=rule):
            return "spec.integrationRefs", rule.integration_refs, rule.integration_selector
        case MaintenanceWindow(spec=window):
            return "spec.integrationRefs", window.integration_refs, window.integration_selector


def selected(selector: Selector, scope: Scope) -> Iterable[Identity]:
    """Accepted Integrations of the owner's namespace by their metadata.labels."""
    namespace, reader = scope.owner.namespace, scope.reader
    selected = [
        member
        for member, integration in reader.integrations_of(namespace)
        if integration.spec.type in reader.types and selects(selector, integration.metadata.labels)
    ]
    if not selected:
        scope.findings.error(
            "spec.integrationSelector",
            Reason.SELECTOR_MATCHES_NOTHING,
            f"matches 0 integrations in namespace {namespace}; it compares with their metadata.labels",
        )
    return selected
