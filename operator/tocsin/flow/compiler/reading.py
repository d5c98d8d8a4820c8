"""Access to the inventory that remembers what was looked at, so that only readers of a change compile again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tocsin.api.alerttemplate import AlertTemplate
from tocsin.api.common import Identity
from tocsin.api.integration import Integration
from tocsin.flow.inventory import Inventory
from tocsin.sources.model import SourceType

Key = tuple[str, ...]
"""Something that can change: an Identity, or one of the tuples below."""


def config_map_key(namespace: str, name: str) -> Key:
    return ("configmap", namespace, name)


def secret_key(namespace: str, name: str, key: str) -> Key:
    return ("secret", namespace, name, key)


def namespace_key(namespace: str) -> Key:
    return ("namespace", namespace)


def members_key(namespace: str, kind: str) -> Key:
    """All objects of a kind in a namespace: changes with each of them."""
    return ("members", namespace, kind)


class Members:
    """Objects by namespace, built when first asked for; one per compilation."""

    __slots__ = ("_by_namespace", "_inventory")

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._by_namespace: dict[str, dict[str, list[Identity]]] = {}

    def of(self, namespace: str, kind: str) -> list[Identity]:
        if kind not in self._by_namespace:
            found: dict[str, list[Identity]] = {}
            for identity in self._inventory.objects(kind):
                found.setdefault(identity.namespace, []).append(identity)
            self._by_namespace[kind] = found
        return self._by_namespace[kind].get(namespace, [])


class Reader:
    """What one object's compilation may see. Everything it asks for is in `seen` afterwards."""

    __slots__ = ("_inventory", "_members", "_types", "seen")

    def __init__(self, inventory: Inventory, types: Mapping[str, SourceType], members: Members) -> None:
        self._inventory = inventory
        self._types = types
        self._members = members
        self.seen: set[Key] = set()

    @property
    def types(self) -> Mapping[str, SourceType]:
        return self._types

    def integration(self, identity: Identity) -> Integration | None:
        self.seen.add(identity)
        return self._inventory.integrations.get(identity)

    def template(self, identity: Identity) -> AlertTemplate | None:
        self.seen.add(identity)
        return self._inventory.templates.get(identity)

    def is_invalid(self, identity: Identity) -> bool:
        self.seen.add(identity)
        return identity in self._inventory.invalid

    def members(self, namespace: str, kind: str) -> Iterable[Identity]:
        """Objects of a namespace that passed their schema."""
        self.seen.add(members_key(namespace, kind))
        return self._members.of(namespace, kind)

    def integrations_of(self, namespace: str) -> Iterable[tuple[Identity, Integration]]:
        self.seen.add(members_key(namespace, "Integration"))
        integrations = self._inventory.integrations
        return ((member, integrations[member]) for member in self._members.of(namespace, "Integration"))

    def namespace_labels(self, namespace: str) -> Mapping[str, str]:
        self.seen.add(namespace_key(namespace))
        return self._inventory.namespace_labels(namespace)

    def config_map(self, namespace: str, name: str) -> Mapping[str, str] | None:
        self.seen.add(config_map_key(namespace, name))
        return self._inventory.config_maps.get((namespace, name))

    def secret_digest(self, namespace: str, name: str, key: str) -> str | None:
        """The keyed digest; "" where Secrets are not known at all; None if the key is missing."""
        self.seen.add(secret_key(namespace, name, key))
        found = self._inventory.secrets.get((namespace, name, key))
        return "" if found is None and not self._inventory.secrets_known else found
