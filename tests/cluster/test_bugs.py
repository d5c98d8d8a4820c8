"""Bugs that operators like this one had (../shared/cases), and that this one must not have, on a real cluster."""

from __future__ import annotations

import time
from collections.abc import Callable

from cluster_world import DISK, WEB, Operated, World, condition_of, declared, request, until

Start = Callable[..., Operated]
IDLE_SECONDS = 15


def test_bug_065_the_operator_does_not_react_to_its_own_writes(world: World, tocsin: Start) -> None:
    """An idle object is never written; a thousand alerts are one write or two; every field of a status is kept."""
    running = tocsin()
    world.apply(
        declared("Integration", "web", {**WEB, "templates": {"groupingId": "one"}}),
        declared("AlertRoute", "disk", DISK),
    )
    world.wait_ready("integration/web", "alertroute/disk")
    url = running.url("web")
    time.sleep(1)  # the Secret's name may come with a second write
    before = len(world.plane.writes(world.namespace))
    versions = [
        world.get(*one)["metadata"]["resourceVersion"]
        for one in (("integration", "web"), ("alertroute", "disk"))
    ]
    published = running.metric("tocsin_operator_publications_total")
    time.sleep(IDLE_SECONDS)
    assert len(world.plane.writes(world.namespace)) == before
    assert [
        world.get(*one)["metadata"]["resourceVersion"]
        for one in (("integration", "web"), ("alertroute", "disk"))
    ] == versions

    for number in range(1_000):
        assert request("POST", url, {"number": number}).status == 200
    until(lambda: world.get("integration", "web")["status"].get("lastAlert"), "it says that alerts came")
    time.sleep(3)
    writes = world.plane.writes(world.namespace)[before:]
    assert 1 <= len(writes) <= 3, [entry["requestURI"] for entry in writes]
    assert {entry["responseStatus"]["code"] for entry in writes} == {200}
    assert running.metric("tocsin_operator_publications_total") == published
    assert world.plane.writes(world.namespace, "") == [
        entry for entry in world.plane.writes(world.namespace, "") if entry["user"]["username"] == "admin"
    ], "only people write what is not status"
    assert "unknown field" not in running.log and "inconsistenc" not in running.log


def test_bug_063_a_restarted_operator_changes_nothing(world: World, tocsin: Start) -> None:
    """Five open groups, two acknowledged, one maintenance running; kill -9: the same groups, states, URL and routes."""
    running = tocsin()
    window = {
        "mode": "Maintenance",
        "schedule": {"start": "2020-01-01T00:00", "duration": "24h", "recurrence": "FREQ=DAILY"},
        "integrationRefs": [{"name": "quiet"}],
    }
    world.apply(
        declared("Integration", "web", {"type": "formatted_webhook"}),
        declared("Integration", "quiet", WEB),
        declared("MaintenanceWindow", "now", window),
        declared("AlertRoute", "disk", {**DISK, "match": {"template": "{{ payload.title == 't0' }}"}}),
    )
    world.wait_ready("integration/web", "integration/quiet", "maintenancewindow/now", "alertroute/disk")
    url = running.url("web")

    def post(uid: int, **more: str) -> dict[str, str]:
        body = {"alert_uid": f"u{uid}", "title": f"t{uid}", "state": "alerting", **more}
        answer = request("POST", url, body)
        assert answer.status == 200, answer.body
        found: dict[str, str] = answer.json
        return found

    opened = [post(uid) for uid in range(5)]
    for one in opened[:2]:
        acted = f"{running.base}/api/v1/alert_groups/{one['alert_group_id']}/acknowledge"
        assert request("POST", acted, {}).status == 200
    request("POST", running.url("quiet"), {"title": "during work"})
    groups = f"{running.base}/api/v1/alert_groups?perpage=100"
    before = request("GET", groups).json["results"]
    secret = world.get("secret", "web-endpoint")["metadata"]["resourceVersion"]
    written = len(world.plane.writes(world.namespace))
    running.kill()
    running.start()
    assert request("GET", groups).json["results"] == before
    assert post(0, state="ok")["alert_group_id"] == opened[0]["alert_group_id"]
    again = post(1)
    assert (again["alert_group_id"], again["state"]) == (opened[1]["alert_group_id"], "acknowledged")
    assert post(2)["alert_group_id"] == opened[2]["alert_group_id"]
    until(lambda: running.metric("tocsin_operator_leader") == 1 and running.metric("tocsin_operator_up") == 1)
    assert world.get("secret", "web-endpoint")["metadata"]["resourceVersion"] == secret
    assert condition_of(world.get("maintenancewindow", "now"), "Ready") == ("True", "Ready")
    assert len(world.plane.writes(world.namespace)) - written <= 2, (
        "the time of the last alert, and nothing else"
    )


def test_templates_in_config_maps_are_live_when_they_change(world: World, tocsin: Start) -> None:
    """Labelled tocsin.dev/watch=true within seconds, without a change of the AlertTemplate; one that is missing is awaited."""
    running = tocsin()
    world.apply(
        declared(
            "AlertTemplate",
            "ids",
            {"templatesFrom": [{"slot": "groupingId", "configMapKeyRef": {"name": "texts", "key": "id"}}]},
        ),
        declared("Integration", "web", {**WEB, "templateRefs": [{"name": "ids"}]}),
    )
    until(lambda: world.condition("alerttemplate", "ids", "ResolvedRefs")[0] == "False")

    def put(template: str) -> None:
        world.apply(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": "texts", "labels": {"tocsin.dev/watch": "true"}},
                "data": {"id": template},
            }
        )

    put("{{ payload.a }}")
    world.wait_ready("alerttemplate/ids", "integration/web")

    def group(**payload: str) -> str:
        found: str = request("POST", running.url("web"), payload).json["alert_group_id"]
        return found

    assert group(a="1", b="1") == group(a="1", b="2") != group(a="2", b="1")
    put("{{ payload.b }}")
    until(lambda: group(a="3", b="x") == group(a="4", b="x"), "the new text is live", seconds=20)
    put("{{ payload. }}")
    until(lambda: world.condition("alerttemplate", "ids", "Ready")[0] == "False")
    message = next(
        c["message"]
        for c in world.get("alerttemplate", "ids")["status"]["conditions"]
        if c["type"] == "Ready"
    )
    assert "spec.templatesFrom[0]" in message
