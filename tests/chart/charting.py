"""The chart through the real Helm: rendered text, and what is in it."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from binaries import client_binaries

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "tocsin"
GOLDENS = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDENS.glob("*.in.yaml"))
NAMESPACE = "tocsin-system"

Manifest = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Runs Helm in an empty home: nobody's plugins and repositories."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [str(client_binaries() / "helm"), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": home, "PATH": "/usr/bin:/bin"},
        )


def template(values: Mapping[str, Any] | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm template tocsin` with these values, without the CRDs unless the values say so."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        given = yaml.safe_load(values.read_text(encoding="utf-8")) if isinstance(values, Path) else values
        json.dump({"crds": {"enabled": False}, **(given or {})}, file)
        file.flush()
        return helm("template", "tocsin", CHART, "--namespace", NAMESPACE, "--values", file.name, *arguments)


def rendered(values: Mapping[str, Any] | Path) -> str:
    done = template(values)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(values: Mapping[str, Any]) -> str:
    """What Helm says against the values."""
    done = template(values)
    assert done.returncode != 0, done.stdout
    return done.stderr


def manifests(values: Mapping[str, Any] | Path) -> tuple[Manifest, ...]:
    return tuple(parsed(rendered(values)))


def parsed(text: str) -> Iterator[Manifest]:
    yield from (document for document in yaml.safe_load_all(text) if document)


@cache
def text_of(name: str) -> str:
    """A golden case, rendered now."""
    return rendered(GOLDENS / f"{name}.in.yaml")


@cache
def case(name: str) -> tuple[Manifest, ...]:
    """The manifests of a golden case."""
    return tuple(parsed(text_of(name)))


def of_kind(found: tuple[Manifest, ...], *kinds: str) -> list[Manifest]:
    return [manifest for manifest in found if manifest["kind"] in kinds]


def named(found: tuple[Manifest, ...], kind: str, name: str) -> Manifest:
    (manifest,) = [m for m in of_kind(found, kind) if m["metadata"]["name"] == name]
    return manifest


def pods(found: tuple[Manifest, ...]) -> Iterator[tuple[str, Manifest]]:
    """The spec of every pod, however it comes about, with the name of what makes it."""
    for manifest in found:
        name = f"{manifest['kind']}/{manifest['metadata']['name']}"
        if manifest["kind"] == "Pod":
            yield name, manifest["spec"]
        elif "template" in manifest.get("spec", {}) and manifest["kind"] in {"Deployment", "Job"}:
            yield name, manifest["spec"]["template"]["spec"]
