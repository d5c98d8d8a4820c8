"""NotificationChannel: its place, its credentials, and who gets what it cannot deliver."""

from __future__ import annotations

import msgspec

from tocsin.api.common import Identity, KeyRef, ObjectRef, Spec
from tocsin.api.conditions import Reason
from tocsin.api.notificationchannel import ChannelTarget, NotificationChannelSpec
from tocsin.flow.compiler.references import Scope, reach, secret
from tocsin.flow.compiler.standing import PLACES, type_of
from tocsin.flow.model import ChannelFragment, SecretKey

_FALLBACK = "spec.fallbackRef"


def channel_of(spec: NotificationChannelSpec, scope: Scope) -> ChannelFragment:
    kind = type_of(spec)
    return ChannelFragment(
        namespace=scope.owner.namespace,
        name=scope.owner.name,
        target=ChannelTarget(**{kind: getattr(spec, kind)}),
        secrets=_secrets(getattr(spec, kind), kind, scope),
        fallback=_fallback(spec, scope),
        send_resolved=spec.send_resolved,
    )


def _secrets(member: Spec, kind: str, scope: Scope) -> dict[str, SecretKey]:
    """Every credential of the channel, by its path: `slack.tokenSecretRef`."""
    found: dict[str, SecretKey] = {}
    for field in msgspec.structs.fields(member):
        ref = getattr(member, field.name)
        if isinstance(ref, KeyRef):
            path = f"{kind}.{field.encode_name}"
            found[path] = secret(ref, f"spec.{path}", scope, "nothing can be delivered")
    return found


def _fallback(spec: NotificationChannelSpec, scope: Scope) -> str:
    """The channel for what this one could not deliver; empty where there is none, or none that can work."""
    if spec.fallback_ref is None:
        return ""
    ref = ObjectRef(name=spec.fallback_ref.name)
    circle = _circle(ref.name, scope)
    if circle:
        message = f"leads back to this channel ({' > '.join(circle)}), so it counts as not set: let one end elsewhere"
        scope.findings.error(_FALLBACK, Reason.REF_UNSUITABLE, message)
        return ""
    reached = reach(ref, "NotificationChannel", _FALLBACK, scope)
    if reached.standing is not None and not reached.standing.has_place:
        kind = reached.standing.type
        message = (
            f"NotificationChannel {reached.name} only leads to people, so it counts as not set: "
            f"set its spec.{kind}.{PLACES[kind]}"
        )
        scope.findings.error(_FALLBACK, Reason.REF_UNSUITABLE, message)
        return ""
    return reached.name


def _circle(first: str, scope: Scope) -> tuple[str, ...]:
    """The names from this channel over its fallbacks back to itself; empty where they do not lead there."""
    owner = scope.owner
    path, name = [owner.name], first
    while name and name not in path:
        path.append(name)
        standing = scope.reader.standing(Identity(owner.kind, owner.namespace, name))
        name = "" if standing is None else standing.fallback
    return (*path, name) if name == owner.name else ()
