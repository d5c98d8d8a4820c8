"""What the chart has from elsewhere is what is there."""

from __future__ import annotations

import importlib.util
from types import ModuleType

import pytest
import yaml
from charting import CHART, ROOT, of_kind, parsed, rendered

KEEP = {"helm.sh/resource-policy": "keep"}


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_chart", ROOT / "release" / "chart.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_generated_files_are_up_to_date() -> None:
    """After a change of a CRD or of the values `make chart` writes them anew."""
    generated = _script().generated()
    assert {path: path.read_text(encoding="utf-8") for path in generated} == generated
    assert set((CHART / "files" / "crds").iterdir()) <= generated.keys()


@pytest.mark.parametrize("keep", [True, False])
def test_the_release_holds_the_crds_of_the_repository(keep: bool) -> None:
    """They differ in nothing but the mark that keeps them when the release is uninstalled."""
    found = {}
    for crd in of_kind(
        tuple(parsed(rendered({"crds": {"enabled": True, "keep": keep}}))), "CustomResourceDefinition"
    ):
        annotations = crd["metadata"]["annotations"]
        assert {key: annotations.pop(key) for key in KEEP if key in annotations} == (KEEP if keep else {})
        found[crd["metadata"]["name"]] = crd
    wanted = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / "crds").glob("*.yaml")]
    assert found == {crd["metadata"]["name"]: crd for crd in wanted}


def test_flux_does_not_substitute_in_crds() -> None:
    """Descriptions and patterns hold `$` and braces."""
    for crd in of_kind(tuple(parsed(rendered({"crds": {"enabled": True}}))), "CustomResourceDefinition"):
        assert crd["metadata"]["annotations"]["kustomize.toolkit.fluxcd.io/substitute"] == "disabled"


def test_crds_can_be_left_to_another_release() -> None:
    """Two releases must not fight for them."""
    assert of_kind(tuple(parsed(rendered({"crds": {"enabled": False}}))), "CustomResourceDefinition") == []
