"""What one file declares: objects of Tocsin's kinds, and the Secrets, ConfigMaps and Namespaces they refer to."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tocsin.api.check import belongs
from tocsin.api.common import DEFAULT_NAMESPACE, Finding, Identity, Metadata
from tocsin.api.loader import Document, load_documents
from tocsin.api.objects import KINDS, AnyObject, InvalidObject, parse_object

UNKNOWN_KIND = "Unknown"
"""Identity of documents that say our API group but no kind of ours."""

SUPPORTING_KINDS = frozenset({"Secret", "ConfigMap", "Namespace"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """One document. `declared` is None where the object breaks its schema: then `findings` say why.

    `data` holds the values of a Secret or ConfigMap; it never appears in the representation.
    """

    identity: Identity
    metadata: Metadata
    document: Document = field(repr=False)
    declared: AnyObject | None = None
    data: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileManifests:
    """Everything of one file. `broken` findings are about the file itself: it does not parse as a whole."""

    path: str
    manifests: tuple[Manifest, ...] = ()
    broken: tuple[Finding, ...] = ()
    foreign: int = 0
    """Documents of other kinds, which are nobody's business here."""


def read_manifests(text: str, path: str) -> FileManifests:
    """Parses and checks a file. Never raises: whatever is wrong is a finding with file, line and field."""
    loaded = load_documents(text, path)
    manifests: list[Manifest] = []
    foreign = 0
    for document in loaded.documents:
        manifest = _manifest(document)
        if manifest is None:
            foreign += 1
        else:
            manifests.append(manifest)
    return FileManifests(path=path, manifests=tuple(manifests), broken=loaded.findings, foreign=foreign)


def _manifest(document: Document) -> Manifest | None:
    value = document.value
    kind, version = value.get("kind"), value.get("apiVersion")
    if kind in SUPPORTING_KINDS and version == "v1":
        return _supporting(document, str(kind))
    if not belongs(value):
        return None
    metadata = _metadata(value.get("metadata"))
    identity = Identity(str(kind) if kind in KINDS else UNKNOWN_KIND, metadata.namespace, metadata.name)
    try:
        declared = parse_object(value)
    except InvalidObject as invalid:
        findings = tuple(document.locate(finding) for finding in invalid.findings)
        return Manifest(identity=identity, metadata=metadata, document=document, findings=findings)
    return Manifest(identity=identity, metadata=metadata, document=document, declared=declared)


def _supporting(document: Document, kind: str) -> Manifest:
    metadata = _metadata(document.value.get("metadata"))
    identity = Identity(kind, metadata.namespace if kind != "Namespace" else "", metadata.name)
    data: dict[str, bytes] = {}
    findings: list[Finding] = []
    # stringData wins over data, as in Kubernetes.
    for section in ("data", "binaryData", "stringData"):
        entries = document.value.get(section)
        for key, text in entries.items() if isinstance(entries, dict) else ():
            encoded = section == "binaryData" or (kind == "Secret" and section == "data")
            try:
                data[str(key)] = base64.b64decode(str(text), validate=True) if encoded else str(text).encode()
            except (binascii.Error, ValueError):
                message = "is not base64; put plain text under `stringData`"
                findings.append(
                    document.locate(Finding(field=f"{section}.{key}", reason="Invalid", message=message))
                )
    return Manifest(
        identity=identity, metadata=metadata, document=document, data=data, findings=tuple(findings)
    )


def _metadata(value: Any) -> Metadata:
    """What can be read of metadata: a broken object still needs a name to be reported under."""
    try:
        return msgspec.convert(value, Metadata, strict=False)
    except msgspec.ValidationError:
        fields = value if isinstance(value, dict) else {}
        name, namespace = fields.get("name"), fields.get("namespace")
        return Metadata(name=str(name or "unnamed"), namespace=str(namespace or DEFAULT_NAMESPACE))
