"""A folder of manifests as a source of declared objects: reads it, notices changes, keeps the last good version.

A file that no longer parses stays in force as it was when it last did, and says so; the text of that version is
kept in the store, so that a restart does not lose it either. An object that parses but breaks its schema gets no such
favour: it has no effect until it is mended, as in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tocsin.api.common import Finding, Identity, Severity
from tocsin.api.objects import KINDS
from tocsin.control.files import FileStamp, FileText, read_text, stamps
from tocsin.control.manifests import FileManifests, Manifest, read_manifests
from tocsin.flow.inventory import Inventory, SecretId


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What a folder declares now. `values` are the plain values of its Secrets.

    `findings` are those about files; `manifests` lead from an object to its place in the text. `good` is the text of
    each file that parsed in this reading: what to remember as its last good version.
    """

    inventory: Inventory
    values: Mapping[SecretId, bytes] = field(repr=False)
    manifests: Mapping[Identity, Manifest] = field(repr=False)
    findings: tuple[Finding, ...] = ()
    good: Mapping[str, str] = field(default_factory=dict, repr=False)
    gone: tuple[str, ...] = ()


class Folder:
    """Reads `roots` (folders or files). `digest` is the keyed digest of Secret values; `last_good` finds kept texts."""

    def __init__(
        self, roots: Iterable[Path], *, digest: Callable[[bytes], str], last_good: Mapping[str, str]
    ) -> None:
        self._roots = tuple(roots)
        self._digest = digest
        self._last_good = dict(last_good)
        self._stamps: dict[str, FileStamp] = {}
        self._files: dict[str, FileManifests] = {}
        self._inventory = Inventory()
        self._owners: dict[Identity, tuple[str, ...]] = {}
        self._winners: dict[Identity, Manifest] = {}

    def changed(self) -> bool:
        """Whether any file was added, removed or rewritten since the last reading."""
        return stamps(self._roots) != self._stamps

    def read(self) -> Contents:
        """Reads what changed and gives the whole. Only files with a new stamp are parsed."""
        now = stamps(self._roots)
        gone = tuple(sorted(set(self._files) - set(now)))
        good: dict[str, str] = {}
        touched: set[Identity] = set()
        for path in gone:
            touched |= self._replace(path, None)
        for path, stamp in now.items():
            if self._stamps.get(path) != stamp:
                touched |= self._replace(path, self._read_file(read_text(path), good))
        self._stamps = now
        self._last_good.update(good)
        self._choose(touched)
        self._apply(touched)
        winners = dict(self._winners)
        return Contents(
            inventory=self._inventory,
            values={
                (i.namespace, i.name, key): value
                for i, m in winners.items()
                if i.kind == "Secret"
                for key, value in m.data.items()
            },
            manifests=winners,
            findings=(*self._file_findings(), *self._duplicates()),
            good=good,
            gone=gone,
        )

    def _read_file(self, file: FileText, good: dict[str, str]) -> FileManifests:
        parsed = read_manifests(file.text, file.path)
        broken = (
            (file.finding,)
            if file.finding
            else tuple(f for f in parsed.broken if f.severity is Severity.ERROR)
        )
        if not broken:
            good[file.path] = file.text
            return parsed
        kept = self._last_good.get(file.path)
        if kept is None:
            return _with_broken(parsed, broken=broken)
        notes = tuple(
            msgspec.structs.replace(
                f, message=f"{f.message}; the last good version of this file stays in force"
            )
            for f in broken
        )
        return _with_broken(read_manifests(kept, file.path), broken=notes)

    def _replace(self, path: str, file: FileManifests | None) -> set[Identity]:
        """Puts or removes a file; gives the identities whose winner may have changed."""
        before = {m.identity for m in self._files[path].manifests} if path in self._files else set()
        after = {m.identity for m in file.manifests} if file else set()
        for identity in before - after:
            owners = tuple(owner for owner in self._owners[identity] if owner != path)
            if owners:
                self._owners[identity] = owners
            else:
                del self._owners[identity]
        for identity in after:
            self._owners[identity] = tuple(sorted({*self._owners.get(identity, ()), path}))
        if file:
            self._files[path] = file
        else:
            del self._files[path]
        return before | after

    def _choose(self, touched: set[Identity]) -> None:
        """The first file by name that declares an object wins, and in it the first document."""
        by_file: dict[str, set[Identity]] = {}
        for identity in touched:
            if identity in self._owners:
                by_file.setdefault(self._owners[identity][0], set()).add(identity)
            else:
                self._winners.pop(identity, None)
        for path, identities in by_file.items():
            for manifest in reversed(self._files[path].manifests):
                if manifest.identity in identities:
                    self._winners[manifest.identity] = manifest

    def _apply(self, touched: set[Identity]) -> None:
        draft = self._inventory.draft()
        for identity in sorted(touched):
            manifest = self._winners.get(identity)
            if identity.kind == "Secret":
                digests = (
                    None
                    if manifest is None
                    else {key: self._digest(value) for key, value in manifest.data.items()}
                )
                draft.secret(identity.namespace, identity.name, digests)
            elif identity.kind == "ConfigMap":
                texts = (
                    None
                    if manifest is None
                    else {key: value.decode("utf-8", "replace") for key, value in manifest.data.items()}
                )
                draft.config_map(identity.namespace, identity.name, texts)
            elif identity.kind == "Namespace":
                draft.namespace(identity.name, None if manifest is None else manifest.metadata.labels)
            elif identity.kind not in KINDS:
                continue
            elif manifest is None:
                draft.drop(identity)
            elif manifest.declared is None:
                draft.refuse(identity.kind, manifest.metadata, manifest.findings)
            else:
                draft.put(manifest.declared)
        self._inventory = draft.finish()

    def _file_findings(self) -> Iterable[Finding]:
        for file in self._files.values():
            yield from file.broken
            for manifest in file.manifests:
                # Objects of our kinds report through the compiler; the rest has no other voice.
                if manifest.identity.kind not in KINDS:
                    yield from manifest.findings

    def _duplicates(self) -> Iterable[Finding]:
        for path, file in self._files.items():
            seen: set[Identity] = set()
            for manifest in file.manifests:
                identity = manifest.identity
                first = self._owners[identity][0]
                if first != path or identity in seen:
                    message = f"{identity} is declared already in {first}; this one has no effect: remove or rename it"
                    finding = Finding(field="metadata.name", reason="Duplicate", message=message)
                    yield manifest.document.locate(finding)
                seen.add(identity)


def _with_broken(file: FileManifests, *, broken: tuple[Finding, ...]) -> FileManifests:
    return FileManifests(path=file.path, manifests=file.manifests, broken=broken, foreign=file.foreign)
