"""What differs between two inventories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

from tocsin.api.common import Identity
from tocsin.flow.compiler.reading import (
    Key,
    Members,
    config_map_key,
    members_key,
    names_key,
    namespace_key,
    secret_key,
    standing_key,
    team_key,
    teams_key,
)
from tocsin.flow.compiler.standing import TELLING, standing_of
from tocsin.flow.inventory import Inventory

K = TypeVar("K")
V = TypeVar("V")


def changed_objects(before: Inventory, after: Inventory) -> set[Identity]:
    """Objects added, removed, or of another content."""
    return set(_differing(before.digests, after.digests))


def changed_keys(before: Inventory, after: Inventory, objects: set[Identity]) -> set[Key]:
    """All keys under which a reader may have seen something that is different now."""
    keys: set[Key] = set(objects)
    for identity in objects:
        keys.update(_keys_of(identity, before, after))
    if any(identity.kind == "Responder" for identity in objects):
        keys.update(_changed_teams(before, after, {identity.namespace for identity in objects}))
    keys.update(config_map_key(*key) for key in _differing(before.config_maps, after.config_maps))
    keys.update(secret_key(*key) for key in _differing(before.secrets, after.secrets))
    keys.update(namespace_key(name) for name in _differing(before.namespaces, after.namespaces))
    return keys


def _keys_of(identity: Identity, before: Inventory, after: Inventory) -> Iterator[Key]:
    """What others may have seen of an object that changed."""
    old, new = before.objects(identity.kind).get(identity), after.objects(identity.kind).get(identity)
    yield members_key(identity.namespace, identity.kind)
    if (old is None) != (new is None):
        yield names_key(identity.namespace, identity.kind)
    if identity.kind in TELLING and standing_of(old) != standing_of(new):
        yield standing_key(identity)


def _changed_teams(before: Inventory, after: Inventory, namespaces: set[str]) -> Iterator[Key]:
    """The teams that have somebody now and had nobody, or the other way round."""
    old, new = Members(before), Members(after)
    for namespace in namespaces:
        changed = old.teams(namespace) ^ new.teams(namespace)
        yield from (team_key(namespace, team) for team in changed)
        if changed:
            yield teams_key(namespace)


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
