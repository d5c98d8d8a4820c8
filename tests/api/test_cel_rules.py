"""Every CEL rule of the CRDs with one manifest that keeps it and one that breaks it, in `cel/<kind>/`.

A file with two documents is an update: first the old object, then the new one.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tocsin.api import paths
from tocsin.api.check import check
from tocsin.api.crds import load_crds
from tocsin.api.loader import load_documents

FOLDER = Path(__file__).with_name("cel")
PASSING = sorted(FOLDER.glob("*/*.pass.yaml"))
FAILING = sorted(FOLDER.glob("*/*.fail.yaml"))


def name_of(path):
    return f"{path.parent.name}/{path.name.split('.')[0]}"


def findings_of(path):
    result = load_documents(path.read_text("utf-8"), path.name)
    assert result.findings == ()
    *before, document = [document.value for document in result.documents]
    assert all(check(old) == () for old in before)
    return document["kind"], check(document, old=before[0] if before else None)


def rules_of(schema, path=()):
    """(blamed field without indexes, message) of every rule below a place of a schema."""
    for rule in schema.get("x-kubernetes-validations", ()):
        yield paths.join((*path, *paths.split(rule.get("fieldPath", "")))), rule["message"]
    for name, inner in schema.get("properties", {}).items():
        yield from rules_of(inner, (*path, name))
    for name in ("items", "additionalProperties"):
        if name in schema:
            yield from rules_of(schema[name], path)


@pytest.mark.parametrize("path", PASSING, ids=name_of)
def test_kept(path):
    """The manifest is taken."""
    assert findings_of(path)[1] == ()


@pytest.mark.parametrize("path", FAILING, ids=name_of)
def test_broken(path):
    """The manifest breaks exactly one rule, and the finding carries the rule's own message."""
    kind, (finding,) = findings_of(path)
    rules = set(rules_of(load_crds()[kind].schema))
    assert (re.sub(r"\[\d+\]", "", finding.field), finding.message) in rules


def test_every_rule_has_both():
    """No rule without a passing and a failing manifest."""
    assert [name_of(path) for path in PASSING] == [name_of(path) for path in FAILING]
    broken = set()
    for path in FAILING:
        kind, (finding,) = findings_of(path)
        broken.add((kind, re.sub(r"\[\d+\]", "", finding.field), finding.message))
    declared = {(crd.kind, *rule) for crd in load_crds().values() for rule in rules_of(crd.schema)}
    assert broken == declared


def test_rules_about_changes_need_an_old_object():
    """A transition rule does not run at creation."""
    path = FOLDER / "integration" / "type-immutable.fail.yaml"
    new = load_documents(path.read_text("utf-8")).documents[1].value
    assert check(new) == ()
