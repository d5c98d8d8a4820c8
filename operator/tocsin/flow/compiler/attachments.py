"""Putting an Integration together: what is attached to it, in which order, and which route can never win.

Precedence of routes: lower `priority`, then routes of the Integration's own namespace, then namespace/name. Never
age: a folder has none, and a result computed offline has to equal the one in production.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from tocsin.api.common import Finding, Identity
from tocsin.api.conditions import Reason
from tocsin.flow.compiler.conditions import Conditions, Shadow, shadows
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.compiler.integrations import Own
from tocsin.flow.compiler.local import Local
from tocsin.flow.model import AuthFragment, HeartbeatFragment, IntegrationFragment

_NO_CONDITIONS = Conditions(frozenset(), frozenset(), possible=False)


class Place(NamedTuple):
    """Where a route stands on one Integration: position from 1, and the route that takes all its alerts, if any."""

    position: int
    shadow: Shadow | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """One accepted Integration, complete."""

    fragment: IntegrationFragment
    findings: tuple[Finding, ...]
    places: Mapping[Identity, Place]


def assemble(
    identity: Identity,
    own: Own,
    attached: Collection[Identity],
    locals_: Mapping[Identity, Local],
    rivals: Collection[Identity],
) -> Assembly:
    """`attached` are routes, rules and windows that take part; `rivals` claim the same token as this Integration."""
    findings = Findings(own.findings)
    by_kind: dict[str, list[Identity]] = {"AlertRoute": [], "LabelRule": [], "MaintenanceWindow": []}
    for source in attached:
        by_kind[source.kind].append(source)
    routes = sorted(by_kind["AlertRoute"], key=lambda route: _precedence(route, identity, locals_[route]))
    rules = sorted(by_kind["LabelRule"], key=lambda rule: (locals_[rule].priority, rule))
    windows = sorted(by_kind["MaintenanceWindow"])
    names = {source: f"{source.namespace}/{source.name}" for source in (*routes, *rules, *windows)}
    fragment = msgspec.structs.replace(
        own.fragment,
        routes=tuple(names[route] for route in routes),
        label_rules=tuple(names[rule] for rule in rules),
        windows=tuple(names[window] for window in windows),
        heartbeat=_with_attached_route(own.fragment.heartbeat, routes, findings),
        auth=_without_contested_token(identity, own.fragment.auth, rivals, findings),
    )
    found = shadows([(route, locals_[route].conditions or _NO_CONDITIONS) for route in routes])
    places = {route: Place(position, found.get(route)) for position, route in enumerate(routes, 1)}
    return Assembly(fragment=fragment, findings=findings.done(), places=places)


def _precedence(route: Identity, integration: Identity, local: Local) -> tuple[int, bool, str, str]:
    return local.priority, route.namespace != integration.namespace, route.namespace, route.name


def _with_attached_route(
    heartbeat: HeartbeatFragment | None, routes: list[Identity], findings: Findings
) -> HeartbeatFragment | None:
    """A heartbeat's route has to be one of the Integration's; else its alerts are routed like any other."""
    if heartbeat is None or not heartbeat.route:
        return heartbeat
    if any(f"{route.namespace}/{route.name}" == heartbeat.route for route in routes):
        return heartbeat
    findings.error(
        "spec.heartbeat.routeRef",
        Reason.ROUTE_NOT_ATTACHED,
        f"AlertRoute {heartbeat.route} is not attached to this Integration (see its spec.parentRefs); "
        "until it is, heartbeat alerts are routed like any other",
    )
    return msgspec.structs.replace(heartbeat, route="")


def _without_contested_token(
    identity: Identity, auth: AuthFragment, rivals: Collection[Identity], findings: Findings
) -> AuthFragment:
    """A token leads to one Integration: the first by name. The others have none until theirs differs."""
    if auth.token is None or len(rivals) < 2:
        return auth
    first, *others = sorted(rivals)
    field = "spec.auth.tokenSecretRef"
    if identity == first:
        names = ", ".join(other.name for other in others)
        findings.warn(field, Reason.CONFLICTED, f"the same token is that of {names}: this Integration has it")
        return auth
    findings.error(
        field,
        Reason.CONFLICTED,
        f"Integration {first.name} has the same token; no sender reaches this one until the tokens differ",
    )
    return msgspec.structs.replace(auth, token=msgspec.structs.replace(auth.token, digest=""))
