"""Cases from public bug reports that concern declared objects: one bad object, references, deletion, restarts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tocsin_process import Tocsin, request

PAYLOADS = Path(__file__).parents[1] / "payloads"


def integration(
    name: str, namespace: str = "default", spec: str = "{type: webhook}", labels: str = "{}"
) -> str:
    return f"---\napiVersion: tocsin.dev/v1alpha1\nkind: Integration\nmetadata: {{name: {name}, namespace: {namespace}, labels: {labels}}}\nspec: {spec}\n"


def route(name: str, parent: str, template: str, namespace: str = "default") -> str:
    head = f"---\napiVersion: tocsin.dev/v1alpha1\nkind: AlertRoute\nmetadata: {{name: {name}, namespace: {namespace}}}\n"
    return f"{head}spec:\n  parentRefs: [{parent}]\n  match: {{template: '{template}'}}\n"


def lint(folder: Path) -> tuple[int, list[dict[str, Any]]]:
    done = subprocess.run(
        [sys.executable, "-m", "tocsin", "lint", str(folder), "-o", "json"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


def post(instance: Tocsin, name: str, body: Any) -> Any:
    answer = request("POST", instance.endpoints()[name]["url"], body)
    assert answer.status == 200, (answer.status, answer.body)
    return answer.json


def test_bug_054_one_bad_object_harms_only_itself(tocsin: Callable[..., Tocsin]) -> None:
    """A template that cannot be parsed in namespace b: alerts of a and b flow on, and a change in a is live at once."""
    good = integration("web", "a") + route("all", "{name: web}", '{{ payload.kind == "x" }}', "a")
    bad = integration("web", "b") + route("broken", "{name: web}", "{{ unclosed", "b")
    instance = tocsin({"a.yaml": good, "b.yaml": bad})
    assert post(instance, "a/web", {"kind": "x"})["route"] == "a/all"
    assert post(instance, "b/web", {"kind": "x"})["route"] == "default"
    (instance.folder / "a.yaml").write_text(good.replace('== "x"', '== "y"'))
    instance.eventually(
        lambda: post(instance, "a/web", {"kind": "y"})["route"] == "a/all",
        seconds=10,
        what="the change in a is live",
    )
    _, findings = lint(instance.folder)
    broken = next(one for one in findings if one["name"] == "broken")
    assert (broken["field"], broken["line"] is not None) == ("spec.match.template", True)


def test_bug_054_a_file_that_no_longer_parses_keeps_its_last_good_version(
    tocsin: Callable[..., Tocsin],
) -> None:
    """The flow goes on with what the file said last, says so, also after a restart; mending it is live again."""
    instance = tocsin({"a.yaml": integration("web"), "b.yaml": integration("other")})
    assert set(instance.endpoints()) == {"default/web", "default/other"}
    (instance.folder / "a.yaml").write_text("kind: [unclosed\n")
    instance.eventually(lambda: "last good version" in instance.log, what="the log says so")
    assert post(instance, "default/web", {"title": "still here"})["state"] == "firing"
    instance.stop()
    instance.start()
    assert post(instance, "default/web", {"title": "after restart"})["state"] == "firing"
    (instance.folder / "a.yaml").write_text(integration("web") + integration("third"))
    instance.eventually(
        lambda: "default/third" in instance.endpoints(), seconds=10, what="the mended file is live"
    )


def test_bug_056_references_across_namespaces_need_consent(tocsin: Callable[..., Tocsin]) -> None:
    """Without consent the route is refused in words and has no effect; with `sharing` it works. No hidden matcher."""
    target = integration("shared", "monitoring", "{type: webhook}")
    foreign = route("team", "{name: shared, namespace: monitoring}", "true", "team-a")
    instance = tocsin({"m.yaml": target, "t.yaml": foreign})
    assert post(instance, "monitoring/shared", {"title": "x"})["route"] == "default"
    code, findings = lint(instance.folder)
    assert any(
        one["reason"] == "RefNotPermitted" and one["field"].startswith("spec.parentRefs[0]")
        for one in findings
    )
    assert code == 1
    (instance.folder / "m.yaml").write_text(
        integration("shared", "monitoring", "{type: webhook, sharing: {namespaces: {from: All}}}")
    )
    instance.eventually(
        lambda: post(instance, "monitoring/shared", {"title": "y"})["route"] == "team-a/team",
        seconds=10,
        what="consent is live",
    )


def test_bug_056_a_selector_of_everything_ends_at_its_namespace(tocsin: Callable[..., Tocsin]) -> None:
    """A window that selects all, in another namespace, covers nothing here, and says that it matches nothing."""
    window = """---
apiVersion: tocsin.dev/v1alpha1
kind: MaintenanceWindow
metadata: {name: all, namespace: team-b}
spec:
  mode: Maintenance
  schedule: {start: '2020-01-01T00:00', duration: 24h, recurrence: 'FREQ=DAILY'}
  integrationSelector: {}
"""
    instance = tocsin({"m.yaml": integration("shared", "monitoring", "{type: webhook}") + window})
    post(instance, "monitoring/shared", {"title": "x"})
    (group,) = instance.groups()
    assert not group["suppressed"]
    _, findings = lint(instance.folder)
    assert [one["reason"] for one in findings if one["name"] == "all"] == ["SelectorMatchesNothing"]


def test_bug_058_the_trace_says_why_an_alert_took_the_default_route(tocsin: Callable[..., Tocsin]) -> None:
    spec = integration("am", spec="{type: alertmanager}") + route(
        "http", "{name: am}", '{{ payload.commonLabels.alertname == "HttpServiceUnavailable" }}'
    )
    instance = tocsin({"flow.yaml": spec})
    firing = json.loads((PAYLOADS / "alertmanager/firing.json").read_bytes())
    hit = firing | {"commonLabels": {"alertname": "HttpServiceUnavailable"}, "groupKey": "1"}
    two_names = firing | {"commonLabels": {"severity": "critical"}, "groupKey": "2"}
    single = json.loads((PAYLOADS / "alertmanager/one_alert_unwrapped_legacy.json").read_bytes())
    answers = [post(instance, "default/am", body) for body in (hit, two_names, single)]
    assert [one["route"] for one in answers] == ["default/http", "default", "default"]
    for missed in answers[1:]:
        trace = instance.get(f"/api/v1/alerts/{missed['alert_id']}/trace")
        assert "default/http" in json.dumps(trace)


def test_bug_061_a_deleted_integration_is_quiet_and_recreating_it_continues(
    tocsin: Callable[..., Tocsin],
) -> None:
    """After deletion: alerts go to the dead letters for the grace period, no heartbeat alarm; recreated: same URL."""
    beat = integration("beat", spec="{type: webhook, heartbeat: {interval: 30s}}")
    instance = tocsin({"beat.yaml": beat, "other.yaml": integration("other")})
    endpoint = instance.endpoints()["default/beat"]
    assert request("POST", endpoint["heartbeat_url"], {}).status == 200
    (instance.folder / "beat.yaml").unlink()
    instance.eventually(
        lambda: "default/beat" not in instance.endpoints(), seconds=10, what="the deletion is live"
    )
    answer = request("POST", endpoint["url"], {"title": "late"})
    assert (answer.status, "dead_letter" in json.dumps(answer.json)) == (200, True)
    assert [
        h for h in instance.get("/api/v1/heartbeats")["results"] if h["integration"] == "default/beat"
    ] == []
    (instance.folder / "beat.yaml").write_text(beat)
    instance.eventually(lambda: "default/beat" in instance.endpoints(), seconds=10, what="it is back")
    assert instance.endpoints()["default/beat"] == endpoint
    state = next(
        h for h in instance.get("/api/v1/heartbeats")["results"] if h["integration"] == "default/beat"
    )
    assert state["state"] == "inactive"


def test_bug_063_a_restart_changes_nothing(tocsin: Callable[..., Tocsin]) -> None:
    """Five open groups, two acknowledged, one maintenance running: all as before; a resolve closes, a repeat joins."""
    window = """---
apiVersion: tocsin.dev/v1alpha1
kind: MaintenanceWindow
metadata: {name: now}
spec:
  mode: Maintenance
  schedule: {start: '2020-01-01T00:00', duration: 24h, recurrence: 'FREQ=DAILY'}
  integrationRefs: [{name: quiet}]
"""
    manifests = {
        "flow.yaml": integration("web", spec="{type: formatted_webhook}") + integration("quiet") + window
    }
    instance = tocsin(manifests)
    opened = [
        post(instance, "default/web", {"alert_uid": f"u{n}", "title": f"t{n}", "state": "alerting"})
        for n in range(5)
    ]
    for one in opened[:2]:
        assert (
            request(
                "POST", f"{instance.base}/api/v1/alert_groups/{one['alert_group_id']}/acknowledge", {}
            ).status
            == 200
        )
    post(instance, "default/quiet", {"title": "during work", "alert_uid": "q"})
    before = instance.groups("perpage=100")
    urls = instance.endpoints()
    instance.kill()
    instance.start()
    assert instance.groups("perpage=100") == before
    assert instance.endpoints() == urls
    assert (
        post(instance, "default/web", {"alert_uid": "u0", "state": "ok"})["alert_group_id"]
        == opened[0]["alert_group_id"]
    )
    assert post(instance, "default/web", {"alert_uid": "u1", "title": "again"})["state"] == "acknowledged"
    post(instance, "default/quiet", {"title": "more work", "alert_uid": "q2"})
    maintenance = {g["id"] for g in instance.groups("perpage=100") if "aintenance" in g["title"]}
    assert len(maintenance) == 1


@pytest.mark.parametrize("kind", ["LabelRule", "MaintenanceWindow"])
def test_bug_067_a_selector_that_matches_nothing_says_so(tmp_path: Path, kind: str) -> None:
    specs = {
        "LabelRule": "{integrationSelector: {matchLabels: {team: typo}}, static: [{key: a, value: b}]}",
        "MaintenanceWindow": "{mode: Debug, schedule: {start: '2030-01-01T00:00', duration: 1h}, integrationSelector: {matchLabels: {team: typo}}}",
    }
    text = f"apiVersion: tocsin.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: x}}\nspec: {specs[kind]}\n"
    (tmp_path / "x.yaml").write_text(text + integration("web", labels="{team: real}"))
    _, findings = lint(tmp_path)
    assert any(
        one["name"] == "x"
        and "matches no" in one["message"].lower().replace("0 integrations", "no integrations")
        for one in findings
    )


def test_bug_067_rules_apply_on_every_entry_path(tocsin: Callable[..., Tocsin]) -> None:
    """JSON, form, array element and heartbeat all get the label of the rule."""
    rule = "---\napiVersion: tocsin.dev/v1alpha1\nkind: LabelRule\nmetadata: {name: r}\nspec:\n  integrationRefs: [{name: web}]\n  static: [{key: team, value: core}]\n"
    instance = tocsin({"flow.yaml": integration("web") + rule})
    url = instance.endpoints()["default/web"]["url"]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [request("POST", url, {"title": "json"}).json, request("POST", url, "title=form", form).json]
    answers += request("POST", url, [{"title": "one"}, {"title": "two"}]).json
    for answer in answers:
        shown = instance.get(f"/api/v1/alert_groups/{answer['alert_group_id']}")
        assert [(one["key"]["name"], one["value"]["name"]) for one in shown["labels"]] == [("team", "core")]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_bug_075_traffic_never_switches_a_heartbeat_on(tocsin: Callable[..., Tocsin], method: str) -> None:
    instance = tocsin({"flow.yaml": integration("web")})
    answer = request(
        method, instance.endpoints()["default/web"]["url"] + "heartbeat/", {} if method == "POST" else None
    )
    assert answer.status in {404, 409}
    assert instance.get("/api/v1/heartbeats")["results"] == []


@pytest.mark.parametrize(
    ("schedule", "field"),
    [
        ("{start: '2026-01-01T10:00', duration: 1h, timeZone: Mars/Base}", "spec.schedule.timeZone"),
        ("{start: '2026-01-01T24:00', duration: 1h}", "spec.schedule.start"),
        ("{start: '2026-01-01T10:00', duration: 0s}", "spec.schedule.duration"),
        ("{start: '2026-01-01T10:00+02:00', duration: 1h, recurrence: 'FREQ=DAILY'}", "spec.schedule"),
    ],
)
def test_bug_070_impossible_times_are_refused_naming_the_field(
    tmp_path: Path, schedule: str, field: str
) -> None:
    text = f"apiVersion: tocsin.dev/v1alpha1\nkind: MaintenanceWindow\nmetadata: {{name: w}}\nspec: {{mode: Debug, integrationRefs: [{{name: web}}], schedule: {schedule}}}\n"
    (tmp_path / "x.yaml").write_text(text + integration("web"))
    code, findings = lint(tmp_path)
    assert code == 1
    assert any(one["name"] == "w" and one["field"].startswith(field) for one in findings), findings


@pytest.mark.parametrize("zone", ["Asia/Seoul", ""])
def test_bug_070_a_window_without_zone_is_utc_whatever_the_environment(
    tocsin: Callable[..., Tocsin], zone: str
) -> None:
    """The window covers all hours but the one around 03:00 UTC of every day; TZ of the process plays no part."""
    window = """---
apiVersion: tocsin.dev/v1alpha1
kind: MaintenanceWindow
metadata: {name: w}
spec:
  mode: Debug
  schedule: {start: '2026-01-01T12:00', duration: 12h, recurrence: 'FREQ=DAILY'}
  integrationRefs: [{name: web}]
"""
    environment = {"TZ": zone} if zone else {}
    instance = tocsin({"flow.yaml": integration("web") + window}, environment=environment)
    shown = next(w for w in instance.get("/api/v1/windows")["results"] if w["window"] == "default/w")
    assert (shown["next_start"] or shown["start"]).endswith(("T12:00:00Z", "T12:00:00.000000Z"))
    assert os.environ.get("TZ") != "Asia/Seoul"
