"""From a write to a real API server to Programmed and to alerts that feel it, in a Tocsin that follows a cluster."""

from __future__ import annotations

import concurrent.futures
import http.client
import importlib.util
import json
import os
import ssl
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from bench.manifests import landscape
from bench.scale import FULL, Scale
from tocsin.api.crds import load_crds

TESTS = Path(__file__).parents[1] / "tests/cluster"
NAMESPACE, ROUTE, INTEGRATION = "team-000", "svc-0-0", "svc-0"
GIVE_UP = 60.0
_WRITERS = 8


def measure(scale: Scale) -> dict[str, float]:
    """200 changes among 2,000 resources, then a cold start and 20 changes with all resources."""
    binaries, plane, world = (_load(name) for name in ("binaries", "plane", "world"))
    figures: dict[str, float] = {}
    full = scale is FULL
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        control = plane.Plane(
            binaries=binaries.plane_binaries(), clients=binaries.client_binaries(), folder=Path(folder) / "p"
        )
        try:
            bench = _Bench(control.start(), world, Path(folder))
            bench.install()
            bench.fill(0, min(20, scale.namespaces))
            figures |= bench.run("cluster", changes=200 if full else 2)
            if full:
                bench.fill(20, scale.namespaces)
                figures |= bench.run("cluster_large", changes=20)
        finally:
            control.close()
    return figures


class _Bench:
    """One control plane, filled and measured."""

    def __init__(self, plane: Any, world: ModuleType, folder: Path) -> None:
        self._plane = plane
        self._world = world
        self._folder = folder
        self._resources = 0

    def install(self) -> None:
        for crd in load_crds().values():
            self._plane.kubectl("apply", "--server-side", "-f", "-", text=crd.text)
        for crd in load_crds().values():
            self._plane.kubectl("wait", "--for=condition=Established", f"crd/{crd.plural}.{crd.group}")

    def fill(self, first: int, last: int) -> None:
        """The resources of namespaces `first` up to and without `last`."""
        files = sorted(landscape(self._folder / f"manifests-{last}", last).glob("*.yaml"))[first:last]
        documents = [json.loads(text) for file in files for text in file.read_text().split("\n---\n")]
        for name in sorted({document["metadata"]["namespace"] for document in documents}):
            self._plane.kubectl("create", "namespace", name)
        with concurrent.futures.ThreadPoolExecutor(_WRITERS) as pool:
            for answer in pool.map(self._create, documents):
                assert answer < 300, answer
        self._resources += len(documents)

    def _create(self, document: dict[str, Any]) -> int:
        crd, version = load_crds().get(document["kind"]), document["apiVersion"]
        plural = f"{document['kind'].lower()}s" if crd is None else crd.plural  # a ConfigMap or Secret
        root = f"/api/{version}" if crd is None else f"/apis/{version}"
        path = f"{root}/namespaces/{document['metadata']['namespace']}/{plural}"
        status, _ = self._plane.call("POST", path, document)
        return int(status)

    def run(self, prefix: str, *, changes: int) -> dict[str, float]:
        place = self._world.World(plane=self._plane, namespace=NAMESPACE)
        started = time.monotonic()
        running = self._world.Operated(
            world=place,
            folder=self._folder / prefix,
            kubeconfig=self._plane.kubeconfig,
            namespaced=False,
            arguments=("--lease-namespace", "default", "--lease-name", prefix.replace("_", "-")),
            wait=False,
        )
        try:
            running.start()
            self._world.until(running.is_ready, "alerts are taken", seconds=600)
            start = time.monotonic() - started
            self._await_statuses(running)
            programmed, live = self._changes(running, changes)
            return {
                f"{prefix}_resources": float(self._resources),
                f"{prefix}_start_seconds": start,
                f"{prefix}_memory_mib": _peak_mib(running.process.pid),
                f"{prefix}_programmed_median_seconds": median(programmed),
                f"{prefix}_programmed_p99_seconds": _p99(programmed),
                f"{prefix}_live_p99_seconds": _p99(live),
                f"{prefix}_live_worst_seconds": max(live),
            }
        finally:
            running.close()

    def _await_statuses(self, running: Any) -> None:
        """Until nothing waits to be written any more."""
        self._world.until(
            lambda: (
                running.metric("tocsin_operator_leader") == 1
                and running.metric("tocsin_operator_up") == 1
                and (running.metric("tocsin_operator_writes_total", what="status", outcome="ok") or 0) > 0
                and running.metric("tocsin_operator_statuses_waiting") == 0
                and place_is_ready(self._plane)
            ),
            "all statuses are written",
            seconds=600,
        )

    def _changes(self, running: Any, count: int) -> tuple[list[float], list[float]]:
        programmed, live = [], []
        alerts = _Alerts(running.url(INTEGRATION))
        for turn in range(count):
            severity = f"changed-{turn}"
            route = self._get()
            route["spec"]["match"] = {"template": f'{{{{ payload.commonLabels.severity == "{severity}" }}}}'}
            statuses = self._watch(route["metadata"]["resourceVersion"])
            next(statuses)
            began = time.monotonic()
            status, written = self._plane.call("PUT", _path(ROUTE), route)
            assert status == 200, written
            for made in statuses:
                if _is_programmed(made, written["metadata"]["generation"]):
                    break
            programmed.append(time.monotonic() - began)
            assert alerts.route_of(severity) == f"{NAMESPACE}/{ROUTE}", "Programmed=True of what is not live"
            live.append(time.monotonic() - began)
            time.sleep(0.05)
        return programmed, live

    def _get(self) -> dict[str, Any]:
        status, made = self._plane.call("GET", _path(ROUTE))
        assert status == 200
        return dict(made)

    def _watch(self, version: str) -> Iterator[dict[str, Any]]:
        """First an empty object once the watch stands, then each version of the route."""
        parts = urlsplit(self._plane.server)
        context = ssl.create_default_context(cafile=str(self._plane.authority))
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, context=context, timeout=GIVE_UP
        )
        query = f"?watch=true&fieldSelector=metadata.name={ROUTE}&resourceVersion={version}"
        headers = {"Authorization": f"Bearer {self._plane.tokens['admin']}"}
        connection.request("GET", _path("") + query, headers=headers)
        response = connection.getresponse()
        try:
            yield {}
            while line := response.readline():
                yield json.loads(line)["object"]
        finally:
            connection.close()


def place_is_ready(plane: Any) -> bool:
    _, made = plane.call("GET", _path(ROUTE))
    return _is_programmed(made, made["metadata"]["generation"])


def _path(name: str) -> str:
    return f"/apis/tocsin.dev/v1alpha1/namespaces/{NAMESPACE}/alertroutes/{name}".rstrip("/")


def _is_programmed(made: dict[str, Any], generation: int) -> bool:
    return any(
        c["type"] == "Programmed" and c["status"] == "True" and c["observedGeneration"] == generation
        for c in made.get("status", {}).get("conditions", ())
    )


class _Alerts:
    """One kept connection of a sender."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        self._path = parts.path

    def route_of(self, severity: str) -> str:
        alert = {"status": "firing", "labels": {"alertname": "A"}, "startsAt": "2026-01-01T00:00:00Z"}
        body = {
            "groupKey": severity,
            "status": "firing",
            "alerts": [alert],
            "commonLabels": {"severity": severity},
        }
        self._connection.request("POST", self._path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, text
        return str(json.loads(text)["route"])


def _p99(values: list[float]) -> float:
    return max(values) if len(values) < 100 else quantiles(values, n=100)[98]


def _peak_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def _load(name: str) -> ModuleType:
    """A module of the cluster tests, which know how to start a control plane."""
    known = f"cluster_{name}"
    if known not in sys.modules:
        spec = importlib.util.spec_from_file_location(known, TESTS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[known] = module
        spec.loader.exec_module(module)
    return sys.modules[known]


if __name__ == "__main__":
    os.nice(5)
    print(json.dumps(measure(FULL), indent=2))
