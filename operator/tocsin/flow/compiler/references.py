"""Following references: inside a namespace freely, into another one where the target admits it.

Across namespaces a missing target and one that does not admit the namespace get the same words, so that nobody can
find out what exists in a namespace that is not theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tocsin.api.alerttemplate import AlertTemplate
from tocsin.api.common import Identity, KeyRef, ObjectRef, Selector, SelectorRequirement, Sharing, SharingFrom
from tocsin.api.conditions import Hint, Reason
from tocsin.api.integration import ChannelPublication, Integration
from tocsin.flow.compiler.findings import Findings
from tocsin.flow.compiler.reading import Reader
from tocsin.flow.compiler.standing import PLACES, Standing
from tocsin.flow.model import NOT_ADMITTED, SecretKey, Target

_LONGEST_NAME = 253


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose references are followed, what may be read, and where findings go. `reached`: what they led to."""

    owner: Identity
    reader: Reader
    findings: Findings
    reached: set[Identity] = field(default_factory=set)


class Reached(NamedTuple):
    """Where a reference leads. `standing` is None where it leads nowhere; a name that is not admitted finds nothing."""

    name: str
    standing: Standing | None

    @property
    def ref(self) -> ObjectRef:
        """The same reference with its namespace."""
        namespace, _, name = self.name.partition("/")
        return ObjectRef(name=name, namespace=namespace)


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


def reach(ref: ObjectRef, kind: str, field: str, scope: Scope) -> Reached:
    """Follows a reference to one of the kinds that say who is told. A suspended target is as if absent, with a warning.

    The name stays where the target is not there: whoever meets it while running can say so.
    """
    owner, reader = scope.owner, scope.reader
    target = target_of(ref, kind, owner.namespace)
    standing = reader.standing(target)
    if standing is None or not admits(standing.sharing, target.namespace, owner.namespace, reader):
        _unresolved(target, field, scope)
        return Reached(_name(target) if target.namespace == owner.namespace else _refused(target), None)
    if standing.suspended:
        scope.findings.warn(
            field, Hint.REF_SUSPENDED, f"{kind} {_name(target)} is suspended: it does nothing"
        )
        return Reached(_name(target), None)
    scope.reached.add(target)
    return Reached(_name(target), standing)


def reach_place(ref: ObjectRef, field: str, scope: Scope) -> Reached:
    """Follows a reference to a NotificationChannel that has to be a place of its own."""
    reached = reach(ref, "NotificationChannel", field, scope)
    if reached.standing is not None and not reached.standing.has_place:
        kind = reached.standing.type
        scope.findings.error(
            field,
            Reason.REF_UNSUITABLE,
            f"NotificationChannel {reached.name} only leads to people, so nothing can be published there: "
            f"set its spec.{kind}.{PLACES[kind]}",
        )
    return reached


def reach_target(
    chain: ObjectRef | None, chatops: tuple[ChannelPublication, ...], field: str, scope: Scope
) -> Target:
    """What a route or an Integration leads to; `field` is where both stand."""
    return Target(
        escalation_chain=""
        if chain is None
        else reach(chain, "EscalationChain", f"{field}.escalationChainRef", scope).name,
        channels=reach_channels(chatops, f"{field}.chatops", scope),
    )


def reach_channels(chatops: tuple[ChannelPublication, ...], field: str, scope: Scope) -> tuple[str, ...]:
    """`namespace/name` of each channel, each once, in order."""
    names = (
        reach_place(publication.channel_ref, f"{field}[{index}].channelRef", scope).name
        for index, publication in enumerate(chatops)
    )
    return tuple(dict.fromkeys(names))


def reach_all(refs: Iterable[ObjectRef], kind: str, field: str, scope: Scope) -> tuple[Reached, ...]:
    """Follows a list; an object that is named twice counts once."""
    found: dict[str, Reached] = {}
    for index, ref in enumerate(refs):
        at = f"{field}[{index}]"
        target = target_of(ref, kind, scope.owner.namespace)
        if _name(target) in found:
            scope.findings.warn(at, Hint.DUPLICATE_REF, f"names {kind} {_name(target)} once more")
            continue
        found[_name(target)] = reach(ref, kind, at, scope)
    return tuple(found.values())


def secret(ref: KeyRef, field: str, scope: Scope, until: str) -> SecretKey:
    """The credential that a reference leads to. `until` says what happens while it is missing."""
    namespace = scope.owner.namespace
    digest = scope.reader.secret_digest(namespace, ref.name, ref.key)
    if digest is None:
        scope.findings.error(
            field,
            Reason.REF_NOT_FOUND,
            f"Secret {ref.name} with key {ref.key!r} is not in namespace {namespace}; until it is, {until}",
        )
    return SecretKey(namespace=namespace, name=ref.name, key=ref.key, digest=digest or "")


def check_team(team: str, scope: Scope) -> None:
    """Warns of a `spec.team` that nobody is in, where the namespace has teams at all."""
    hint = scope.reader.team_hint(scope.owner.namespace, team) if team else None
    if hint is not None:
        message = f"no Responder of namespace {scope.owner.namespace} is in team {team!r}{hint}"
        scope.findings.warn("spec.team", Hint.UNKNOWN_TEAM, message)


def _refused(target: Identity) -> str:
    return f"{target.namespace}/{target.name[: _LONGEST_NAME - len(NOT_ADMITTED)]}{NOT_ADMITTED}"


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
        hint = reader.did_you_mean(target)
        message = f"{target.kind} {target.name} is not in namespace {target.namespace}{hint}"
        findings.error(field, Reason.REF_NOT_FOUND, message)


def _not_accepted(target: Identity) -> str:
    return f"{target.kind} {_name(target)} is not accepted and has no effect; see its own status"


def _name(target: Identity) -> str:
    return f"{target.namespace}/{target.name}"
