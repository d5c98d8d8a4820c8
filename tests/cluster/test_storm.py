"""A minute in which everything around the receivers fails, once each, under load."""

from __future__ import annotations

import signal
import time
from typing import Any

from cluster_fleet import Fleet, Load, stored
from cluster_world import DISK, WEB, World, condition_of, declared, request, until

ROUTES = 20
LAST = "r9"
"""The one that is tried last: without it no other one's place changes."""
SECONDS = 60


def turned(world: World) -> dict[str, list[tuple[str, str, str]]]:
    """When each condition of each object last turned."""
    return {
        made["metadata"]["name"]: [
            (c["type"], c["status"], c["lastTransitionTime"]) for c in made["status"]["conditions"]
        ]
        for made in world.items("alertroutes") + world.items("integrations")
    }


def noted(world: World) -> list[dict[str, Any]]:
    """Writes of statuses, as the API server has noted them."""
    return world.plane.writes(world.namespace)


def route(number: int, **more: Any) -> dict[str, Any]:
    match = {"template": f"{{{{ payload.kind == 'k{number}' }}}}"}
    return declared("AlertRoute", f"r{number}", {**DISK, "match": match, **more})


def test_a_minute_of_failures_loses_nothing(fleet: Fleet, world: World) -> None:
    """The leader is killed, the API server restarted, a watch expires with a deletion in it: no alert is lost or refused,
    no stale route stays, no status flaps, and the API server has noted no storm of writes.
    """
    fleet.start("operator")
    fleet.start("operator")
    receivers = [fleet.start("receiver"), fleet.start("receiver")]
    fleet.start("dispatcher")
    world.apply(
        declared("Integration", "web", {**WEB, "templates": {"groupingId": "{{ payload.kind or 'one' }}"}})
    )
    world.apply(*(route(number) for number in range(ROUTES)))
    world.wait_ready("integration/web", *(f"alertroute/r{number}" for number in range(ROUTES)))
    time.sleep(1)
    before, written = turned(world), len(noted(world))
    paths = [receiver.url("web") for receiver in receivers]
    began = time.monotonic()
    with Load(paths[0], senders=2) as one, Load(paths[1], senders=2) as two:
        fleet.leader().kill()
        time.sleep(5)
        world.plane.kill_apiserver()
        time.sleep(5)
        world.plane.start_apiserver()
        time.sleep(5)
        leader = fleet.leader()
        assert leader.process is not None
        leader.process.send_signal(signal.SIGSTOP)
        try:  # what happens meanwhile no watch tells: the API server that comes back knows nothing older
            world.plane.kill_apiserver()
            world.plane.start_apiserver()
            world.kubectl("delete", "alertroute", LAST)
            world.plane.kill_apiserver()
            world.plane.start_apiserver()
        finally:
            leader.process.send_signal(signal.SIGCONT)
        fleet.start("operator")
        for path in paths:
            until(
                lambda path=path: (
                    request("POST", path, {"kind": LAST.replace("r", "k")}).json["route"] == "default"
                )
            )
            assert request("POST", path, {"kind": "k1"}).json["route"] == f"{world.namespace}/r1"
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))
    assert (one.refused, two.refused) == ([], [])
    taken = len(one.taken) + len(two.taken)
    console = fleet.start("console")
    assert stored(console) >= taken > 500

    after = turned(world)
    before.pop(LAST)
    assert after == before, [entry["requestObject"]["status"] for entry in noted(world)[written:]]
    # The Integration tells of its last alert once a minute and of one route less; routes say nothing new.
    writes = noted(world)[written:]
    assert len(writes) <= 6, [entry["requestURI"] for entry in writes]

    world.apply(route(1, priority=3))
    world.wait_ready("alertroute/r1")
    assert condition_of(world.get("alertroute", "r1"), "Programmed") == ("True", "Programmed")
