"""Several namespaces, the whole cluster, and several Tocsins in one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest
from cluster_plane import Plane
from cluster_world import DISK, WEB, Operated, World, declared, until

Start = Callable[..., Operated]


@pytest.fixture
def other(world: World, plane: Plane) -> Iterator[World]:
    """A second namespace."""
    made = World(plane=plane, namespace=f"{world.namespace}-other")
    made.create()
    yield made
    made.delete()


def sharing(**namespaces: object) -> dict[str, object]:
    return {**WEB, "sharing": {"namespaces": namespaces}}


def test_namespaced_permissions_end_at_the_namespace(world: World, other: World, tocsin: Start) -> None:
    """The default: a Tocsin sees its own namespace only, and may see no more."""
    running = tocsin()
    world.apply(declared("Integration", "web", WEB))
    other.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web")
    time.sleep(1)
    assert other.get("integration", "web").get("status") is None
    account = f"system:serviceaccount:{world.namespace}:tocsin"
    assert "no" in other.kubectl(
        "auth", "can-i", "list", "integrations.tocsin.dev", f"--as={account}", check=False
    )
    assert running.metric("tocsin_operator_objects", kind="Integration", state="accepted") == 1


def test_the_whole_cluster_and_consent_by_namespace_labels(world: World, other: World, tocsin: Start) -> None:
    """A reference into another namespace needs that object's consent; labels of a Namespace count as they change."""
    running = tocsin(namespaced=False)
    selector = {"from": "Selector", "selector": {"matchLabels": {"team": "payments"}}}
    world.apply(declared("Integration", "web", sharing(**selector)))
    route = {**DISK, "parentRefs": [{"name": "web", "namespace": world.namespace}]}
    other.apply(declared("AlertRoute", "disk", route))
    world.wait_ready("integration/web")
    until(lambda: other.condition("alertroute", "disk", "ResolvedRefs") == ("False", "RefNotPermitted"))
    assert running.route_of("web", {"kind": "disk"}) == "default"
    other.kubectl("label", "namespace", other.namespace, "team=payments")
    other.wait_ready("alertroute/disk")
    assert running.route_of("web", {"kind": "disk"}) == f"{other.namespace}/disk"
    other.kubectl("label", "namespace", other.namespace, "team-")
    until(lambda: running.route_of("web", {"kind": "disk"}) == "default", seconds=10)
    other.apply(declared("Integration", "own", WEB))
    other.wait_ready("integration/own")


def test_two_classes_do_not_see_each_other(world: World, tocsin: Start) -> None:
    """Each has its own objects, its own Lease and its own statuses; an object changes hands with its label."""
    plain = tocsin()
    staging = tocsin(
        arguments=("--class", "staging", "--lease-namespace", world.namespace),
        kubeconfig=world.plane.kubeconfig,  # the chart's permissions name the Lease of one class
        wait=False,
    )
    ours = {"tocsin.dev/class": "staging"}
    world.apply(declared("Integration", "web", WEB), declared("Integration", "test", WEB, labels=ours))
    world.wait_ready("integration/web", "integration/test")
    until(staging.is_ready)
    assert plain.route_of("web", {}) == "default" and staging.route_of("test", {}) == "default"
    assert plain.metric("tocsin_operator_objects", kind="Integration", state="accepted") == 1
    world.kubectl("label", "integration", "web", "tocsin.dev/class=staging")
    until(lambda: staging.metric("tocsin_operator_objects", kind="Integration", state="accepted") == 2)
    assert {lease["metadata"]["name"] for lease in world.items("lease")} == {"tocsin", "tocsin-staging"}
