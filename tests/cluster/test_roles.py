"""Each role by itself on PostgreSQL: leaders change, receivers come and go, and Programmed tells the truth throughout."""

from __future__ import annotations

import threading
import time
from typing import Self

import psycopg
from cluster_fleet import Fleet
from cluster_world import DISK, WEB, World, condition_of, declared, request, until


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


class Laggard:
    """A receiver that renews its registration and never loads anything new, until it is told to."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew)
        self.revision = 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(30)

    def _renew(self) -> None:
        with psycopg.connect(self._database, autocommit=True) as connection:
            while not self._done.wait(0.2):
                now = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
                connection.execute(
                    f"INSERT INTO replica VALUES ('receiver-slow', 'receiver', '0', %s, {now}, {now}) "
                    f"ON CONFLICT (id) DO UPDATE SET revision = excluded.revision, renewed_at = {now}",
                    (self.revision,),
                )
            connection.execute("DELETE FROM replica WHERE id = 'receiver-slow'")


def message_of(world: World) -> str:
    conditions = world.get("alertroute", "disk")["status"]["conditions"]
    return next(c["message"] for c in conditions if c["type"] == "Programmed")


def test_ready_waits_for_the_slowest_receiver(fleet: Fleet, world: World, postgresql_url: str) -> None:
    """One that lives and has not loaded the generation holds it back, and is named once that lasts."""
    fleet.start("operator")
    fleet.start("receiver")
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    with Laggard(postgresql_url) as slow:
        world.apply(declared("AlertRoute", "disk", {**DISK, "priority": 5}))
        until(lambda: world.condition("alertroute", "disk", "Programmed") == ("False", "Pending"))
        until(lambda: "waiting for receiver-slow;" in message_of(world))
        slow.revision = 1_000_000
        world.wait_ready("alertroute/disk")


def test_scaling_rewrites_nothing(fleet: Fleet, world: World) -> None:
    """Receivers that die, start and stop leave every status as it is."""
    fleet.start("operator")
    receivers = [fleet.start("receiver"), fleet.start("receiver")]
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    version = world.get("alertroute", "disk")["metadata"]["resourceVersion"]
    receivers[0].kill()
    fleet.start("receiver")
    receivers[1].stop()
    time.sleep(2)
    made = world.get("alertroute", "disk")
    assert made["metadata"]["resourceVersion"] == version
    assert condition_of(made, "Programmed") == ("True", "Programmed")


def test_the_last_receiver_leaves(fleet: Fleet, world: World) -> None:
    """Then nothing is claimed any more, and is again once one is back."""
    fleet.start("operator")
    receiver = fleet.start("receiver")
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    receiver.stop()
    until(lambda: world.condition("alertroute", "disk", "Programmed") == ("False", "NoReceivers"))
    until(lambda: world.condition("integration", "web") == ("False", "NoReceivers"))
    fleet.start("receiver")
    world.wait_ready("integration/web", "alertroute/disk")


def test_every_receiver_is_replaced_under_load(fleet: Fleet, world: World) -> None:
    """One after another, each by a new one before it ends, one of them killed: what was answered 2xx is there, once."""
    fleet.start("operator")
    fleet.start("dispatcher")
    serving = [fleet.start("receiver") for _ in range(3)]
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    path = serving[0].url("web").removeprefix(serving[0].base)
    taken: list[str] = []
    refused: list[bytes] = []
    unanswered: list[int] = []
    done = threading.Event()

    def send(worker: int) -> None:
        number = 0
        while not done.is_set():
            number += 1
            target = serving[number % len(serving)]
            answer = request("POST", target.base + path, {"kind": "disk", "n": f"{worker}-{number}"})
            if answer.status == 200:
                taken.append(answer.json["alert_id"])
            elif answer.status:
                refused.append(answer.body)
            else:
                unanswered.append(number)  # the sender repeats it, which may store it twice

    workers = [threading.Thread(target=send, args=(worker,)) for worker in range(3)]
    for worker in workers:
        worker.start()
    try:
        for place, replaced in enumerate(tuple(serving)):
            serving[place] = fleet.start("receiver")
            count = len(taken)
            until(lambda count=count: len(taken) > count + 20)
            if place == 1:
                replaced.kill()
            else:
                assert replaced.stop() == 0
        count = len(taken)
        until(lambda: len(taken) > count + 20)
    finally:
        done.set()
        for worker in workers:
            worker.join(60)
    console = fleet.start("console")
    for alert in taken:
        assert request("GET", f"{console.base}/api/v1/alerts/{alert}").status == 200
    assert len(taken) == len(set(taken))
    assert not refused, refused[:3]
    assert len(unanswered) <= len(workers), "only the one that was killed leaves requests without an answer"
    made = world.get("alertroute", "disk")
    assert condition_of(made, "Programmed") == ("True", "Programmed")


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
