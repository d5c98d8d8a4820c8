"""Within v1alpha1 fields are added and limits are widened, never the other way round."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from upgrade_left import PREVIOUS

from tocsin.api.crds import load_crds

_AT_MOST = ("maxLength", "maxItems", "maxProperties", "maximum")
_AT_LEAST = ("minLength", "minItems", "minProperties", "minimum")


def previous_crds() -> Iterator[tuple[str, dict[str, Any]]]:
    """Kind and schema of each, out of the previous chart."""
    (chart,) = PREVIOUS.glob("*.tgz")
    with tarfile.open(chart) as archive:
        for member in archive:
            if "/files/crds/" in member.name:
                file = archive.extractfile(member)
                assert file is not None
                crd = yaml.safe_load(file.read())
                yield crd["spec"]["names"]["kind"], crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def narrowed(old: dict[str, Any], new: dict[str, Any], path: str) -> Iterator[str]:
    """Each place where something that fitted does not fit any more."""
    if old.get("type") != new.get("type"):
        yield f"{path}: another type"
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path}.{name}: has become required"
    if "enum" in new and not set(old.get("enum", ("",))) <= set(new["enum"]):
        yield f"{path}: a value is no longer there"
    if new.get("pattern") not in {None, old.get("pattern")}:
        yield f"{path}: another pattern"
    for key in _AT_MOST:
        if new.get(key, float("inf")) < old.get(key, float("inf")):
            yield f"{path}: {key} is lower"
    for key in _AT_LEAST:
        if new.get(key, float("-inf")) > old.get(key, float("-inf")):
            yield f"{path}: {key} is higher"
    if old.get("default") != new.get("default"):
        yield f"{path}: another default changes what existing objects mean"
    for name, value in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield from narrowed(value, new["properties"][name], f"{path}.{name}")
        else:
            yield f"{path}.{name}: is gone"
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), dict):
            yield from narrowed(old[key], new[key], f"{path}[]")


@pytest.mark.parametrize(
    ("kind", "old"), list(previous_crds()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_field_is_taken_away_or_narrowed(kind: str, old: dict[str, Any]) -> None:
    """Compared with the CRDs of the previous release."""
    new = yaml.safe_load(load_crds()[kind].text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert list(narrowed(old["properties"]["spec"], new["properties"]["spec"], "spec")) == []


def test_narrowing_is_seen() -> None:
    """Of each kind."""
    old = {
        "type": "object",
        "properties": {"a": {"type": "string", "maxLength": 5, "enum": ["x"]}, "b": {"type": "integer"}},
    }
    new = {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {
                "type": "string",
                "maxLength": 4,
                "enum": ["y"],
                "pattern": "^y$",
                "minLength": 1,
                "default": "y",
            }
        },
    }
    assert list(narrowed(old, new, "spec")) == [
        "spec.a: has become required",
        "spec.a: a value is no longer there",
        "spec.a: another pattern",
        "spec.a: maxLength is lower",
        "spec.a: minLength is higher",
        "spec.a: another default changes what existing objects mean",
        "spec.b: is gone",
    ]
