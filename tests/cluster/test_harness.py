"""The control plane itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from cluster_binaries import Missing, plane_binaries
from cluster_plane import Plane
from cluster_world import World

from tocsin.api.crds import load_crds


def test_the_plane_is_a_real_one(plane: Plane) -> None:
    """Its version is the pinned one, and all CRDs are there."""
    assert "v1.37" in plane.kubectl("version")
    found = plane.kubectl("api-resources", "--api-group=tocsin.dev", "-o", "name").split()
    assert found == sorted(f"{crd.plural}.{crd.group}" for crd in load_crds().values())


def test_a_namespace_comes_with_its_service_account(world: World) -> None:
    """The controllers run."""
    assert world.grant().exists()


def test_without_go_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In one line, and at once."""
    monkeypatch.setenv("TOCSIN_TEST_CACHE", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Missing) as missing:
        plane_binaries()
    assert "install Go" in str(missing.value) and "\n" not in str(missing.value)
