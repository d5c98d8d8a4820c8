"""What differs between two inventories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from tocsin.api.common import Identity
from tocsin.flow.compiler.reading import (
    Key,
    config_map_key,
    members_key,
    namespace_key,
    secret_key,
)
from tocsin.flow.inventory import Inventory

K = TypeVar("K")
V = TypeVar("V")


def changed_objects(before: Inventory, after: Inventory) -> set[Identity]:
    """Objects added, removed, or of another content."""
    return set(_differing(before.digests, after.digests))


def changed_keys(before: Inventory, after: Inventory, objects: set[Identity]) -> set[Key]:
    """All keys under which a reader may have seen something that is different now."""
    keys: set[Key] = set(objects)
    keys.update(members_key(identity.namespace, identity.kind) for identity in objects)
    keys.update(config_map_key(*key) for key in _differing(before.config_maps, after.config_maps))
    keys.update(secret_key(*key) for key in _differing(before.secrets, after.secrets))
    keys.update(namespace_key(name) for name in _differing(before.namespaces, after.namespaces))
    return keys


def _differing(before: Mapping[K, V], after: Mapping[K, V]) -> Iterator[K]:
    if before is after:
        return
    known = before.get
    for key, value in after.items():
        found = known(key)
        if found is not value and found != value:
            yield key
    for key in before.keys() - after.keys():
        yield key
