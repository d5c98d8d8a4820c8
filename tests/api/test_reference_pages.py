"""docs/reference says what the CRDs and the reasons say."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tocsin.api.crds import load_crds

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"


def script():
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "schema" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_pages_are_up_to_date():
    """After a change of a CRD or of a reason `python docs/schema/reference.py` writes them anew."""
    assert {page.name: page.read_text("utf-8") for page in FOLDER.glob("*.md")} == script().build()


def test_a_page_for_each_kind_names_each_field():
    """Fields, and the messages of rules, are all there; tables keep their columns whatever a description holds."""
    pages = script().build()
    for kind, crd in load_crds().items():
        page = pages[f"{kind.lower()}.md"]
        for name in (*crd.schema["properties"]["spec"]["properties"], *crd.short_names):
            assert f"`{name}`" in page
        for line in page.splitlines():
            cells = line.replace("\\|", "").count("|")
            assert cells in (0, 3, 5), line
