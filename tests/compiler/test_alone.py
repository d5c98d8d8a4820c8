"""What is said of one object before it is stored is what the compiler says of it afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from compiler_cases import NOW, compile_text, manifest, reasons

from tocsin.api.common import Identity, Severity
from tocsin.api.conditions import REFERENCE_REASONS, Reason
from tocsin.api.objects import AnyObject
from tocsin.flow.compiler import Compiled, Examined, examine
from tocsin.flow.inventory import Inventory
from tocsin.sources import load_types

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))

BROKEN = "{{ payload.x == }}"


def objects(inventory: Inventory) -> dict[Identity, AnyObject]:
    return {
        identity: inventory.objects(identity.kind)[identity]
        for identity in inventory.metadata
        if identity not in inventory.invalid
    }


def alone(declared: AnyObject, among: Compiled | None = None) -> Examined:
    state = None if among is None else among.state
    return examine(declared, types=load_types(), now=NOW, among=state)


@pytest.mark.parametrize("case", CASES)
def test_nothing_is_said_that_the_status_would_not_say(case: str) -> None:
    """Every finding is in the report, and of the report's own errors none is missing but those that are others' doing, too."""
    compiled = compile_text((GOLDEN / f"{case}.in.yaml").read_text())
    for identity, declared in objects(compiled.state.inventory).items():
        report, found = compiled.reports[identity], alone(declared, compiled)
        assert {*found.own, *found.around} <= set(report.findings)
        assert not {f.reason for f in found.own} & REFERENCE_REASONS
        others = {
            f
            for f in report.partial_findings
            if f.field.startswith(("spec.templatesFrom", "spec.ical")) or f.reason == Reason.CONFLICTED
        }
        assert set(report.partial_findings) - others <= set(found.own)


@pytest.mark.parametrize("case", CASES)
def test_its_own_findings_hang_on_nothing_else(case: str) -> None:
    """They are the same in an empty cluster."""
    compiled = compile_text((GOLDEN / f"{case}.in.yaml").read_text())
    for declared in objects(compiled.state.inventory).values():
        assert alone(declared).own == alone(declared, compiled).own
        assert alone(declared).around == ()


def test_what_is_not_read_yet_is_not_missed() -> None:
    """Secrets and ConfigMaps are read once a stored object needs them: before that nobody knows whether they are there."""
    compiled = compile_text(manifest("Integration", "other", "{type: webhook}"))
    text = manifest(
        "Integration",
        "web",
        "{type: webhook, auth: {mode: Bearer, bearer: {secretRef: {name: s, key: k}}}, "
        "templatesFrom: [{slot: resolve, configMapKeyRef: {name: c, key: k}}], templateRefs: [{name: gone}]}",
    )
    (declared,) = objects(compile_text(text).state.inventory).values()
    assert reasons(alone(declared, compiled).around) == [("spec.templateRefs[0]", "RefNotFound")]


def test_a_broken_text_elsewhere_is_not_the_objects_own() -> None:
    """The AlertTemplate that an Integration takes its texts from may be mended without the Integration."""
    shared = manifest("AlertTemplate", "shared", f"{{templates: {{resolve: '{BROKEN}'}}}}")
    web = manifest("Integration", "web", "{type: webhook, templateRefs: [{name: shared}]}")
    compiled = compile_text(shared + web)
    found = alone(objects(compiled.state.inventory)[Identity("Integration", "default", "web")], compiled)
    assert found.own == ()
    assert [(f.reason, f.severity) for f in found.around] == [("TemplateFails", Severity.WARNING)]
