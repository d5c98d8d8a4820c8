"""Each role by itself on PostgreSQL: leaders change, receivers come and go, and Programmed tells the truth throughout."""

from __future__ import annotations

import base64
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster_world import DISK, WEB, Operated, World, condition_of, declared, request, until

KEY = base64.b64encode(secrets.token_bytes(32)).decode()


class Fleet:
    """Processes of one installation: one database, one set of keys, one namespace."""

    def __init__(self, world: World, folder: Path, database: str) -> None:
        self.world = world
        self._folder = folder
        self._database = database
        self._kubeconfig = world.grant()
        self.processes: list[Operated] = []

    def start(self, role: str, *, wait: bool = True) -> Operated:
        # Only the operator may know of the cluster at all.
        kubeconfig = self._kubeconfig if role == "operator" else Path(os.devnull)
        listens = {"receiver": "--listen", "console": "--console-listen"}.get(role, "--health-listen")
        made = Operated(
            world=self.world,
            folder=self._folder / f"{role}-{len(self.processes)}",
            command=(role,),
            listens=listens,
            kubeconfig=kubeconfig,
            database=self._database,
            wait=wait,
            environment={"TOCSIN_SECRET_KEY": KEY},
        )
        self.processes.append(made)
        return made.start()

    def leader(self) -> Operated:
        """The operator that leads, once one does."""
        found: list[Operated] = until(
            lambda: [
                p
                for p in self.processes
                if p.command == ("operator",)
                and p.process is not None
                and p.process.poll() is None
                and p.metric("tocsin_operator_leader") == 1
            ]
        )
        assert len(found) == 1
        return found[0]


@pytest.fixture
def fleet(world: World, tmp_path: Path, postgresql_url: str) -> Iterator[Fleet]:
    made = Fleet(world, tmp_path, postgresql_url)
    yield made
    for process in made.processes:
        process.close()


def test_the_flow_reaches_every_receiver_and_leaders_change(fleet: Fleet, world: World) -> None:
    """Two operators, two receivers, a dispatcher, a console: an edit is ready when both receivers have it, whoever leads."""
    fleet.start("operator")
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    until(lambda: world.condition("alertroute", "disk", "Programmed") == ("False", "NoReceivers"))
    receivers = [fleet.start("receiver"), fleet.start("receiver")]
    fleet.start("dispatcher")
    console = fleet.start("console")
    fleet.start("operator")
    world.wait_ready("integration/web", "alertroute/disk")
    for receiver in receivers:
        assert receiver.route_of("web", {"kind": "disk"}) == f"{world.namespace}/disk"
    status = request("GET", f"{console.base}/api/v1/status")
    assert status.status == 200, status.body

    first = fleet.leader()
    first.kill()
    world.apply(
        declared("AlertRoute", "disk", {**DISK, "match": {"template": "{{ payload.kind == 'tape' }}"}})
    )
    world.wait_ready("alertroute/disk")
    assert fleet.leader() is not first
    for receiver in receivers:
        assert receiver.route_of("web", {"kind": "tape"}) == f"{world.namespace}/disk"
        assert receiver.route_of("web", {"kind": "disk"}) == "default"

    second = fleet.leader()
    fleet.start("operator")
    assert second.stop() == 0
    world.apply(declared("AlertRoute", "disk", DISK))
    world.wait_ready("alertroute/disk", seconds=12)  # a planned end leaves the Lease at once


def test_ready_waits_for_the_slowest_receiver_and_scaling_rewrites_nothing(
    fleet: Fleet, world: World
) -> None:
    """A receiver that hangs holds Programmed back while it counts, and is named; others come and go without a trace."""
    fleet.start("operator")
    receivers = [fleet.start("receiver"), fleet.start("receiver")]
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    watching = world.plane.start_kubectl(
        "-n", world.namespace, "get", "alertroute", "disk", "-w", "-o", "json"
    )
    hung = receivers[1]
    assert hung.process is not None
    hung.process.send_signal(signal.SIGSTOP)
    world.apply(declared("AlertRoute", "disk", {**DISK, "priority": 5}))
    # It counts as live for ten seconds more; after that nobody waits for it, and a watch has seen what was said.
    world.wait_ready("alertroute/disk")
    hung.process.send_signal(signal.SIGCONT)
    watching.terminate()
    said, _ = watching.communicate(timeout=20)
    assert "not all running receivers have loaded this generation yet: waiting for receiver-" in said

    version = world.get("alertroute", "disk")["metadata"]["resourceVersion"]
    hung.kill()
    fleet.start("receiver")
    receivers[0].stop()
    assert world.get("alertroute", "disk")["metadata"]["resourceVersion"] == version
    assert condition_of(world.get("alertroute", "disk"), "Programmed")[0] == "True"


def test_receivers_outlive_the_operators(fleet: Fleet, world: World) -> None:
    """Without any operator alerts are received, also by receivers that start meanwhile."""
    operator = fleet.start("operator")
    receiver = fleet.start("receiver")
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    operator.kill()
    late = fleet.start("receiver")
    for process in (receiver, late):
        assert process.route_of("web", {"kind": "disk"}) == f"{world.namespace}/disk"
