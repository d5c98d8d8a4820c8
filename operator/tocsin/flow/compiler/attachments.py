"""Putting an Integration together: what is attached to it, in which order, and which route can never win.

Precedence of routes: lower `priority`, then routes of the Integration's own namespace, then namespace/name. Never
age: a folder has none, and a result computed offline has to equal the one in production.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import count

import msgspec

from tocsin.api.common import Finding, Identity
from tocsin.api.conditions import Reason
from tocsin.flow.compiler.conditions import IMPOSSIBLE, Conditions, Shadow, shadows
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.compiler.integrations import Own
from tocsin.flow.compiler.local import Local
from tocsin.flow.model import AuthFragment, HeartbeatFragment, IntegrationFragment


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """One accepted Integration, complete. `positions` of its routes count from 1 in order of evaluation."""

    fragment: IntegrationFragment
    findings: tuple[Finding, ...]
    positions: Mapping[Identity, int]
    conditions: tuple[Conditions, ...]
    """Of the routes, in order."""
    shadows: Mapping[Identity, Shadow]
    """The routes that no alert reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an Integration is put together from.

    `attached` are routes, rules and windows that take part; `rivals` claim the same token as this Integration.
    `before` is its last assembly: what did not change since is taken from there.
    """

    own: Own
    attached: AbstractSet[Identity]
    locals: Mapping[Identity, Local]
    rivals: AbstractSet[Identity]
    before: Assembly | None


def assemble(identity: Identity, parts: Parts) -> Assembly:
    findings = Findings(parts.own.findings)
    locals_ = parts.locals
    routes = _routes_in_order(identity, parts)
    rules = sorted(
        (source for source in parts.attached if source.kind == "LabelRule"),
        key=lambda rule: (locals_[rule].priority, rule),
    )
    windows = sorted(source for source in parts.attached if source.kind == "MaintenanceWindow")
    own = parts.own.fragment
    names = tuple(_name(route) for route in routes)
    fragment = msgspec.structs.replace(
        own,
        routes=names,
        label_rules=tuple(_name(rule) for rule in rules),
        windows=tuple(_name(window) for window in windows),
        heartbeat=_with_attached_route(own.heartbeat, names, findings),
        auth=_without_contested_token(identity, own.auth, parts.rivals, findings),
    )
    conditions = tuple(locals_[route].conditions or IMPOSSIBLE for route in routes)
    before = parts.before
    same = before is not None and conditions == before.conditions and routes == list(before.positions)
    return Assembly(
        fragment=fragment,
        findings=findings.done(),
        positions=before.positions if same and before else dict(zip(routes, count(1), strict=False)),
        conditions=conditions,
        shadows=before.shadows if same and before else shadows(routes, conditions),
    )


def moved_routes(before: Assembly | None, after: Assembly | None) -> set[Identity]:
    """The routes that stand elsewhere than before, or are shadowed otherwise."""
    old = {} if before is None else before.positions
    new = {} if after is None else after.positions
    moved = set() if old is new else {route for route, _ in old.items() ^ new.items()}
    old_shadows = {} if before is None else before.shadows
    new_shadows = {} if after is None else after.shadows
    if old_shadows is not new_shadows:
        moved.update(route for route, _ in old_shadows.items() ^ new_shadows.items())
    return moved


def _routes_in_order(integration: Identity, parts: Parts) -> list[Identity]:
    """Sorted by precedence. Starting from the last order makes it almost sorted, which sorts in linear time."""
    known: Mapping[Identity, int] = {} if parts.before is None else parts.before.positions
    attached, locals_, home = parts.attached, parts.locals, integration.namespace
    routes = [route for route in known if route in attached]
    routes += [source for source in attached if source.kind == "AlertRoute" and source not in known]
    keys = [(locals_[route].priority, route.namespace != home, route) for route in routes]
    keys.sort()
    return [key[2] for key in keys]


def _name(source: Identity) -> str:
    return f"{source.namespace}/{source.name}"


def _with_attached_route(
    heartbeat: HeartbeatFragment | None, routes: tuple[str, ...], findings: Findings
) -> HeartbeatFragment | None:
    """A heartbeat's route has to be one of the Integration's; else its alerts are routed like any other."""
    if heartbeat is None or not heartbeat.route or heartbeat.route in routes:
        return heartbeat
    findings.error(
        "spec.heartbeat.routeRef",
        Reason.ROUTE_NOT_ATTACHED,
        f"AlertRoute {heartbeat.route} is not attached to this Integration (see its spec.parentRefs); "
        "until it is, heartbeat alerts are routed like any other",
    )
    return msgspec.structs.replace(heartbeat, route="")


def _without_contested_token(
    identity: Identity, auth: AuthFragment, rivals: AbstractSet[Identity], findings: Findings
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
