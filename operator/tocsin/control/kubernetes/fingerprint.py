"""Whether two versions of an object differ in what the compiler reads: a status written by ourselves does not count."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from tocsin.api.objects import KINDS


def fingerprint(kind: str, body: Mapping[str, Any]) -> bytes:
    """Equal for equal content. Own kinds count their spec by `generation`, Secrets and ConfigMaps by version."""
    metadata = body.get("metadata") or {}
    parts: list[Any] = [metadata.get("uid"), metadata.get("deletionTimestamp"), metadata.get("labels")]
    if kind in KINDS:
        # A CRD without a status subresource, or a test double, may have no generation: then the spec itself.
        generation = metadata.get("generation")
        parts.append(body.get("spec") if generation is None else generation)
    elif kind != "Namespace":
        parts.append(metadata.get("resourceVersion"))
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).digest()
