"""What the chart tells its pods works: each role as a process, with the environment and the account of its Deployment."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from cluster_pods import Pods
from cluster_world import DISK, WEB, World, declared, request, until


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
