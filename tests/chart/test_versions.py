"""Package, chart and image have one version."""

from __future__ import annotations

import yaml
from charting import CHART, ROOT, case, pods

from tocsin import __version__


def test_the_chart_has_the_version_of_the_package() -> None:
    """Both of the chart's versions are the package's."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)


def test_the_image_has_the_version_of_the_package() -> None:
    """Unless another tag is asked for."""
    images = {
        container["image"] for _, pod in pods(case("one-pod-default")) for container in pod["containers"]
    }
    assert images == {f"ghcr.io/tocsin-dev/tocsin:{__version__}"}


def test_the_changelog_has_an_entry_for_it() -> None:
    """Whoever upgrades finds what changed."""
    assert f"## {__version__} " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
