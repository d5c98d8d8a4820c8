"""Everything that is declared, as one immutable value: what the compiler reads.

Each change gives a new Inventory that shares all mappings that did not change; at 10,000 objects one change
costs well under a millisecond. Many changes at once go through one `Draft`, which copies each mapping once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Self, TypeVar

import msgspec

from tocsin.api.alertroute import AlertRoute
from tocsin.api.alerttemplate import AlertTemplate
from tocsin.api.common import Finding, Identity, Metadata
from tocsin.api.escalationchain import EscalationChain
from tocsin.api.integration import Integration
from tocsin.api.labelrule import LabelRule
from tocsin.api.maintenancewindow import MaintenanceWindow
from tocsin.api.notificationchannel import NotificationChannel
from tocsin.api.objects import AnyObject
from tocsin.api.oncallschedule import OnCallSchedule
from tocsin.api.outgoingwebhook import OutgoingWebhook
from tocsin.api.responder import Responder
from tocsin.flow.model import Digest, digest_of

Declared = AnyObject

ConfigMapId = tuple[str, str]
"""(namespace, name)."""
SecretId = tuple[str, str, str]
"""(namespace, name, key)."""

NAMESPACE_LABEL = "kubernetes.io/metadata.name"
"""The label that Kubernetes puts on every Namespace; folders have it, too."""

K = TypeVar("K")
V = TypeVar("V")


def identity_of(declared: Declared) -> Identity:
    return Identity(type(declared).__name__, declared.metadata.namespace, declared.metadata.name)


def content_digest(declared: Declared) -> Digest:
    """Covers what the compiler reads: labels and spec. Generation, annotations and the like do not count."""
    encoder = msgspec.json.Encoder(order="deterministic")
    return digest_of(encoder.encode((declared.metadata.labels, declared.spec)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """Declared objects by identity, and what they refer to.

    An object that failed its schema is in `invalid` with its findings and in no other mapping but `metadata` and
    `digests`. `secrets` holds keyed digests, never values; with `secrets_known` False (checking a folder offline)
    a Secret that is not there is no finding. `namespaces` holds the labels of Namespace objects.
    """

    integrations: Mapping[Identity, Integration] = field(default_factory=dict)
    routes: Mapping[Identity, AlertRoute] = field(default_factory=dict)
    templates: Mapping[Identity, AlertTemplate] = field(default_factory=dict)
    rules: Mapping[Identity, LabelRule] = field(default_factory=dict)
    windows: Mapping[Identity, MaintenanceWindow] = field(default_factory=dict)
    chains: Mapping[Identity, EscalationChain] = field(default_factory=dict)
    channels: Mapping[Identity, NotificationChannel] = field(default_factory=dict)
    webhooks: Mapping[Identity, OutgoingWebhook] = field(default_factory=dict)
    responders: Mapping[Identity, Responder] = field(default_factory=dict)
    schedules: Mapping[Identity, OnCallSchedule] = field(default_factory=dict)
    invalid: Mapping[Identity, tuple[Finding, ...]] = field(default_factory=dict)
    metadata: Mapping[Identity, Metadata] = field(default_factory=dict)
    digests: Mapping[Identity, Digest] = field(default_factory=dict)
    config_maps: Mapping[ConfigMapId, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[SecretId, str] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets_known: bool = True

    @classmethod
    def of(cls, objects: Iterable[Declared] = (), *, secrets_known: bool = True) -> Inventory:
        """An inventory of these objects; a later one replaces an earlier one of the same identity."""
        draft = Draft(cls(secrets_known=secrets_known))
        for declared in objects:
            draft.put(declared)
        return draft.finish()

    def objects(self, kind: str) -> Mapping[Identity, Declared]:
        """The accepted-by-schema objects of one kind. Raises KeyError for a kind that is none."""
        found: Mapping[Identity, Declared] = getattr(self, _FIELD_OF_KIND[kind])
        return found

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace; the one with its name is there even where no Namespace object is known."""
        return {NAMESPACE_LABEL: namespace, **self.namespaces.get(namespace, {})}

    def draft(self) -> Draft:
        return Draft(self)

    def with_object(self, declared: Declared) -> Inventory:
        return Draft(self).put(declared).finish()

    def with_invalid(self, kind: str, metadata: Metadata, findings: tuple[Finding, ...]) -> Inventory:
        return Draft(self).refuse(kind, metadata, findings).finish()

    def without_object(self, identity: Identity) -> Inventory:
        return Draft(self).drop(identity).finish()

    def with_config_map(self, namespace: str, name: str, data: Mapping[str, str] | None) -> Inventory:
        return Draft(self).config_map(namespace, name, data).finish()

    def with_secret(self, namespace: str, name: str, digests: Mapping[str, str] | None) -> Inventory:
        return Draft(self).secret(namespace, name, digests).finish()

    def with_namespace(self, name: str, labels: Mapping[str, str] | None) -> Inventory:
        return Draft(self).namespace(name, labels).finish()


_FIELD_OF_KIND = {
    "Integration": "integrations",
    "AlertRoute": "routes",
    "AlertTemplate": "templates",
    "LabelRule": "rules",
    "MaintenanceWindow": "windows",
    "EscalationChain": "chains",
    "NotificationChannel": "channels",
    "OutgoingWebhook": "webhooks",
    "Responder": "responders",
    "OnCallSchedule": "schedules",
}


class Draft:
    """Changes on their way to a new Inventory; each mapping is copied when it first changes."""

    __slots__ = ("_base", "_changed", "_keys_of_secret")

    def __init__(self, base: Inventory) -> None:
        self._base = base
        self._changed: dict[str, dict[object, object]] = {}
        self._keys_of_secret: dict[tuple[str, str], set[str]] | None = None

    def put(self, declared: Declared) -> Self:
        """Adds or replaces an object that passed its schema."""
        identity = identity_of(declared)
        self._remove("invalid", identity)
        self._set(_FIELD_OF_KIND[identity.kind], identity, declared)
        self._set("metadata", identity, declared.metadata)
        self._set("digests", identity, content_digest(declared))
        return self

    def refuse(self, kind: str, metadata: Metadata, findings: tuple[Finding, ...]) -> Self:
        """Adds or replaces an object that breaks its schema. Raises KeyError for an unknown kind."""
        identity = Identity(kind, metadata.namespace, metadata.name)
        self._remove(_FIELD_OF_KIND[kind], identity)
        self._set("invalid", identity, findings)
        self._set("metadata", identity, metadata)
        self._set("digests", identity, digest_of(msgspec.json.encode(findings)))
        return self

    def drop(self, identity: Identity) -> Self:
        """Removes an object, if it is there."""
        for name in (_FIELD_OF_KIND[identity.kind], "invalid", "metadata", "digests"):
            self._remove(name, identity)
        return self

    def config_map(self, namespace: str, name: str, data: Mapping[str, str] | None) -> Self:
        """Sets the data of a ConfigMap; None removes it."""
        return self._put_or_remove("config_maps", (namespace, name), data)

    def secret(self, namespace: str, name: str, digests: Mapping[str, str] | None) -> Self:
        """Sets the keyed digests of all keys of a Secret; None removes it."""
        present = self._secret_keys().setdefault((namespace, name), set())
        wanted = dict(digests or {})
        for key in present - wanted.keys():
            self._remove("secrets", (namespace, name, key))
        for key, digest in wanted.items():
            self._set("secrets", (namespace, name, key), digest)
        present.intersection_update(wanted)
        present.update(wanted)
        return self

    def namespace(self, name: str, labels: Mapping[str, str] | None) -> Self:
        """Sets the labels of a Namespace; None removes it."""
        return self._put_or_remove("namespaces", name, labels)

    def finish(self) -> Inventory:
        if not self._changed:
            return self._base
        values = {f.name: self._changed.get(f.name, getattr(self._base, f.name)) for f in fields(Inventory)}
        self._changed = {}
        self._base = Inventory(**values)
        return self._base

    def _secret_keys(self) -> dict[tuple[str, str], set[str]]:
        """Keys by Secret, gathered once for many Secrets."""
        if self._keys_of_secret is None:
            found: dict[tuple[str, str], set[str]] = {}
            secrets: Mapping[SecretId, str] = self._current("secrets")
            for namespace, name, key in secrets:
                found.setdefault((namespace, name), set()).add(key)
            self._keys_of_secret = found
        return self._keys_of_secret

    def _put_or_remove(self, name: str, key: object, value: object | None) -> Self:
        if value is None:
            self._remove(name, key)
        else:
            self._set(name, key, value)
        return self

    def _current(self, name: str) -> Mapping[K, V]:
        found: Mapping[K, V] = self._changed.get(name, getattr(self._base, name))
        return found

    def _set(self, name: str, key: object, value: object) -> None:
        current: Mapping[object, object] = self._current(name)
        if key in current and current[key] == value:
            return
        self._own(name)[key] = value

    def _remove(self, name: str, key: object) -> None:
        current: Mapping[object, object] = self._current(name)
        if key in current:
            del self._own(name)[key]

    def _own(self, name: str) -> dict[object, object]:
        if name not in self._changed:
            self._changed[name] = dict(getattr(self._base, name))
        return self._changed[name]
