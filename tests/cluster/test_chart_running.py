"""What the chart tells its pods works: each role as a process, with the environment and the account of its Deployment."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cluster_plane import free_port
from cluster_world import CHART, DISK, WEB, World, declared, until
from cluster_world import request as ask

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
            return ask("GET", f"http://127.0.0.1:{ports['TOCSIN_HEALTH_LISTEN']}{probe}").status == 200

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
    assert ask("POST", url, {"kind": "disk"}).json["route"] == f"{world.namespace}/disk"

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
    assert ask("POST", f"{base}/integrations/v1/webhook/{token}/", {}).status == 200
    assert ask("GET", f"{base}/api/v1/status").status == 404
    assert ask("GET", f"http://127.0.0.1:{ports['TOCSIN_CONSOLE_LISTEN']}/api/v1/status").status == 200
    assert world.get("secret", "tocsin-keys")


class Sink(ThreadingHTTPServer):
    """An HTTP server on a private address that keeps what is posted to it."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        super().__init__(("127.0.0.1", 0), _Keeps)
        threading.Thread(target=self.serve_forever, name="sink", daemon=True).start()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}/{path}"

    def kinds(self, path: str) -> list[str]:
        return [document["kind"] for at, document in self.got if at == f"/{path}"]


class _Keeps(BaseHTTPRequestHandler):
    server: Sink

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, json.loads(body)))
        self.send_response(204)
        self.end_headers()

    def do_GET(self) -> None:
        self.server.got.append((self.path, {"kind": "ping"}))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as server:
        yield server
        server.shutdown()


def tells(world: World, sink: Sink) -> None:
    """A person, two channels of which one leads where nothing may go, and the chain between them and alerts."""
    world.kubectl("create", "secret", "generic", "hook", f"--from-literal=url={sink.url('person')}")
    contact = {"name": "hook", "channelRef": {"name": "person"}, "address": "ann-42"}
    world.apply(
        declared(
            "NotificationChannel", "person", {"webhook": {"urlSecretRef": {"name": "hook", "key": "url"}}}
        ),
        declared("NotificationChannel", "room", {"webhook": {"url": sink.url("room")}}),
        declared("NotificationChannel", "inside", {"webhook": {"url": sink.url("inside", "127.0.0.2")}}),
        declared("Responder", "ann", {"contacts": [contact], "rules": {"default": [{"notify": "hook"}]}}),
        declared(
            "EscalationChain", "page", {"steps": [{"notifyResponders": {"responderRefs": [{"name": "ann"}]}}]}
        ),
        declared("Integration", "web", WEB),
        declared(
            "AlertRoute",
            "disk",
            {
                **DISK,
                "escalationChainRef": {"name": "page"},
                "chatops": [{"channelRef": {"name": "room"}}, {"channelRef": {"name": "inside"}}],
            },
        ),
    )
    channels = [f"notificationchannel/{name}" for name in ("person", "room", "inside")]
    world.wait_ready(*channels, "responder/ann", "escalationchain/page", "integration/web", "alertroute/disk")


TELLING = (
    "outgoing.allow={127.0.0.1}",
    "consoleUrl=https://tocsin.example.org",
    "watchdog.existingSecret=dog",
)


@pytest.mark.parametrize("mode", ["one pod", "scaled"])
def test_an_alert_becomes_messages(
    mode: str, installed: Callable[..., Pods], world: World, sink: Sink, request: pytest.FixtureRequest
) -> None:
    """From manifests that are applied to what arrives: in the channel, for the person, and nowhere that no value allows."""
    world.kubectl("create", "secret", "generic", "dog", f"--from-literal=url={sink.url('watchdog')}")
    if mode == "scaled":
        database = request.getfixturevalue("postgresql_url")
        world.kubectl("create", "secret", "generic", "pg", f"--from-literal=url={database}")
        pods = installed("mode=scaled", "database.existingSecret=pg", *TELLING)
        pods.start("tocsin-operator", account=True)
        until(lambda: pods.waits_for("tocsin-receiver") == [], "the keys are there")
        receiver = pods.start("tocsin-receiver")
        pods.start("tocsin-dispatcher")
    else:
        pods = installed(*TELLING)
        receiver = pods.start("tocsin", account=True)
    tells(world, sink)
    token = base64.b64decode(world.get("secret", "web-endpoint")["data"]["token"]).decode()
    url = f"http://127.0.0.1:{receiver['TOCSIN_LISTEN']}/integrations/v1/webhook/{token}/"
    assert ask("POST", url, {"kind": "disk", "title": "Disk full"}).status == 200

    until(lambda: sink.kinds("room") and sink.kinds("person"), "the channel and the person are told")
    ((_, told),) = [one for one in sink.got if one[0] == "/person"]
    assert (told["kind"], told["recipient"]["address"]) == ("personal", "ann-42")
    assert told["link"].startswith("https://tocsin.example.org/alert-groups/")
    assert sink.kinds("room") == ["group"]
    until(lambda: sink.kinds("watchdog"), "the watchdog's URL is asked", seconds=90)
    if mode == "scaled":  # the operator hears of it through the store, once a minute
        until(
            lambda: world.condition("nchan", "inside", "DeliveryFailing")[0] == "True",
            "the status says so",
            seconds=90,
        )
        (refused,) = (
            c["message"]
            for c in world.get("nchan", "inside")["status"]["conditions"]
            if c["type"] == "DeliveryFailing"
        )
        assert "127.0.0.2 is loopback" in refused
    assert sink.kinds("inside") == []
