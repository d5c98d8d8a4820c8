"""The control plane itself."""

from __future__ import annotations

from cluster_plane import Plane
from cluster_world import World


def test_the_plane_is_a_real_one(plane: Plane) -> None:
    """Its version is the pinned one, and all CRDs are there."""
    assert "v1.37" in plane.kubectl("version")
    assert plane.kubectl("api-resources", "--api-group=tocsin.dev", "-o", "name").split() == [
        "alertroutes.tocsin.dev",
        "alerttemplates.tocsin.dev",
        "integrations.tocsin.dev",
        "labelrules.tocsin.dev",
        "maintenancewindows.tocsin.dev",
    ]


def test_a_namespace_comes_with_its_service_account(world: World) -> None:
    """The controllers run."""
    assert world.grant().exists()
