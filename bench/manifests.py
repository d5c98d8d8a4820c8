"""What the measured servers are configured with, and the alerts they are sent."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import msgspec

from bench.compile import resources
from bench.load import Target
from bench.servers import ROOT, Server, alert_urls

DOCUMENTS_PER_FILE = 100
SENDERS = 100
"""Routes or Integrations, evenly spaced among all, that the alerts go to: the same number however many there are."""
GROUPINGS = 50

_HEAD = "apiVersion: tocsin.dev/v1alpha1\n"

_INTEGRATION = """kind: Integration
metadata: {name: bench-%d}
spec:
  type: alertmanager
  templates:
    groupingId: '{{ payload.groupKey }}'
    acknowledge: '{{ payload.status == "acknowledged" }}'
    resolve: '{{ payload.status == "resolved" }}'
    sourceLink: '{{ payload.alerts[0].generatorURL }}'
    appearance:
      web: {title: '{{ payload.groupLabels.alertname }} ({{ payload.commonLabels.severity }})'}
"""

_LABELS = """kind: LabelRule
metadata: {name: bench}
spec:
  integrationSelector: {}
  dynamic:
    - {key: severity, template: '{{ payload.commonLabels.severity }}'}
    - {key: job, template: '{{ payload.commonLabels.job }}'}
    - {key: alertname, template: '{{ payload.commonLabels.alertname }}'}
    - {key: receiver, template: '{{ payload.receiver }}'}
"""

_ROUTE = """kind: AlertRoute
metadata: {name: route-%05d}
spec: {parentRefs: [{name: bench-0}], match: {template: '{{ payload.commonLabels.team == "team-%d" }}'}}
"""

_WEBHOOK = """kind: Integration
metadata: {name: hook}
spec: {type: webhook, templates: {groupingId: '{{ payload.group }}', resolve: '{{ payload.over }}'}}
"""


def typical(folder: Path, *, routes: int = 0, integrations: int = 1) -> Path:
    """Alertmanager Integrations with nine templates (five of their own, four labels); all routes are on the first."""
    documents = [_LABELS]
    documents += [_INTEGRATION % number for number in range(integrations)]
    documents += [_ROUTE % (number, number) for number in range(routes)]
    return _written(folder, (_HEAD + document for document in documents))


def hook(folder: Path) -> Path:
    """One webhook Integration, whose senders name the group."""
    return _written(folder, [_HEAD + _WEBHOOK])


def landscape(folder: Path, namespaces: int) -> Path:
    """The resources of `bench.compile`, 100 a namespace and file."""
    by_namespace: dict[str, list[str]] = {}
    for declared in resources(namespaces):
        document = {"apiVersion": "tocsin.dev/v1alpha1", "kind": type(declared).__name__}
        document |= {"metadata": msgspec.to_builtins(declared.metadata)}
        document |= {"spec": msgspec.to_builtins(declared.spec)}
        by_namespace.setdefault(declared.metadata.namespace, []).append(json.dumps(document))
    folder.mkdir()
    for namespace, documents in by_namespace.items():
        texts = {"title": "{{ payload.commonLabels.alertname }}"}
        metadata = {"name": "texts", "namespace": namespace}
        documents.append(
            json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": texts})
        )
        (folder / f"{namespace}.yaml").write_text("\n---\n".join(documents))
    return folder


def _written(folder: Path, documents: Iterable[str]) -> Path:
    folder.mkdir()
    held = list(documents)
    for at in range(0, len(held), DOCUMENTS_PER_FILE):
        text = "---\n".join(held[at : at + DOCUMENTS_PER_FILE])
        (folder / f"flow-{at // DOCUMENTS_PER_FILE:04}.yaml").write_text(text)
    return folder


def alertmanager_routes(routes: int) -> str:
    """An Alertmanager with the same routes that never notifies anybody."""
    lines = [
        "route:",
        "  receiver: nobody",
        "  group_by: [group]",
        "  group_wait: 1h",
        "  group_interval: 1h",
        "  repeat_interval: 24h",
        "  routes:",
    ]
    lines += [f"    - {{receiver: nobody, matchers: ['team=\"team-{number}\"']}}" for number in range(routes)]
    return "\n".join([*lines, "receivers: [{name: nobody}]", ""])


def spaced(count: int) -> list[int]:
    """At most SENDERS of so many, evenly spaced."""
    return [at * count // SENDERS for at in range(SENDERS)] if count > SENDERS else list(range(count))


def notification() -> str:
    """An ordinary notification of Alertmanager; every one differs in its alert's start, as real ones do."""
    payload = json.loads((ROOT / "tests/payloads/alertmanager/firing.json").read_text())
    payload["groupKey"] = "{}:{group=@GROUP@}"
    payload["commonLabels"]["team"] = "@TEAM@"
    payload["alerts"][0]["startsAt"] = "moment-@COUNT@"
    return json.dumps(payload, separators=(",", ":"))


def api_alert() -> str:
    """The same alert as Prometheus posts it to an Alertmanager."""
    alert = json.loads((ROOT / "tests/payloads/alertmanager/firing.json").read_text())["alerts"][0]
    labels = alert["labels"] | {"team": "@TEAM@", "group": "@GROUP@", "instance": "node-@INSTANCE@:9100"}
    kept = {
        "labels": labels,
        "annotations": alert["annotations"],
        "generatorURL": alert["generatorURL"],
    }
    return json.dumps([kept], separators=(",", ":"))


def to_tocsin(server: Server, *, routes: int = 0, integrations: int = 1) -> Target:
    """Ordinary notifications to a server on the folder of `typical`."""
    urls = alert_urls(server)
    wanted = tuple(urls[f"default/bench-{number}"] for number in spaced(integrations))
    teams = [f"team-{number}" for number in spaced(routes)] or ["nobody"]
    return Target(server=server, urls=wanted, body=notification(), values={"GROUP": GROUPINGS, "TEAM": teams})


def to_bare(server: Server) -> Target:
    teams = [f"team-{number}" for number in spaced(SENDERS)]
    return Target(
        server=server,
        urls=(f"{server.base}/integrations/v1/alertmanager/token/",),
        body=notification(),
        values={"GROUP": GROUPINGS, "TEAM": teams},
    )


def to_alertmanager(server: Server, *, routes: int) -> Target:
    teams = [f"team-{number}" for number in spaced(routes)]
    return Target(
        server=server,
        urls=(f"{server.base}/api/v2/alerts",),
        body=api_alert(),
        values={"GROUP": GROUPINGS, "TEAM": teams, "INSTANCE": 1_000},
    )
