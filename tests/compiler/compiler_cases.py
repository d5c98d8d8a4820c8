"""From YAML to compiled flow, shared by the compiler tests."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import msgspec

from tocsin.api.common import Finding, Identity, Metadata
from tocsin.api.loader import load_documents
from tocsin.api.objects import KINDS, InvalidObject, parse_object
from tocsin.flow.compiler import Compiled, Report, compile_flow
from tocsin.flow.inventory import Draft, Inventory
from tocsin.flow.model import Micros
from tocsin.sources import load_types

NOW = Micros(1_782_907_200_000_000)
"""2026-07-01T12:00Z."""


def inventory_of(text: str) -> Inventory:
    """All documents of a YAML text; what fails its schema enters as invalid."""
    loaded = load_documents(text)
    assert loaded.findings == (), loaded.findings
    draft = Inventory().draft()
    for document in loaded.documents:
        _add(draft, document.value)
    return draft.finish()


def _add(draft: Draft, value: dict) -> None:
    metadata = msgspec.convert(value["metadata"], Metadata)
    match value["kind"]:
        case "ConfigMap":
            draft.config_map(metadata.namespace, metadata.name, value["data"])
        case "Secret":
            digests = {
                key: hashlib.sha256(text.encode()).hexdigest()[:8]
                for key, text in value["stringData"].items()
            }
            draft.secret(metadata.namespace, metadata.name, digests)
        case "Namespace":
            draft.namespace(metadata.name, metadata.labels)
        case kind:
            assert kind in KINDS, kind
            try:
                draft.put(parse_object(value))
            except InvalidObject as invalid:
                draft.refuse(kind, metadata, invalid.findings)


def compile_text(text: str, now: Micros = NOW) -> Compiled:
    return compile_flow(inventory_of(text), types=load_types(), now=now)


def report_of(compiled: Compiled, kind: str, name: str, namespace: str = "default") -> Report:
    return compiled.reports[Identity(kind, namespace, name)]


def reasons(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(finding.field, str(finding.reason)) for finding in findings]


def manifest(kind: str, name: str, spec: str, namespace: str = "default", labels: str = "{}") -> str:
    """One document with its spec in flow style."""
    return (
        f"---\napiVersion: tocsin.dev/v1alpha1\nkind: {kind}\n"
        f"metadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}\nspec: {spec}\n"
    )
