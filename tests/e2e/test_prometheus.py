"""The real senders: a Prometheus with an Alertmanager, and a Prometheus alone, fire and resolve through Tocsin."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tocsin_process import Tocsin, free_port, request

MANIFESTS = """
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: alertmanager}
spec: {type: alertmanager}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: prometheus}
spec: {type: prometheus}
---
apiVersion: tocsin.dev/v1alpha1
kind: AlertRoute
metadata: {name: pages}
spec:
  parentRefs: [{name: alertmanager}, {name: prometheus}]
  match: {labels: [{key: severity, value: page}]}
---
apiVersion: tocsin.dev/v1alpha1
kind: LabelRule
metadata: {name: severity}
spec:
  integrationRefs: [{name: alertmanager}, {name: prometheus}]
  dynamic:
    - key: severity
      template: '{{ payload.commonLabels.severity or payload.labels.severity }}'
"""

RULES = """
groups:
  - name: test
    interval: 1s
    rules:
      - alert: SelfUp
        expr: up{job="self"} == 1
        labels: {severity: page}
        annotations: {summary: 'Prometheus is up'}
"""


def binary(name: str) -> str:
    found = shutil.which(name)
    assert found, f"{name} is missing: apt-get install {name} (make services does it)"
    return found


class Servers:
    """Real servers on loopback in one temporary folder; all end with the test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, *command: str) -> None:
        log = (self.folder / f"{Path(command[0]).name}.log").open("wb")
        self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder))
        log.close()

    def prometheus(self, alertmanagers: str) -> int:
        port = free_port()
        (self.folder / "rules.yml").write_text(RULES)
        (self.folder / "prometheus.yml").write_text(
            f"""
global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: self
    static_configs: [{{targets: ['127.0.0.1:{port}']}}]
{alertmanagers}
"""
        )
        options = [
            "--config.file=prometheus.yml",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self.start(binary("prometheus"), *options, "--web.enable-lifecycle", "--rules.alert.resend-delay=1s")
        return port

    def alertmanager(self, url: str) -> int:
        port = free_port()
        (self.folder / "alertmanager.yml").write_text(
            f"""
route: {{receiver: tocsin, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 1h}}
receivers:
  - name: tocsin
    webhook_configs: [{{url: '{url}', send_resolved: true}}]
"""
        )
        options = [
            "--config.file=alertmanager.yml",
            f"--storage.path={self.folder}/am",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self.start(binary("prometheus-alertmanager"), *options, "--cluster.listen-address=")
        return port

    def resolve(self, prometheus: int) -> None:
        """The condition ends: the rule asks for the impossible from now on."""
        (self.folder / "rules.yml").write_text(RULES.replace("== 1", "== 7"))
        assert request("POST", f"http://127.0.0.1:{prometheus}/-/reload").status == 200

    def close(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(10)


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    folder = tmp_path / "servers"
    folder.mkdir()
    running = Servers(folder)
    yield running
    running.close()


def follow(instance: Tocsin, integration: str, servers: Servers, prometheus: int) -> None:
    """One group fires on the route `pages`, and the same group is resolved by its source."""
    query = f"integration=default/{integration}"
    instance.eventually(lambda: instance.groups(query), seconds=60, what="the alert fires")
    group = instance.groups(query)[0]
    assert (group["state"], group["title"].split(" ")[0]) == ("firing", "SelfUp")
    assert {one["key"]["name"]: one["value"]["name"] for one in group["labels"]}["severity"] == "page"
    assert group["route"] == "default/pages"
    servers.resolve(prometheus)
    instance.eventually(
        lambda: instance.groups(query)[0]["state"] == "resolved", seconds=60, what="the alert is resolved"
    )
    groups = instance.groups(query)
    assert [one["id"] for one in groups] == [group["id"]]


def test_prometheus_with_alertmanager_fires_and_resolves_one_group(
    tocsin: Callable[..., Tocsin], servers: Servers
) -> None:
    """Prometheus evaluates, Alertmanager groups, Tocsin gets the webhook: one group, resolved by source."""
    instance = tocsin({"flow.yaml": MANIFESTS})
    alertmanager = servers.alertmanager(instance.endpoints()["default/alertmanager"]["url"])
    alerting = (
        f"alerting: {{alertmanagers: [{{static_configs: [{{targets: ['127.0.0.1:{alertmanager}']}}]}}]}}"
    )
    follow(instance, "alertmanager", servers, servers.prometheus(alerting))


def test_prometheus_alone_fires_and_resolves_one_group(
    tocsin: Callable[..., Tocsin], servers: Servers
) -> None:
    """Prometheus posts its alerts straight to the integration's path, as if Tocsin were an Alertmanager."""
    instance = tocsin({"flow.yaml": MANIFESTS})
    url = urlsplit(instance.endpoints()["default/prometheus"]["url"])
    alerting = f"alerting: {{alertmanagers: [{{path_prefix: '{url.path}', static_configs: [{{targets: ['{url.netloc}']}}]}}]}}"
    follow(instance, "prometheus", servers, servers.prometheus(alerting))
