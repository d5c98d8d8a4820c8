"""One object by itself, before it is declared: what the compiler would say of it, by the compiler's own steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tocsin.api.alertroute import AlertRoute
from tocsin.api.alerttemplate import AlertTemplate
from tocsin.api.common import Finding, Identity
from tocsin.api.conditions import REFERENCE_REASONS, Reason
from tocsin.api.integration import Integration
from tocsin.api.labelrule import LabelRule
from tocsin.api.maintenancewindow import MaintenanceWindow
from tocsin.api.objects import AnyObject
from tocsin.flow.compiler.findings import in_order
from tocsin.flow.compiler.integrations import compile_integration, complete_integration, unknown_type
from tocsin.flow.compiler.links import link_source
from tocsin.flow.compiler.local import Local
from tocsin.flow.compiler.reading import Members, Reader
from tocsin.flow.compiler.routes import compile_route
from tocsin.flow.compiler.rules import compile_rule
from tocsin.flow.compiler.slots import TemplateSet
from tocsin.flow.compiler.state import State
from tocsin.flow.compiler.telling import compile_telling
from tocsin.flow.compiler.templates import compile_template
from tocsin.flow.compiler.windows import compile_window
from tocsin.flow.inventory import Inventory, identity_of
from tocsin.flow.model import Micros
from tocsin.sources.model import SourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """`own` holds whatever else is declared; `around` is about what the object refers to, as that is now. Sorted."""

    own: tuple[Finding, ...] = ()
    around: tuple[Finding, ...] = ()


def compile_alone(
    identity: Identity, declared: AnyObject, types: Mapping[str, SourceType], now: Micros
) -> Local | None:
    """Everything that needs no other object; None for an AlertTemplate and the kinds that say who is told."""
    match declared:
        case Integration():
            return compile_integration(identity, declared, types.get(declared.spec.type))
        case AlertRoute():
            return compile_route(identity, declared)
        case LabelRule():
            return compile_rule(identity, declared)
        case MaintenanceWindow():
            return compile_window(identity, declared, now)
        case _:
            return None


def examine(
    declared: AnyObject, *, types: Mapping[str, SourceType], now: Micros, among: State | None = None
) -> Examined:
    """What a compilation would find about this object, without one: it costs as much as the object is large.

    `among` is the state of a compilation of everything else. Nothing is said of Secrets and ConfigMaps that are not
    there, because they are read only once a stored object needs them, nor of what needs all attached routes.
    """
    identity = identity_of(declared)
    local = compile_alone(identity, declared, types, now)
    nothing = Reader(Inventory(), types, Members(Inventory()))
    alone = _findings(declared, _Compiling(identity, local, nothing, {}, now))
    own = [finding for finding in alone if finding.reason not in REFERENCE_REASONS]
    if among is None:
        return Examined(own=in_order(own))
    inventory = replace(among.inventory, secrets_known=False)
    reader = Reader(inventory, types, Members(inventory))
    found = _findings(declared, _Compiling(identity, local, reader, among.sets, now))
    around = set(found).difference(own)
    return Examined(own=in_order(own), around=in_order(f for f in around if not _is_about_config_map(f)))


@dataclass(frozen=True, slots=True)
class _Compiling:
    """What is needed to compile one object that is not compiled yet."""

    identity: Identity
    local: Local | None
    reader: Reader
    sets: Mapping[Identity, TemplateSet]
    now: Micros


def _findings(declared: AnyObject, given: _Compiling) -> tuple[Finding, ...]:
    identity, local, reader = given.identity, given.local, given.reader
    match declared:
        case AlertTemplate():
            return compile_template(identity, declared, reader).findings
        case Integration():
            if local is None or local.fragment is None:
                return (unknown_type(declared, reader.types),)
            return complete_integration(identity, declared, local, reader, given.sets).findings
        case AlertRoute() | LabelRule() | MaintenanceWindow():
            if local is None or not local.active:
                return () if local is None else local.findings
            return (*local.findings, *link_source(identity, declared, local.fragment, reader).findings)
        case _:
            return compile_telling(identity, declared, reader, given.now).local.findings


def _is_about_config_map(finding: Finding) -> bool:
    return finding.reason == Reason.REF_NOT_FOUND and finding.field.endswith(".configMapKeyRef")
