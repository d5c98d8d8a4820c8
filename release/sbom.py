"""The software bill of materials as CycloneDX JSON, made from requirements.lock: what the image holds beside its base."""

from __future__ import annotations

import json
import re
import uuid
from importlib import metadata
from typing import Any

import lock

NAMESPACE = uuid.UUID("4ba4a5c6-90ad-5f3c-9b42-5d0c7a3a3a0e")


def document(version: str) -> dict[str, Any]:
    """A CycloneDX 1.6 document. The same lock gives the same bytes: its serial number is derived, it holds no time."""
    entries = lock.runtime(lock.read())
    names = {entry.name for entry in entries}
    root = _purl("tocsin", version)
    refs = {entry.name: _purl(entry.name, entry.version) for entry in entries}
    needs: dict[str, list[str]] = {ref: [] for ref in (root, *refs.values())}
    for entry in entries:
        for asking in entry.via:
            if asking == lock.PROJECT:
                needs[root].append(refs[entry.name])
            elif asking in names:
                needs[refs[asking]].append(refs[entry.name])
    body: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": root,
                "name": "tocsin",
                "version": version,
                "purl": root,
                "licenses": [{"expression": "Apache-2.0"}],
            }
        },
        "components": [_component(entry, refs[entry.name]) for entry in entries],
        "dependencies": [{"ref": ref, "dependsOn": sorted(below)} for ref, below in needs.items()],
    }
    serial = uuid.uuid5(NAMESPACE, json.dumps(body, sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "serialNumber": f"urn:uuid:{serial}",
        **body,
    }


def _component(entry: lock.Pinned, ref: str) -> dict[str, Any]:
    component: dict[str, Any] = {
        "type": "library",
        "bom-ref": ref,
        "name": entry.name,
        "version": entry.version,
        "purl": ref,
        # The lock pins several files of a release, so their digests stand with the place that they come from.
        "externalReferences": [
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{entry.name}/{entry.version}/",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in entry.hashes],
            }
        ],
    }
    if licence := _licence(entry.name):
        component["licenses"] = [{"expression": licence}]
    return component


def _licence(name: str) -> str:
    """The SPDX expression that the installed package states, if it states one."""
    try:
        return metadata.metadata(name).get("License-Expression") or ""
    except metadata.PackageNotFoundError:
        return ""


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{re.sub(r'[-_.]+', '-', name).lower()}@{version}"
