"""Alerts and dashboard speak of metrics that exist, and Prometheus understands them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from charting import CHART, ROOT, case, manifests, of_kind

ALERTS = CHART / "files" / "alerts.yaml"
GROUPS = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
RULES = {rule["alert"]: rule for group in GROUPS for rule in group["rules"]}
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
NAMES = re.compile(r"\btocsin_[a-z_]+\b")


def known() -> set[str]:
    """Every name that a metric of the code can have in Prometheus."""
    bare = {
        name
        for path in (ROOT / "operator" / "tocsin").rglob("*.py")
        for name in re.findall(r'"(tocsin_[a-z_]+)"', path.read_text(encoding="utf-8"))
    }
    return {name + suffix for name in bare for suffix in ("", "_total", "_bucket", "_sum", "_count")}


def promtool(*arguments: str | Path) -> str:
    done = subprocess.run(
        ["promtool", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_metric_in_alerts_and_dashboard_exists() -> None:
    """An alert on a name that nothing exposes would never fire and never be missed."""
    used = {name for rule in RULES.values() for name in NAMES.findall(rule["expr"])}
    used |= {
        name
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
        for name in NAMES.findall(target["expr"])
    }
    assert len(used) > 25
    assert used - known() == set()


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    """As a rule file, and in the form that the PrometheusRule has."""
    promtool("check", "rules", ALERTS)
    (rule,) = of_kind(manifests({"metrics": {"prometheusRule": {"enabled": True}}}), "PrometheusRule")
    assert {r["alert"] for group in rule["spec"]["groups"] for r in group["rules"]} == RULES.keys()
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]), encoding="utf-8")
    promtool("check", "rules", tmp_path / "rules.yaml")


def test_prometheus_takes_the_queries_of_the_dashboard(tmp_path: Path) -> None:
    """Each is written as a recording rule, with Grafana's variables filled in."""
    rules = [
        {
            "record": f"panel:{panel['id']}:{target['refId'].lower()}",
            "expr": target["expr"]
            .replace("$__rate_interval", "5m")
            .replace("$namespace", ".*")
            .replace("$job", ".*"),
        }
        for panel in DASHBOARD["panels"]
        for target in panel.get("targets", [])
    ]
    assert not any("$" in rule["expr"] for rule in rules)
    file = tmp_path / "dashboard.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}), encoding="utf-8")
    promtool("check", "rules", file)


def test_alerts_fire_when_they_should() -> None:
    """Scenarios in time, run by Prometheus' own test runner."""
    promtool("test", "rules", Path(__file__).parent / "alerts_test.yaml")


def test_every_alert_says_what_to_do() -> None:
    """Severity, a sentence that stands alone, and a section on the page of failures."""
    page = (ROOT / "docs" / "failures.md").read_text(encoding="utf-8")
    for name, rule in RULES.items():
        assert rule["labels"]["severity"] in {"critical", "warning", "info", "none"}, name
        assert rule["annotations"].keys() == {"summary", "description"}, name
        assert f"`{name}`" in page, name


def test_an_alert_can_be_left_out() -> None:
    """By its name."""
    (rule,) = of_kind(case("scaled-everything"), "PrometheusRule")
    names = {r["alert"] for group in rule["spec"]["groups"] for r in group["rules"]}
    assert names == RULES.keys() - {"TocsinWatchdog"}


def test_the_dashboard_is_a_config_map_that_the_sidecar_finds() -> None:
    """With the label that Grafana's chart looks for, and the JSON unchanged."""
    (dashboard,) = [
        m
        for m in of_kind(case("scaled-everything"), "ConfigMap")
        if m["metadata"]["name"] == "tocsin-dashboard"
    ]
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(dashboard["data"]["tocsin.json"]) == DASHBOARD


def test_panels_do_not_overlap() -> None:
    """On Grafana's grid of 24 columns."""
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert place["x"] + place["w"] <= 24
        assert not cells & taken, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", ["ServiceMonitor"])
def test_every_pod_is_scraped(name: str) -> None:
    """Through one Service, with the token that /metrics asks for."""
    found = case("scaled-everything")
    (monitor,) = of_kind(found, name)
    (service,) = [
        s
        for s in of_kind(found, "Service")
        if monitor["spec"]["selector"]["matchLabels"].items() <= s["metadata"]["labels"].items()
    ]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["authorization"] == {"credentials": {"name": "metrics", "key": "token"}}
    for deployment in of_kind(found, "Deployment"):
        labels = deployment["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["selector"].items() <= labels.items()
