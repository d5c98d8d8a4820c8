"""Findings of a compiled folder with their places in the text: what `tocsin lint` prints and `tocsin run` logs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from tocsin.api.common import Finding, Identity, Severity
from tocsin.control.manifests import Manifest
from tocsin.flow.compiler import Report


class PlacedFinding(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A finding as people read it. `kind`, `namespace` and `name` are empty for findings about a file."""

    file: str
    line: int | None
    column: int | None
    kind: str
    namespace: str
    name: str
    field: str
    severity: Severity
    reason: str
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part)
        subject = f"{self.kind}/{self.namespace}/{self.name} " if self.kind else ""
        field = f"{self.field}: " if self.field else ""
        return f"{place}: {self.severity.lower()}: {subject}{field}{self.message} [{self.reason}]"


def placed_findings(
    reports: Mapping[Identity, Report],
    manifests: Mapping[Identity, Manifest],
    about_files: Iterable[Finding] = (),
) -> tuple[PlacedFinding, ...]:
    """All findings, sorted by place. Those of objects are located in the file that declares them."""
    placed = [_placed(finding, None) for finding in about_files]
    for identity, report in reports.items():
        manifest = manifests.get(identity)
        for finding in report.findings:
            located = finding if manifest is None or finding.file else manifest.document.locate(finding)
            placed.append(_placed(located, identity))
    return tuple(sorted(set(placed), key=_order))


def _placed(finding: Finding, identity: Identity | None) -> PlacedFinding:
    kind, namespace, name = identity or ("", "", "")
    return PlacedFinding(
        file=finding.file,
        line=finding.line,
        column=finding.column,
        kind=kind,
        namespace=namespace,
        name=name,
        field=finding.field,
        severity=finding.severity,
        reason=finding.reason,
        message=finding.message,
    )


def _order(finding: PlacedFinding) -> tuple[str, int, int, str, str]:
    return finding.file, finding.line or 0, finding.column or 0, finding.field, finding.message
