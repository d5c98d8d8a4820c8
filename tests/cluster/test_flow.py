"""From kubectl apply to alerts that behave anew, and what the object says meanwhile."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from cluster_world import DISK, WEB, Operated, World, condition_of, declared, request, until

Start = Callable[..., Operated]


def test_applied_objects_route_alerts(world: World, tocsin: Start) -> None:
    """Applied in the wrong order, ready all the same; the alert takes the route; the Secret is the Integration's."""
    running = tocsin()
    world.apply(declared("AlertRoute", "disk", DISK))
    until(lambda: world.condition("alertroute", "disk", "ResolvedRefs") == ("False", "RefNotFound"))
    world.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web", "alertroute/disk")
    assert running.route_of("web", {"kind": "disk"}) == f"{world.namespace}/disk"
    assert running.route_of("web", {"kind": "cpu"}) == "default"
    made, secret = world.get("integration", "web"), world.get("secret", "web-endpoint")
    assert secret["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert set(secret["data"]) == {"token", "url"}
    assert made["status"]["endpointSecret"] == "web-endpoint"
    assert "<token>" in made["status"]["path"]


def test_ready_is_never_true_of_what_is_not_live(world: World, tocsin: Start) -> None:
    """Fifteen edits: each time `kubectl wait` returns the very next alert is routed by the new text."""
    running = tocsin()
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    url = running.url("web")
    for at in range(15):
        match = {"template": f"{{{{ payload.round == {at} }}}}"}
        world.apply(declared("AlertRoute", "disk", {**DISK, "match": match}))
        world.wait_ready("alertroute/disk")
        for payload, route in (({"round": at}, "disk"), ({"round": at - 1}, "")):
            answer = request("POST", url, payload)
            assert answer.json["route"] == (f"{world.namespace}/{route}" if route else "default"), at


def test_observed_generations_never_run_ahead_of_the_flow(world: World, tocsin: Start) -> None:
    """Every version of the status that a watch sees is honest: Programmed=True only with a loaded generation."""
    tocsin()
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("alertroute/disk")
    before = world.get("alertroute", "disk")
    world.apply(declared("AlertRoute", "disk", {**DISK, "priority": 5}))
    after = world.get("alertroute", "disk")
    if after["status"]["observedGeneration"] == before["metadata"]["generation"]:
        assert all(c["observedGeneration"] == 1 for c in after["status"]["conditions"])
    done = until(
        lambda: (
            (made := world.get("alertroute", "disk")) and condition_of(made, "Ready")[0] == "True" and made
        )
    )
    assert {c["observedGeneration"] for c in done["status"]["conditions"]} == {2}
    turned = {c["type"]: c["lastTransitionTime"] for c in before["status"]["conditions"]}
    assert {c["type"]: c["lastTransitionTime"] for c in done["status"]["conditions"]} == turned


def test_a_deleted_route_matches_no_more(world: World, tocsin: Start) -> None:
    """Within a second or two."""
    running = tocsin()
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("alertroute/disk")
    world.kubectl("delete", "alertroute", "disk")
    until(lambda: running.route_of("web", {"kind": "disk"}) == "default", seconds=10)


def test_a_deleted_integration_keeps_what_arrives_and_a_recreated_one_its_url(
    world: World, tocsin: Start
) -> None:
    """A bad prune loses nothing: dead letters meanwhile, the same URL afterwards. Nothing waits for a finalizer."""
    running = tocsin()
    world.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web")
    url = running.url("web")
    assert "finalizers" not in world.get("integration", "web")["metadata"]
    world.kubectl("delete", "integration", "web", "--timeout=10s")
    until(lambda: b"dead_letter" in request("POST", url, {"a": 1}).body, seconds=10)
    world.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web")
    until(lambda: request("POST", url, {"a": 2}).json.get("route") == "default", seconds=10)
    assert until(lambda: world.get("secret", "web-endpoint")) and running.url("web") == url


def test_columns_say_what_people_look_for(world: World, tocsin: Start) -> None:
    """`kubectl get` of each kind."""
    tocsin()
    window = {
        "mode": "Maintenance",
        "schedule": {"start": "2020-01-05T02:00", "duration": "2h", "recurrence": "FREQ=DAILY"},
        "integrationRefs": [{"name": "web"}],
    }
    world.apply(
        declared("Integration", "web", WEB),
        declared("AlertRoute", "disk", DISK),
        declared("AlertTemplate", "titles", {"templates": {"groupingId": "{{ payload.id }}"}}),
        declared(
            "LabelRule",
            "team",
            {"integrationRefs": [{"name": "web"}], "static": [{"key": "team", "value": "x"}]},
        ),
        declared("MaintenanceWindow", "weekly", window),
    )
    world.wait_ready(
        *(
            "integration/web",
            "alertroute/disk",
            "alerttemplate/titles",
            "labelrule/team",
            "maintenancewindow/weekly",
        )
    )

    def columns(kind: str, *more: str) -> dict[str, str]:
        head, row, *_ = world.kubectl("get", kind, *more).splitlines()
        starts = [head.index(name) for name in head.split()]
        ends = [*starts[1:], None]
        return {head[a:b].strip(): row[a:b].strip() for a, b in zip(starts, ends, strict=True)}

    integration = columns("integration")
    assert (
        integration["TYPE"] == "webhook"
        and integration["READY"] == "True"
        and integration["REASON"] == "Ready"
    )
    assert integration["ROUTES"] == "1" and "LAST-ALERT" in integration and "AGE" in integration
    route = columns("alertroute")
    assert route["INTEGRATION"] == "web" and route["PRIORITY"] == "1000" and route["READY"] == "True"
    window_columns = columns("maintenancewindow")
    assert window_columns["MODE"] == "Maintenance" and window_columns["READY"] == "True"
    assert window_columns["ACTIVE"] in {"true", "false"} and window_columns["NEXT-START"].endswith(
        "T02:00:00Z"
    )
    assert columns("alerttemplate")["USED-BY"] == "0"
    assert columns("labelrule")["INTEGRATIONS"] == "1"
    assert "integration.tocsin.dev/web" in world.kubectl("get", "tocsin", "-o", "name")


def test_events_tell_of_transitions_once(world: World, tocsin: Start) -> None:
    """A bad edit warns, a good one says that it is live, and describe shows both."""
    tocsin()
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("alertroute/disk")
    broken = {**DISK, "match": {"template": "{{ payload."}}
    world.apply(declared("AlertRoute", "disk", broken))
    until(lambda: world.condition("alertroute", "disk", "PartiallyInvalid")[0] == "True")

    def told() -> list[tuple[str, str]]:
        found = json.loads(world.kubectl("get", "events", "-o", "json"))["items"]
        return sorted((e["type"], e["reason"]) for e in found if e["involvedObject"].get("name") == "disk")

    expected = [("Normal", "Programmed"), ("Warning", "InvalidConfiguration")]
    until(lambda: told() == expected, seconds=10)
    time.sleep(1)
    assert told() == expected
    assert "spec.match.template" in world.kubectl("describe", "alertroute", "disk")


def test_nobody_but_people_writes_outside_of_status(world: World, tocsin: Start) -> None:
    """No annotation, no finalizer, no field of a spec: what was applied is what is there."""
    tocsin()
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    for kind in ("integration", "alertroute"):
        (made,) = json.loads(world.kubectl("get", kind, "-o", "json", "--show-managed-fields"))["items"]
        assert set(made["metadata"]["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}
        ours = [f for f in made["metadata"]["managedFields"] if not f["manager"].startswith("kubectl")]
        assert [(f["manager"], f["operation"], f.get("subresource")) for f in ours] == [
            ("tocsin", "Apply", "status")
        ]
        assert made["metadata"]["generation"] == 1
