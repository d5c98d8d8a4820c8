"""One namespace of a real cluster, what people do in it, and a Tocsin that follows it with the chart's permissions."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cluster_plane import Plane, free_port

CHART = Path(__file__).parents[2] / "charts/tocsin"
WEB = {"type": "webhook"}
DISK = {"parentRefs": [{"name": "web"}], "match": {"template": "{{ payload.kind == 'disk' }}"}}


def until(holds: Callable[[], Any], what: str = "", seconds: float = 60) -> Any:
    """The first true value that it gives. Fails after so long."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := holds():
            return value
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds:.0f} s: {what or holds}")


def declared(kind: str, name: str, spec: dict[str, Any], **metadata: Any) -> dict[str, Any]:
    """A manifest."""
    return {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, **metadata},
        "spec": spec,
    }


@dataclass
class World:
    """All methods act as an administrator."""

    plane: Plane
    namespace: str

    def create(self) -> None:
        self.plane.kubectl("create", "namespace", self.namespace)

    def delete(self) -> None:
        self.plane.kubectl("delete", "namespace", self.namespace, "--wait=false", check=False)

    def kubectl(self, *arguments: str, text: str = "", check: bool = True) -> str:
        return self.plane.kubectl("-n", self.namespace, *arguments, text=text, check=check)

    def apply(self, *manifests: dict[str, Any]) -> None:
        text = "---\n".join(yaml.safe_dump(manifest) for manifest in manifests)
        self.kubectl("apply", "-f", "-", text=text)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """The object; {} if it is not there."""
        answer = self.kubectl("get", kind, name, "-o", "json", "--ignore-not-found")
        found: dict[str, Any] = json.loads(answer) if answer else {}
        return found

    def items(self, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.kubectl("get", kind, "-o", "json"))["items"]
        return found

    def condition(self, kind: str, name: str, condition: str = "Ready") -> tuple[str, str]:
        """Status and reason of a condition of the present generation; empty while there is none."""
        return condition_of(self.get(kind, name), condition)

    def wait_ready(self, *names: str, seconds: int = 60) -> None:
        """`kind/name` each, as people would wait."""
        for name in names:
            self.kubectl("wait", "--for=condition=Ready", f"--timeout={seconds}s", name)

    def grant(self, *, cluster: bool = False) -> Path:
        """The kubeconfig of a service account with exactly what the chart grants to the one pod."""
        settings = ["--set", f"scope.cluster={str(cluster).lower()}"]
        shown = [f"--show-only=templates/{name}.yaml" for name in ("rbac", "serviceaccount")]
        rendered = self.plane.helm("template", "tocsin", str(CHART), "-n", self.namespace, *settings, *shown)
        self.kubectl("apply", "-f", "-", text=rendered)
        account = next(
            document["metadata"]["name"]
            for document in yaml.safe_load_all(rendered)
            if document and document["kind"] == "ServiceAccount"
        )
        token = self.kubectl("create", "token", account, "--duration=2h").strip()
        path = self.plane.folder / f"{self.namespace}.kubeconfig"
        return self.plane.write_kubeconfig(path, token, self.namespace)


def condition_of(made: dict[str, Any], kind: str) -> tuple[str, str]:
    for found in made.get("status", {}).get("conditions", ()):
        if found["type"] == kind and found["observedGeneration"] == made["metadata"]["generation"]:
            return found["status"], found["reason"]
    return "", ""


@dataclass
class Answer:
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(method: str, url: str, body: Any = None, *, timeout: float = 30) -> Answer:
    """One HTTP exchange with JSON; HTTP errors are answers, a server that is not there is status 0."""
    data = None if body is None else json.dumps(body).encode()
    call = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(call, timeout=timeout) as response:
            return Answer(response.status, response.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read())
    except OSError:
        return Answer(0, b"")


@dataclass
class Operated:
    """A Tocsin process. By default all roles in one, on SQLite, with the chart's namespaced permissions."""

    world: World
    folder: Path
    command: tuple[str, ...] = ("run", "--kubernetes")
    arguments: tuple[str, ...] = ()
    kubeconfig: Path | None = None
    database: str = ""
    namespaced: bool = True
    listens: str = "--listen"
    wait: bool = True
    environment: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def start(self) -> Operated:
        self.folder.mkdir(exist_ok=True)
        if self.kubeconfig is None:
            self.kubeconfig = self.world.grant(cluster=not self.namespaced)
        scope = ("--namespace", self.world.namespace) if self.namespaced else ("--all-namespaces",)
        operates = "--kubernetes" in self.command or "operator" in self.command
        command = [
            *(sys.executable, "-m", "tocsin", *self.command, self.listens, f"127.0.0.1:{self.port}"),
            *("--database", self.database or f"sqlite:///{self.folder}/t.db"),
            *(scope if operates else ()),
            *self.arguments,
        ]
        environment = {**os.environ, "KUBECONFIG": str(self.kubeconfig), **self.environment}
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
        if self.wait:
            until(self.is_ready, f"ready: {self.log}")
        return self

    def is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log
        return self.readiness().status == 200

    def readiness(self) -> Answer:
        return request("GET", f"{self.base}/-/ready", timeout=5)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(20)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()

    def metric(self, name: str, **labels: str) -> float | None:
        """The value of one sample of /metrics; None if it is not there."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        for line in request("GET", f"{self.base}/metrics").body.decode().splitlines():
            sample, _, value = line.rpartition(" ")
            found, _, rest = sample.partition("{")
            if found == name and wanted <= set(rest.rstrip("}").split(",")):
                return float(value)
        return None

    def url(self, integration: str) -> str:
        """The alert URL, from the endpoint Secret, on this process's own port."""
        secret = self.world.get("secret", f"{integration}-endpoint")
        kind = self.world.get("integration", integration)["spec"]["type"]
        token = base64.b64decode(secret["data"]["token"]).decode()
        return f"{self.base}/integrations/v1/{kind}/{token}/"

    def route_of(self, integration: str, payload: dict[str, Any]) -> str:
        """Posts an alert and says which route it took."""
        answer = request("POST", self.url(integration), payload)
        assert answer.status == 200, answer.body
        route: str = answer.json["route"]
        return route
