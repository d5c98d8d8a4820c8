"""The JSON Schema for editors is that of the CRDs, and takes what the examples hold."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tocsin.api.loader import load_documents

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "docs" / "schema" / "tocsin.dev_v1alpha1.json"
MANIFESTS = sorted(f for f in (ROOT / "examples").glob("*/*.yaml") if (f.parent / "payloads").is_dir())
VALIDATOR = jsonschema.Draft7Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def documents(file: Path) -> list[dict[str, Any]]:
    return [document.value for document in load_documents(file.read_text(encoding="utf-8")).documents]


def test_the_schema_is_generated_from_the_crds() -> None:
    """After a change of a CRD `python docs/schema/generate.py` writes the file anew."""
    place = ROOT / "docs" / "schema" / "generate.py"
    spec = importlib.util.spec_from_file_location("generate_schema", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert SCHEMA.read_text(encoding="utf-8") == module.build()


@pytest.mark.parametrize("file", MANIFESTS, ids=[f"{f.parent.name}-{f.name}" for f in MANIFESTS])
def test_an_example_names_the_schema_and_satisfies_it(file: Path) -> None:
    """The first line tells the editor where the schema is, and the editor has nothing to complain about."""
    first = file.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith("# yaml-language-server: $schema=")
    assert (file.parent / first.partition("=")[2]).resolve() == SCHEMA
    for document in documents(file):
        assert [error.message for error in VALIDATOR.iter_errors(document)] == []


def test_the_schema_refuses_what_is_misspelt() -> None:
    """A wrong field name is underlined while it is typed."""
    (integration,) = documents(ROOT / "examples/quickstart/webhook.yaml")
    integration["spec"]["tpye"] = "webhook"
    assert [error.validator for error in VALIDATOR.iter_errors(integration)] == ["additionalProperties"]
