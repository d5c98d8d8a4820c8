"""What the chart tells its pods works: each role as a process, with the environment and the account of its Deployment."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster_plane import free_port
from cluster_world import CHART, DISK, WEB, World, declared, request, until

LISTENS = ("TOCSIN_LISTEN", "TOCSIN_CONSOLE_LISTEN", "TOCSIN_HEALTH_LISTEN", "TOCSIN_ADMISSION_LISTEN")


class Pods:
    """Stands in for the kubelet, which the test's cluster has not: starts what a Deployment says, on loopback."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self._folder = folder
        self._started: list[subprocess.Popen[bytes]] = []

    def container(self, deployment: str) -> dict[str, Any]:
        spec = self.world.get("deployment", deployment)["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        return {**container, "serviceAccountName": spec["serviceAccountName"]}

    def waits_for(self, deployment: str) -> list[str]:
        """Secrets without which the kubelet does not create the container."""
        entries = [
            entry.get("valueFrom", {}).get("secretKeyRef") for entry in self.container(deployment)["env"]
        ]
        return [
            e["name"]
            for e in entries
            if e and not e.get("optional") and not self.world.get("secret", e["name"])
        ]

    def start(self, deployment: str, *, account: bool = False) -> dict[str, int]:
        """The port of each of its addresses."""
        container = self.container(deployment)
        environment, ports = self._environment(container["env"])
        if account:
            environment["KUBECONFIG"] = str(self._login(container["serviceAccountName"]))
        else:
            environment["KUBECONFIG"] = os.devnull
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
        with (self._folder / f"{deployment}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "tocsin", *container["args"]],
                env=kept | environment,
                cwd=self._folder,
                stdout=log,
                stderr=log,
            )
        self._started.append(process)

        def ready() -> bool:
            assert process.poll() is None, (self._folder / f"{deployment}.log").read_text()
            probe = container["readinessProbe"]["httpGet"]["path"]
            return request("GET", f"http://127.0.0.1:{ports['TOCSIN_HEALTH_LISTEN']}{probe}").status == 200

        until(ready, f"{deployment} is ready")
        return ports

    def _environment(self, entries: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, int]]:
        environment: dict[str, str] = {}
        ports: dict[str, int] = {}
        for entry in entries:
            name, value = entry["name"], entry.get("value", "")
            reference = entry.get("valueFrom", {}).get("secretKeyRef")
            if reference:
                secret = self.world.get("secret", reference["name"])
                if not secret and reference.get("optional"):
                    continue
                value = base64.b64decode(secret["data"][reference["key"]]).decode()
            if value.startswith("sqlite:"):
                value = f"sqlite:///{self._folder}/tocsin.db"  # the volume
            if name in LISTENS:
                ports[name] = free_port()
                value = f"127.0.0.1:{ports[name]}"
            if name == "TOCSIN_ADMISSION_HOST":
                value += " 127.0.0.1"  # no kube-proxy leads to a Service here
            environment[name] = value
        return environment, ports

    def _login(self, account: str) -> Path:
        token = self.world.kubectl("create", "token", account, "--duration=1h").strip()
        path = self._folder / f"{account}.kubeconfig"
        return self.world.plane.write_kubeconfig(path, token, self.world.namespace)

    def close(self) -> None:
        for process in self._started:
            process.terminate()
        for process in self._started:
            process.wait(60)


@pytest.fixture
def installed(world: World, tmp_path: Path) -> Iterator[Callable[..., Pods]]:
    """`helm install` with these values, beside the CRDs that are there."""
    pods = Pods(world, tmp_path)

    def install(*values: str) -> Pods:
        settings = [word for value in ("crds.enabled=false", *values) for word in ("--set", value)]
        world.plane.helm("install", "tocsin", str(CHART), "-n", world.namespace, *settings)
        return pods

    yield install
    pods.close()
    world.plane.helm("uninstall", "tocsin", "-n", world.namespace, check=False)


def asked_at(world: World, port: int) -> None:
    """Points the webhook at a port of this machine, as its Service would."""
    path = "/webhooks/0/clientConfig"
    patch = (
        f'[{{"op":"remove","path":"{path}/service"}},'
        f'{{"op":"add","path":"{path}/url","value":"https://127.0.0.1:{port}/validate"}}]'
    )
    name = f"{world.namespace}-tocsin"
    world.plane.kubectl("patch", "validatingwebhookconfiguration", name, "--type=json", "-p", patch)


def test_scaled_roles_start_with_nothing_but_a_database(
    installed: Callable[..., Pods], world: World, postgresql_url: str
) -> None:
    """The operator makes keys and certificate and has itself trusted; the others wait for the keys, and then work."""
    world.kubectl("create", "secret", "generic", "pg", f"--from-literal=url={postgresql_url}")
    pods = installed("mode=scaled", "database.existingSecret=pg")
    for role in ("receiver", "dispatcher", "console"):
        assert pods.waits_for(f"tocsin-{role}") == ["tocsin-keys"]
    assert pods.waits_for("tocsin-operator") == []

    operator = pods.start("tocsin-operator", account=True)
    until(lambda: pods.waits_for("tocsin-receiver") == [], "the keys are there")
    receiver = pods.start("tocsin-receiver")
    pods.start("tocsin-dispatcher")
    pods.start("tocsin-console")
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    world.wait_ready("integration/web", "alertroute/disk")
    token = base64.b64decode(world.get("secret", "web-endpoint")["data"]["token"]).decode()
    url = f"http://127.0.0.1:{receiver['TOCSIN_LISTEN']}/integrations/v1/webhook/{token}/"
    assert request("POST", url, {"kind": "disk"}).json["route"] == f"{world.namespace}/disk"

    asked_at(world, operator["TOCSIN_ADMISSION_LISTEN"])
    broken = {**DISK, "match": {"template": "{{ payload. }}"}}
    refused = until(lambda: _refusal(world, declared("AlertRoute", "broken", broken)), "the webhook is asked")
    assert "spec.match.template" in refused
    keys = world.get("secret", "tocsin-keys")["metadata"]["resourceVersion"]
    pods.close()
    pods.start("tocsin-operator", account=True)
    assert world.get("secret", "tocsin-keys")["metadata"]["resourceVersion"] == keys


def _refusal(world: World, manifest: dict[str, Any]) -> str:
    """What is said against it; "" while it would be taken."""
    kind = f"/apis/tocsin.dev/v1alpha1/namespaces/{world.namespace}/alertroutes?dryRun=All"
    status, answer = world.plane.call("POST", kind, manifest)
    return str(answer["message"]) if status >= 400 else ""


def test_one_pod_starts_with_nothing(installed: Callable[..., Pods], world: World) -> None:
    """Default values: keys by itself, SQLite, and alerts are taken; the API answers at its own address alone."""
    pods = installed()
    assert pods.waits_for("tocsin") == []
    ports = pods.start("tocsin", account=True)
    world.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web")
    token = base64.b64decode(world.get("secret", "web-endpoint")["data"]["token"]).decode()
    base = f"http://127.0.0.1:{ports['TOCSIN_LISTEN']}"
    assert request("POST", f"{base}/integrations/v1/webhook/{token}/", {}).status == 200
    assert request("GET", f"{base}/api/v1/status").status == 404
    assert request("GET", f"http://127.0.0.1:{ports['TOCSIN_CONSOLE_LISTEN']}/api/v1/status").status == 200
    assert world.get("secret", "tocsin-keys")
