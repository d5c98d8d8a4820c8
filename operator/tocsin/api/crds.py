"""The CRDs of this package: the only description of what an object may hold, read from their own files.

In a wheel they lie in `tocsin/crds`, in a checkout in `crds/` at its root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crd:
    """One kind: its names and the OpenAPI schema of its only version."""

    kind: str
    group: str
    version: str
    plural: str
    short_names: tuple[str, ...]
    schema: Mapping[str, Any]
    text: str
    """The file as it is."""


@cache
def load_crds() -> Mapping[str, Crd]:
    """Every CRD by kind, in alphabetical order."""
    found = [
        _read(entry.read_text(encoding="utf-8"))
        for entry in _folder().iterdir()
        if entry.name.endswith(".yaml")
    ]
    return {crd.kind: crd for crd in sorted(found, key=lambda crd: crd.kind)}


def _folder() -> Traversable:
    packaged = files("tocsin") / "crds"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[3] / "crds"


def _read(text: str) -> Crd:
    # The CRDs hold no scalar whose meaning differs between PyYAML and kubectl: a test compares the two readings.
    spec = yaml.load(text, Loader=_PARSER)["spec"]  # noqa: S506 -- a safe loader
    (version,) = spec["versions"]
    return Crd(
        kind=spec["names"]["kind"],
        group=spec["group"],
        version=version["name"],
        plural=spec["names"]["plural"],
        short_names=tuple(spec["names"].get("shortNames", ())),
        schema=version["schema"]["openAPIV3Schema"],
        text=text,
    )
