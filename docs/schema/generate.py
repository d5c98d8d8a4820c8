# ruff: noqa: INP001 - a script beside its output, not a package
"""Writes the JSON Schema for editors from the CRDs: `python docs/schema/generate.py`.

Editors with the YAML language server complete and check manifests that begin with
`# yaml-language-server: $schema=<path or URL of tocsin.dev_v1alpha1.json>`. CEL rules are beyond JSON Schema:
`tocsin lint` runs those too.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tocsin.api.common import API_VERSION
from tocsin.api.crds import load_crds

FILE = Path(__file__).parent / "tocsin.dev_v1alpha1.json"
METADATA = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}


def plain(schema: Any) -> Any:
    """OpenAPI of a structural schema as JSON Schema: Kubernetes' own words left out, unknown fields refused."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    result = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    for key in ("properties", "patternProperties"):
        if key in result:
            result[key] = {name: plain(value) for name, value in result[key].items()}
    for key in ("items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"):
        if key in result:
            result[key] = plain(result[key])
    if "properties" in result and "additionalProperties" not in result:
        result["additionalProperties"] = False
    return result


def document(schema: dict[str, Any]) -> dict[str, Any]:
    """One kind. What the operator writes (`status`) is not for people to write."""
    spec = schema["properties"]["spec"]
    return {
        "description": schema.get("description", ""),
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": API_VERSION},
            "kind": {"type": "string"},
            "metadata": METADATA,
            "spec": plain(spec),
        },
    }


def build() -> str:
    """The whole schema as text. Other kinds in the same file (Secret, ConfigMap) are left alone."""
    kinds = load_crds()
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Tocsin manifests",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "allOf": [
            {"if": {"properties": {"kind": {"const": kind}}}, "then": {"$ref": f"#/definitions/{kind}"}}
            for kind in kinds
        ],
        "definitions": {kind: document(dict(crd.schema)) for kind, crd in kinds.items()},
    }
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(build(), encoding="utf-8")
