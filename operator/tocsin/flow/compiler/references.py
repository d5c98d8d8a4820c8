"""Following references: inside a namespace freely, into another one where the target admits it.

Across namespaces a missing target and one that does not admit the namespace get the same words, so that nobody can
find out what exists in a namespace that is not theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.api.alerttemplate import AlertTemplate
from tocsin.api.common import Identity, ObjectRef, Selector, SelectorRequirement, Sharing, SharingFrom
from tocsin.api.conditions import Hint, Reason
from tocsin.api.integration import Integration
from tocsin.flow.compiler.findings import Findings, did_you_mean
from tocsin.flow.compiler.reading import Reader


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose references are followed, what may be read, and where findings go."""

    owner: Identity
    reader: Reader
    findings: Findings


def selects(selector: Selector, labels: Mapping[str, str]) -> bool:
    """Kubernetes' rules: all parts must hold; NotIn also holds where the label is missing."""
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    return all(_requirement_holds(requirement, labels) for requirement in selector.match_expressions)


def _requirement_holds(requirement: SelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case _:
            return value is None


def admits(sharing: Sharing, own_namespace: str, namespace: str, reader: Reader) -> bool:
    """Whether an object that is shared like this may be referred to from `namespace`."""
    if namespace == own_namespace:
        return True
    shared = sharing.namespaces
    match shared.from_:
        case SharingFrom.ALL:
            return True
        case SharingFrom.SELECTOR:
            return shared.selector is not None and selects(
                shared.selector, reader.namespace_labels(namespace)
            )
        case _:
            return False


def target_of(ref: ObjectRef, kind: str, namespace: str) -> Identity:
    return Identity(kind, ref.namespace or namespace, ref.name)


def qualified(ref: ObjectRef | None, namespace: str) -> str:
    """`namespace/name` of a reference whose target the compiler does not look at."""
    return "" if ref is None else f"{ref.namespace or namespace}/{ref.name}"


def follow_to_integration(ref: ObjectRef, field: str, scope: Scope) -> Integration | None:
    """The Integration that a reference leads to, if it is there, admits the owner, and is accepted."""
    owner, reader = scope.owner, scope.reader
    target = target_of(ref, "Integration", owner.namespace)
    found = reader.integration(target)
    if found is None or not admits(found.spec.sharing, target.namespace, owner.namespace, reader):
        _unresolved(target, field, scope)
        return None
    if found.spec.type not in reader.types:
        scope.findings.error(field, Reason.REF_NOT_ACCEPTED, _not_accepted(target))
        return None
    return found


def follow_to_template(ref: ObjectRef, field: str, scope: Scope) -> AlertTemplate | None:
    """The AlertTemplate that a reference leads to. A suspended one is as if absent, with a warning."""
    owner, reader = scope.owner, scope.reader
    target = target_of(ref, "AlertTemplate", owner.namespace)
    found = reader.template(target)
    if found is None or not admits(found.spec.sharing, target.namespace, owner.namespace, reader):
        _unresolved(target, field, scope)
        return None
    if found.spec.suspend:
        message = f"AlertTemplate {_name(target)} is suspended: it gives no templates"
        scope.findings.warn(field, Hint.REF_SUSPENDED, message)
        return None
    return found


def _unresolved(target: Identity, field: str, scope: Scope) -> None:
    owner, reader, findings = scope.owner, scope.reader, scope.findings
    if target.namespace != owner.namespace:
        findings.error(
            field,
            Reason.REF_NOT_PERMITTED,
            f"{target.kind} {_name(target)} is missing or does not admit namespace {owner.namespace}; "
            "its owner can admit it under spec.sharing.namespaces",
        )
    elif reader.is_invalid(target):
        findings.error(field, Reason.REF_NOT_ACCEPTED, _not_accepted(target))
    else:
        names = [member.name for member in reader.members(target.namespace, target.kind)]
        hint = did_you_mean(target.name, names)
        message = f"{target.kind} {target.name} is not in namespace {target.namespace}{hint}"
        findings.error(field, Reason.REF_NOT_FOUND, message)


def _not_accepted(target: Identity) -> str:
    return f"{target.kind} {_name(target)} is not accepted and has no effect; see its own status"


def _name(target: Identity) -> str:
    return f"{target.namespace}/{target.name}"
