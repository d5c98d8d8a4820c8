"""Stands in for what the test's cluster has not: nodes that run pods, and somebody whom they send messages to."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cluster_plane import free_port
from cluster_world import World, request, until

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
