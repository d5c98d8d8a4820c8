"""From a file that changes to alerts that feel it, in a running Tocsin on 10,000 resources."""

from __future__ import annotations

import http.client
import json
import random
import time
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit

from bench import servers
from bench.manifests import landscape
from bench.scale import Scale
from bench.servers import alert_urls, work_folder

NAMESPACE = "team-000"
ROUTE = "svc-0-0"
GIVE_UP = 60.0
ASK_EVERY = 0.02
"""Seconds."""


class NeverLive(Exception):
    """A change of the folder did not come into force."""


def measure(scale: Scale) -> dict[str, float]:
    """Seconds from the change of a route's condition until an alert takes the route."""
    with work_folder() as work:
        folder = landscape(work / "manifests", scale.namespaces)
        before = time.monotonic()
        with servers.tocsin(work, folder) as server:
            start = time.monotonic() - before
            asking = _Asking(alert_urls(server)[f"{NAMESPACE}/svc-0"])
            taken = []
            for turn in range(scale.changes):
                time.sleep(random.random())  # anywhere between two looks at the folder
                taken.append(_seconds_of_change(folder / f"{NAMESPACE}.yaml", asking, f"changed-{turn}"))
            asking.close()
    return {
        "live_resources": float(scale.namespaces * 100),
        "live_start_seconds": start,
        "live_median_seconds": median(taken),
        "live_worst_seconds": max(taken),
    }


def _seconds_of_change(path: Path, asking: _Asking, severity: str) -> float:
    text = _changed(path.read_text(), severity)
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    started = time.monotonic()
    fresh.replace(path)
    while asking.route_of(severity) != f"{NAMESPACE}/{ROUTE}":
        if time.monotonic() - started > GIVE_UP:
            raise NeverLive(f"not in force after {GIVE_UP:.0f} s: {path.name}, severity {severity}")
        time.sleep(ASK_EVERY)
    return time.monotonic() - started


def _changed(text: str, severity: str) -> str:
    """The same file, with the route on alerts of this severity and nothing else."""
    documents = [json.loads(document) for document in text.split("\n---\n")]
    for document in documents:
        if document["kind"] == "AlertRoute" and document["metadata"]["name"] == ROUTE:
            condition = f'{{{{ payload.commonLabels.severity == "{severity}" }}}}'
            document["spec"]["match"] = {"template": condition}
    return "\n---\n".join(json.dumps(document) for document in documents)


class _Asking:
    """One kept connection of a sender."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._path = parts.path

    def route_of(self, severity: str) -> str:
        """Where an alert of this severity goes now."""
        body = {"groupKey": "live", "status": "firing", "alerts": [], "commonLabels": {"severity": severity}}
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", self._path, json.dumps(body), headers)
        return str(json.loads(self._connection.getresponse().read())["route"])

    def close(self) -> None:
        self._connection.close()
