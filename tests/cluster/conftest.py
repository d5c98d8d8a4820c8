"""A real Kubernetes control plane for the cluster tests: one per session, one namespace per test, one worker for all.

The first run builds it from pinned Go modules (about five minutes); later runs start it from the cache in seconds.
"""

from __future__ import annotations

import importlib.util
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
BUILD_SECONDS = 1_500

# importlib import mode knows no packages in tests/: shared modules are loaded by path, once.
for _name in ("cluster_binaries", "cluster_plane", "cluster_world", "cluster_fleet", "cluster_pods"):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, HERE / f"{_name.removeprefix('cluster_')}.py")
        assert _spec is not None and _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)

from cluster_binaries import Missing, client_binaries, plane_binaries
from cluster_fleet import Fleet
from cluster_plane import Plane
from cluster_pods import Pods, Sink
from cluster_world import CHART, Operated, World

from tocsin.api.crds import load_crds


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With several workers one of them has the control plane and runs all of these tests."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("cluster"))
            item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


@pytest.fixture(scope="session")
def bare_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    """A control plane that knows nothing of Tocsin."""
    try:
        binaries, clients = plane_binaries(), client_binaries()
    except Missing as missing:
        pytest.fail(str(missing), pytrace=False)
    plane = Plane(binaries=binaries, clients=clients, folder=tmp_path_factory.mktemp("plane") / "p")
    try:
        yield plane.start()
    finally:
        plane.close()


@pytest.fixture(scope="session")
def plane(bare_plane: Plane) -> Plane:
    """A control plane with Tocsin's CRDs."""
    for crd in load_crds().values():
        bare_plane.kubectl("apply", "--server-side", "-f", "-", text=crd.text)
    for crd in load_crds().values():
        name = f"crd/{crd.plural}.{crd.group}"
        bare_plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", name)
    return bare_plane


_numbers = itertools.count(1)


@pytest.fixture
def world(plane: Plane, request: pytest.FixtureRequest) -> Iterator[World]:
    """A namespace of the test's own, and its people."""
    name = request.node.name.partition("[")[0].removeprefix("test_").replace("_", "-")[:40].strip("-")
    made = World(plane=plane, namespace=f"{name}-{next(_numbers)}")
    made.create()
    yield made
    made.delete()


@pytest.fixture
def tocsin(world: World, tmp_path: Path) -> Iterator[Callable[..., Operated]]:
    """Starts `tocsin run --kubernetes` on the test's namespace; all are ended with the test."""
    started: list[Operated] = []

    def start(**given: object) -> Operated:
        folder = tmp_path / f"tocsin-{len(started)}"
        instance = Operated(world=world, folder=folder, **given)  # type: ignore[arg-type]
        started.append(instance)
        return instance.start()

    yield start
    for instance in started:
        instance.close()


@pytest.fixture
def fleet(world: World, tmp_path: Path, postgresql_url: str) -> Iterator[Fleet]:
    """Starts roles by themselves on one PostgreSQL; all are ended with the test."""
    made = Fleet(world, tmp_path, postgresql_url)
    yield made
    for process in made.processes:
        process.close()


@pytest.fixture
def restricted(world: World) -> World:
    """A namespace that refuses every pod that does not keep to Pod Security `restricted`."""
    label = "pod-security.kubernetes.io/enforce=restricted"
    world.plane.kubectl("label", "namespace", world.namespace, label)
    return world


@pytest.fixture
def release(restricted: World) -> Iterator[Callable[..., World]]:
    """Installs or upgrades the release `tocsin` in the test's namespace; uninstalls what is left of it."""

    def install(*values: str, chart: Path = CHART) -> World:
        settings = [word for value in ("crds.enabled=false", *values) for word in ("--set", value)]
        restricted.plane.helm(
            "upgrade", "--install", "tocsin", str(chart), "-n", restricted.namespace, *settings
        )
        return restricted

    yield install
    restricted.plane.helm("uninstall", "tocsin", "-n", restricted.namespace, check=False)


@pytest.fixture
def installed(world: World, tmp_path: Path) -> Iterator[Callable[..., Pods]]:
    """`helm install` with these values, beside the CRDs that are there."""
    pods = Pods(world, tmp_path)

    def install(*values: str) -> Pods:
        settings = [word for value in ("crds.enabled=false", *values) for word in ("--set", value)]
        world.plane.helm("install", "tocsin", str(CHART), "-n", world.namespace, *settings)
        return pods

    yield install
    pods.close()
    world.plane.helm("uninstall", "tocsin", "-n", world.namespace, check=False)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        yield server
        server.shutdown()
