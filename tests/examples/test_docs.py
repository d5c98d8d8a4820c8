"""Manifests that pages show can be taken as they are: no mistake but references to what the page does not show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tocsin.cli.lint import lint_roots

ROOT = Path(__file__).parents[2]
FENCED = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ELSEWHERE = {"RefNotFound", "UnknownTeam"}


def manifests(page: Path) -> str:
    """What is declared in the fenced blocks of a page; extracts may leave out `apiVersion`."""
    found = []
    for block in FENCED.findall(page.read_text()):
        for document in re.split(r"^---$", block, flags=re.MULTILINE):
            if re.search(r"^kind: ", document, re.MULTILINE):
                has_version = re.search(r"^apiVersion: ", document, re.MULTILINE)
                found.append(document if has_version else f"apiVersion: tocsin.dev/v1alpha1\n{document}")
    return "\n---\n".join(found)


PAGES = {
    str(page.relative_to(ROOT)): text
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "kind: " in (text := manifests(page))
}


@pytest.mark.parametrize("page", PAGES)
def test_manifests_of_pages_lint(page: str, tmp_path: Path) -> None:
    """Fields, values, durations, templates and layers of every example are right."""
    (tmp_path / "page.yaml").write_text(PAGES[page])
    found = lint_roots((tmp_path,))
    assert [str(one) for one in found if one.reason not in ELSEWHERE] == []
