"""Which Secrets and ConfigMaps a declared object refers to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from tocsin.api.common import Identity, KeyRef
from tocsin.api.objects import AnyObject


def needs_of(identity: Identity, declared: AnyObject) -> frozenset[Identity]:
    """Every one that the spec names, used in its mode or not. They are in the object's own namespace."""
    return frozenset(Identity(kind, identity.namespace, name) for kind, name in _named(declared.spec, ""))


def _named(value: Any, field: str) -> Iterator[tuple[str, str]]:
    """Kind and name; a reference to a key of a ConfigMap is told from one to a Secret by the name of its field."""
    if isinstance(value, KeyRef):
        yield "ConfigMap" if field.startswith("config_map") else "Secret", value.name
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from _named(getattr(value, name), name)
    elif isinstance(value, tuple):
        for item in value:
            yield from _named(item, field)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _named(item, field)
