"""Operator and receiver out of the container image, restricted as pods are, on the real API server and PostgreSQL."""

from __future__ import annotations

import base64
import importlib.util
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_plane import free_port
from cluster_world import DISK, WEB, World, declared, request, until

if "imaging" not in sys.modules:
    _spec = importlib.util.spec_from_file_location(
        "imaging", Path(__file__).parents[1] / "chart" / "imaging.py"
    )
    assert _spec is not None and _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["imaging"] = _module
    _spec.loader.exec_module(_module)

from imaging import PODMAN, RESTRICTED, image

Contained = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def contained(tmp_path: Path) -> Iterator[Contained]:
    """Starts a container on the host's network, read-only and without capabilities; all are ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(
        *arguments: str, environment: dict[str, str], options: tuple[str, ...] = ()
    ) -> subprocess.Popen[str]:
        given = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
        command = [
            *PODMAN,
            "run",
            "--rm",
            "--network=host",
            *RESTRICTED,
            *given,
            *options,
            image(),
            *arguments,
        ]
        with (tmp_path / f"{arguments[0]}.log").open("w") as log:
            started.append(subprocess.Popen(command, stdout=log, stderr=log, text=True))
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.terminate()
            process.wait(60)


def test_a_receiver_without_any_permission_enforces_what_the_operator_publishes(
    world: World, contained: Contained, postgresql_url: str, tmp_path: Path
) -> None:
    """The operator's container has the kubeconfig, the receiver's has none; between them is the database alone."""
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_bytes(world.grant().read_bytes())
    os.chown(kubeconfig, 65532, 65532)
    shared = {
        "TOCSIN_DATABASE": postgresql_url,
        "TOCSIN_SECRET_KEY": base64.b64encode(secrets.token_bytes(32)).decode(),
    }
    port, health = free_port(), free_port()
    contained(
        "operator",
        "--namespace",
        world.namespace,
        environment={**shared, "KUBECONFIG": "/kubeconfig", "TOCSIN_HEALTH_LISTEN": f"127.0.0.1:{health}"},
        options=(f"--volume={kubeconfig}:/kubeconfig:ro",),
    )
    receiver = contained("receiver", environment={**shared, "TOCSIN_LISTEN": f"127.0.0.1:{port}"})
    world.apply(declared("Integration", "web", WEB), declared("AlertRoute", "disk", DISK))
    base = f"http://127.0.0.1:{port}"
    until(lambda: request("GET", f"{base}/readyz").status == 200, "the receiver is ready")
    until(lambda: request("GET", f"http://127.0.0.1:{health}/readyz").status == 200, "the operator is ready")
    world.wait_ready("integration/web", "alertroute/disk")
    token = base64.b64decode(world.get("secret", "web-endpoint")["data"]["token"]).decode()
    answer = request("POST", f"{base}/integrations/v1/webhook/{token}/", {"kind": "disk"})
    assert answer.status == 200, answer.body
    assert answer.json["route"] == f"{world.namespace}/disk"
    receiver.terminate()
    assert receiver.wait(60) == 0
