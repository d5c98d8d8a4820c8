"""Manifests with `[[ ]]` pass through Helm's and Flux' templating as they are, and work afterwards."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from charting import NAMESPACE, ROOT, helm, of_kind, parsed, rendered

from tocsin.api.common import Identity
from tocsin.control.folder import Folder
from tocsin.flow.arrival import alerts_of, moment
from tocsin.flow.compiler import compile_flow
from tocsin.flow.program import link
from tocsin.sources import load_types

EXAMPLE = ROOT / "examples" / "delimiters"
SUBSTITUTE = "kustomize.toolkit.fluxcd.io/substitute"
NOW = moment("2026-03-02T12:00:00Z")


def through_helm(folder: Path, manifest: str) -> str:
    """As a template of somebody's chart."""
    (folder / "templates").mkdir(parents=True)
    (folder / "Chart.yaml").write_text("{apiVersion: v2, name: flow, version: 1.0.0}", encoding="utf-8")
    (folder / "templates" / "flow.yaml").write_text(manifest, encoding="utf-8")
    done = helm("template", "flow", folder, "--namespace", NAMESPACE)
    assert done.returncode == 0, done.stderr
    return done.stdout


def through_flux(text: str, variables: dict[str, str]) -> str:
    """What `postBuild.substitute` does: `${name}` and `${name:=default}`, in objects that do not forbid it."""

    def value(found: re.Match[str]) -> str:
        return variables.get(found[1], found[2] or "")

    documents = []
    for document in parsed(text):
        annotations = document["metadata"].get("annotations") or {}
        dumped = yaml.safe_dump(document, sort_keys=False)
        if annotations.get(SUBSTITUTE) != "disabled":
            dumped = re.sub(r"\$\{([_A-Za-z][_A-Za-z0-9]*)(?::=([^}]*))?\}", value, dumped)
        documents.append(dumped)
    return "---\n".join(documents)


def decided(folder: Path) -> tuple[str, str, bool]:
    """Route, title and grouping of the example's alert under the flow in a folder, which has no findings."""
    assert NOW is not None
    contents = Folder((folder,), digest=lambda value: value.hex(), last_good={}).read()
    types = load_types()
    compiled = compile_flow(contents.inventory, types=types, now=NOW)
    assert contents.findings == ()
    assert all(not report.findings for report in compiled.reports.values())
    program = link(compiled.flow, types=types).integrations[Identity("Integration", "default", "releases")]
    body = json.loads((EXAMPLE / "payloads" / "release.json").read_text(encoding="utf-8"))
    (alert,) = alerts_of(program.type, body, NOW)
    decision = program.evaluate(alert, NOW)
    return decision.route, decision.title, decision.resolve


def test_the_example_survives_helm_and_flux(tmp_path: Path) -> None:
    """The same objects, in Helm's order, and the same decision about the example's alert."""
    original = (EXAMPLE / "flow.yaml").read_text(encoding="utf-8")
    out = through_flux(through_helm(tmp_path / "chart", original), {"release": "must not appear"})
    assert sorted(parsed(out), key=json.dumps) == sorted(parsed(original), key=json.dumps)
    (tmp_path / "flow").mkdir()
    (tmp_path / "flow" / "flow.yaml").write_text(out, encoding="utf-8")
    assert decided(tmp_path / "flow") == decided(EXAMPLE)
    assert decided(EXAMPLE)[0] == "default/failed-releases"


def test_values_and_templates_live_side_by_side(tmp_path: Path) -> None:
    """In one line Helm fills in its braces, Flux its variable, and the square brackets are left for Tocsin."""
    manifest = (
        "apiVersion: tocsin.dev/v1alpha1\nkind: Integration\nmetadata: {name: releases}\nspec:\n"
        "  type: webhook\n  delimiters: ['[[', ']]']\n  templates:\n"
        "    groupingId: '{{ .Release.Name }}/${cluster:=dev}/[[ payload.release ]]'\n"
    )
    (document,) = parsed(through_flux(through_helm(tmp_path, manifest), {"cluster": "prod"}))
    assert document["spec"]["templates"]["groupingId"] == "flow/prod/[[ payload.release ]]"


def test_braces_do_not_survive_helm(tmp_path: Path) -> None:
    """The reason for the setting: Helm takes them for its own."""
    manifest = (ROOT / "examples" / "quickstart" / "webhook.yaml").read_text(encoding="utf-8")
    with pytest.raises(AssertionError, match=r"parse error|function|nil pointer"):
        through_helm(tmp_path, manifest)


def test_flux_leaves_the_crds_alone() -> None:
    """They hold patterns with `$`, and say that nothing may be substituted in them."""
    text = rendered({"crds": {"enabled": True}})
    crds = of_kind(tuple(parsed(text)), "CustomResourceDefinition")
    assert of_kind(tuple(parsed(through_flux(text, {}))), "CustomResourceDefinition") == crds
