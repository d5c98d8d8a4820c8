"""What happens when things fail: the receiver goes on, the operator recovers by itself and says what is wrong."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable

from cluster_fleet import Load, stored
from cluster_plane import Plane
from cluster_world import DISK, WEB, Operated, World, condition_of, declared, request, until

Start = Callable[..., Operated]


def transitions(world: World) -> list[tuple[str, str, str]]:
    conditions = world.get("alertroute", "disk")["status"]["conditions"]
    return [(c["type"], c["status"], c["lastTransitionTime"]) for c in conditions]


def test_the_api_server_is_killed_under_load(world: World, tocsin: Start) -> None:
    """No alert is lost or refused; what was deleted and applied around it is caught up with; statuses do not flap."""
    running = tocsin()
    world.apply(
        declared("Integration", "web", {**WEB, "templates": {"groupingId": "one"}}),
        declared("AlertRoute", "disk", DISK),
        declared("AlertRoute", "gone", {**DISK, "priority": 1}),
    )
    world.wait_ready("integration/web", "alertroute/disk", "alertroute/gone")
    turned = transitions(world)
    written = running.metric("tocsin_operator_writes_total", what="status", outcome="ok") or 0
    url = running.url("web")
    with Load(url) as load:
        time.sleep(1)
        world.plane.kill_apiserver()
        time.sleep(15)
        assert running.readiness().status == 200
        assert running.metric("tocsin_operator_leader") == 0
        world.plane.start_apiserver()
        until(
            lambda: (
                running.metric("tocsin_operator_leader") == 1 and running.metric("tocsin_operator_up") == 1
            )
        )
        world.kubectl("delete", "alertroute", "gone")
        world.apply(declared("AlertRoute", "late", {**DISK, "priority": 2}))
        world.wait_ready("alertroute/late")
        until(
            lambda: request("POST", url, {"kind": "disk"}).json["route"] == f"{world.namespace}/late",
            seconds=20,
        )
        time.sleep(1)
    assert load.refused == []
    assert stored(running) >= len(load.taken) > 100
    assert transitions(world) == turned
    # Routes moved up and down, the new one became ready, the Integration counts: a handful, and no storm.
    assert (running.metric("tocsin_operator_writes_total", what="status", outcome="ok") or 0) - written < 12


def test_a_deletion_during_a_410_takes_effect(world: World, tocsin: Start) -> None:
    """The watch has to begin anew on an API server that remembers nothing from before: kopf never hears of the deletion."""
    running = tocsin()
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.apply(declared("AlertRoute", "stays", {**DISK, "match": {"regex": "stays"}}))
    world.wait_ready("integration/web", "alertroute/disk", "alertroute/stays")
    assert running.process is not None
    running.process.send_signal(signal.SIGSTOP)
    try:
        world.plane.kill_apiserver()
        world.plane.start_apiserver()
        world.kubectl("delete", "alertroute", "disk")
        world.plane.kill_apiserver()
        world.plane.start_apiserver()
    finally:
        running.process.send_signal(signal.SIGCONT)
    url = running.url("web")
    until(lambda: request("POST", url, {"kind": "disk"}).json.get("route") == "default", seconds=40)
    world.apply(declared("AlertRoute", "again", DISK))
    world.wait_ready("alertroute/again")


def test_a_restart_with_the_api_server_away_receives_at_once(world: World, tocsin: Start) -> None:
    """The last flow is in the store: ready within seconds, without the cluster; its changes count once it is back."""
    running = tocsin()
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    url = running.url("web")
    running.kill()
    world.plane.kill_apiserver()
    try:
        running.start()
        assert request("POST", url, {"kind": "disk"}).json["route"] == f"{world.namespace}/disk"
        until(lambda: running.metric("tocsin_operator_problem", reason="Unreachable"))
        assert running.metric("tocsin_operator_up") == 0
    finally:
        world.plane.start_apiserver()
    world.kubectl("delete", "alertroute", "disk")
    until(lambda: request("POST", url, {"kind": "disk"}).json["route"] == "default")


def test_kill_and_restart_write_nothing_that_was_said(world: World, tocsin: Start) -> None:
    """kill -9 at any moment; afterwards every status is as it was, to the byte."""
    running = tocsin()
    world.apply(
        declared("Integration", "web", WEB), *(declared("AlertRoute", f"r{at}", DISK) for at in range(20))
    )
    world.wait_ready("integration/web", *(f"alertroute/r{at}" for at in range(20)))
    before = {r["metadata"]["name"]: r["metadata"]["resourceVersion"] for r in world.items("alertroute")}
    for _ in range(3):
        running.kill()
        running.start()
        until(
            lambda: (
                running.metric("tocsin_operator_leader") == 1 and running.metric("tocsin_operator_up") == 1
            )
        )
    time.sleep(3)
    assert {
        r["metadata"]["name"]: r["metadata"]["resourceVersion"] for r in world.items("alertroute")
    } == before
    assert not running.metric("tocsin_operator_writes_total", what="status", outcome="ok")


def test_permissions_that_are_missing_are_named_and_awaited(world: World, tocsin: Start) -> None:
    """Readiness says what is not granted; once it is, everything goes on by itself."""
    world.apply(declared("Integration", "web", WEB))
    kubeconfig = world.grant()
    world.kubectl("delete", "rolebinding", "--all")
    running = tocsin(kubeconfig=kubeconfig, wait=False)
    said = until(
        lambda: (found := running.readiness()).status == 503 and b"may not list" in found.body and found.body
    )
    assert b"may not list" in said and world.namespace.encode() in said
    until(lambda: running.metric("tocsin_operator_problem", reason="Forbidden"))
    world.grant()
    until(lambda: running.readiness().status == 200)
    world.wait_ready("integration/web")


def test_crds_that_are_missing_are_named_and_awaited(bare_plane: Plane, world: World, tocsin: Start) -> None:
    """Tocsin may be installed before its CRDs, and outlives their removal."""
    crds = "alertroutes.tocsin.dev"
    text = bare_plane.kubectl("get", "crd", crds, "-o", "json")
    world.apply(declared("Integration", "web", WEB))
    bare_plane.kubectl("delete", "crd", crds, "--wait=true")
    try:
        running = tocsin(wait=False)
        said = until(
            lambda: (
                (found := running.readiness()).status == 503 and b"not installed" in found.body and found.body
            )
        )
        assert crds.encode() in said
        assert running.metric("tocsin_operator_problem", reason="CrdMissing")
    finally:
        bare_plane.kubectl("create", "-f", "-", text=text)
    until(lambda: running.readiness().status == 200)
    world.wait_ready("integration/web")
    world.apply(declared("AlertRoute", "disk", DISK))
    world.wait_ready("alertroute/disk", seconds=90)


def test_a_hundred_bad_objects_harm_nobody(world: World, tocsin: Start) -> None:
    """Among twenty good ones: each bad one says which field, each good one is ready, and no alert of theirs is disturbed."""
    chance = random.Random(4)
    running = tocsin()
    good = [
        declared("AlertRoute", f"good-{at}", {**DISK, "match": {"template": f"{{{{ payload.n == {at} }}}}"}})
        for at in range(20)
    ]
    world.apply(declared("Integration", "web", WEB), *good)
    world.wait_ready("integration/web", *(f"alertroute/good-{at}" for at in range(20)))
    mistakes = (
        {"match": {"template": "{{ payload."}},
        {"match": {"template": "{% if %}"}},
        {"match": {"regex": "(unclosed"}},
        {"match": {"labels": [{"key": "a", "operator": "=~", "value": "["}]}},
        {"parentRefs": [{"name": "nowhere"}]},
        {"parentRefs": [{"name": "web", "namespace": "elsewhere"}]},
        {"match": {"template": "{{ payload.n | no_such_filter }}"}},
    )
    url = running.url("web")
    with Load(url, senders=2) as load:
        bad = [
            declared(
                "AlertRoute",
                f"bad-{at}",
                {**DISK, **chance.choice(mistakes), "priority": chance.randrange(2000)},
            )
            for at in range(100)
        ]
        world.apply(*bad)
        until(
            lambda: all(
                condition_of(made, "Ready")[0] == "False"
                for made in world.items("alertroute")
                if made["metadata"]["name"].startswith("bad-")
            ),
            "every bad object says so",
        )
        for at in range(20):
            assert request("POST", url, {"n": at}).json["route"] == f"{world.namespace}/good-{at}"
    assert load.refused == []
    for made in world.items("alertroute"):
        ready, _ = condition_of(made, "Ready")
        if made["metadata"]["name"].startswith("good-"):
            assert ready == "True"
        else:
            errors = [f for f in made["status"]["findings"] if f.get("severity", "Error") == "Error"]
            assert errors and all(f["field"].startswith("spec.") for f in errors)
