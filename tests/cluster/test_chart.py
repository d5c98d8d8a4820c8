"""The chart on a real API server: every manifest is taken, pods pass the restricted standard, and it leaves without a trace."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cluster_plane import Plane
from cluster_world import CHART, Operated, World, until

ROOT = Path(__file__).parents[2]
GOLDENS = ROOT / "tests" / "chart" / "golden"
(PREVIOUS,) = (ROOT / "tests" / "upgrade" / "previous").glob("tocsin-*.tgz")
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDENS.glob("*.in.yaml"))
# Kinds of others, whose CRDs are not on this server.
FOREIGN = ("cert-manager.io", "gateway.networking.k8s.io", "gateway.nginx.org", "monitoring.coreos.com")


def names(world: World, kind: str) -> set[str]:
    return {item["metadata"]["name"] for item in world.items(kind)}


def known(text: str) -> list[dict[str, Any]]:
    """The manifests that this server has kinds for."""
    return [
        document
        for document in yaml.safe_load_all(text)
        if document and document["apiVersion"].partition("/")[0] not in FOREIGN
    ]


def dry_run(plane: Plane, manifests: list[dict[str, Any]]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
    plane.kubectl(
        "apply",
        "--server-side",
        "--dry-run=server",
        "--validate=strict",
        "--force-conflicts",
        "-f",
        "-",
        text=text,
    )


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_takes_every_manifest(plane: Plane, case: str) -> None:
    """Strictly validated: no unknown field, no value that is out of place."""
    manifests = known((GOLDENS / f"{case}.out.yaml").read_text(encoding="utf-8"))
    for namespace in {m["metadata"].get("namespace", "default") for m in manifests} - {"default"}:
        if not plane.kubectl("get", "namespace", namespace, "--ignore-not-found"):
            plane.kubectl("create", "namespace", namespace)
    dry_run(plane, manifests)


def test_one_pod_comes_up_restricted(release: Callable[..., World]) -> None:
    """The controllers may create its pod, bound to its volume claim; no Secret is made by the release itself."""
    world = release()
    pods = until(lambda: len(found := world.items("pods")) == 2 and found, "the pod, and that of the Job")
    (pod,) = (pod for pod in pods if pod["spec"]["serviceAccountName"] == "tocsin")
    mounted = [volume["name"] for volume in pod["spec"]["volumes"]]
    assert [name for name in mounted if name.startswith("kube-api-access")]
    assert names(world, "persistentvolumeclaims") == {"tocsin-data"}
    assert {s["type"] for s in world.items("secrets")} == {"helm.sh/release.v1"}


def test_roles_of_their_own_come_up_restricted(release: Callable[..., World]) -> None:
    """Two pods of each; only the operator's have a token of the API server."""
    world = release("mode=scaled", "database.existingSecret=pg")
    pods = until(lambda: len(found := world.items("pods")) == 8 and found, "eight pods")
    for pod in pods:
        role = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        tokens = [v for v in pod["spec"]["volumes"] if v["name"].startswith("kube-api-access")]
        assert bool(tokens) == (role == "operator")
        assert pod["spec"]["serviceAccountName"] == f"tocsin-{role}"


def test_from_one_pod_to_scaled_and_back(release: Callable[..., World]) -> None:
    """An upgrade replaces the Deployments, keeps the volume, and changes no immutable field."""
    world = release()
    release("mode=scaled", "database.existingSecret=pg", "scope.cluster=true")
    assert names(world, "deployments") == {
        f"tocsin-{r}" for r in ("operator", "receiver", "dispatcher", "console")
    }
    assert names(world, "persistentvolumeclaims") == {"tocsin-data"}
    release()
    assert names(world, "deployments") == {"tocsin"}
    assert names(world, "persistentvolumeclaims") == {"tocsin-data"}


@pytest.mark.parametrize(
    "values", [(), ("mode=scaled", "database.existingSecret=pg")], ids=["one pod", "scaled"]
)
def test_from_the_previous_chart_and_back(release: Callable[..., World], values: tuple[str, ...]) -> None:
    """With the same values: no immutable field, no other names, the volume stays; `helm rollback` undoes it."""
    world = release(*values, chart=PREVIOUS)
    before = {kind: names(world, kind) for kind in ("deployments", "services", "persistentvolumeclaims")}
    release(*values)
    assert {kind: names(world, kind) for kind in before} == before
    world.plane.helm("rollback", "tocsin", "1", "-n", world.namespace)
    assert {kind: names(world, kind) for kind in before} == before


def test_an_upgrade_that_changes_nothing_changes_nothing(release: Callable[..., World]) -> None:
    """The Deployment has the same generation, so that no pod is replaced."""
    world = release()
    before = world.get("deployment", "tocsin")["metadata"]["generation"]
    release()
    assert world.get("deployment", "tocsin")["metadata"]["generation"] == before


def test_uninstalling_leaves_what_it_says_and_nothing_hangs(release: Callable[..., World]) -> None:
    """The claim stays; the namespace can be deleted at once."""
    world = release()
    world.plane.helm("uninstall", "tocsin", "-n", world.namespace, "--wait")
    assert names(world, "deployments") == set()
    assert names(world, "persistentvolumeclaims") == {"tocsin-data"}
    assert "tocsin" not in names(world, "roles")
    assert f"{world.namespace}-tocsin" not in world.plane.kubectl(
        "get", "validatingwebhookconfigurations", "-o", "name"
    )
    world.plane.kubectl("delete", "namespace", world.namespace, "--timeout=60s")


def test_crds_stay_when_the_release_goes(restricted: World) -> None:
    """And with them everybody's objects."""
    plane, namespace = restricted.plane, restricted.namespace
    plane.helm("install", "tocsin", str(CHART), "-n", namespace, "--take-ownership")
    plane.helm("uninstall", "tocsin", "-n", namespace)
    assert "integrations.tocsin.dev" in plane.kubectl("get", "crds", "-o", "name")
    assert restricted.items("integrations") == []


def test_a_release_can_be_installed_from_its_files(plane: Plane, tmp_path: Path) -> None:
    """`kubectl apply --server-side -f install.yaml`, strictly validated; crds.yaml and the chart's archive likewise."""
    built = [sys.executable, str(ROOT / "release" / "dist.py"), str(tmp_path)]
    subprocess.run(built, check=True, capture_output=True, timeout=120)
    if not plane.kubectl("get", "namespace", "tocsin-system", "--ignore-not-found"):
        plane.kubectl("create", "namespace", "tocsin-system")
    for file in ("install.yaml", "crds.yaml"):
        strictly = ("--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
        plane.kubectl("apply", *strictly, "-f", str(tmp_path / file))
    (archive,) = tmp_path.glob("tocsin-*.tgz")
    plane.helm("install", "packed", str(archive), "--dry-run=server", "--set", "crds.enabled=false")


def test_what_helm_test_does_succeeds(world: World, tocsin: Callable[..., Operated], tmp_path: Path) -> None:
    """Its Integration gets its endpoint Secret; its script posts through that URL, and sees the group open and close."""
    running = tocsin(wait=True)
    text = world.plane.helm(
        "template", "tocsin", str(CHART), "-n", world.namespace, "--show-only=templates/tests/alert.yaml"
    )
    documents = {document["kind"]: document for document in yaml.safe_load_all(text) if document}
    world.apply(documents["Integration"])
    world.wait_ready("integration/tocsin-test")
    (volume,) = [v["secret"] for v in documents["Pod"]["spec"]["volumes"] if "secret" in v]
    secret = world.get("secret", volume["secretName"])
    assert {item["key"] for item in volume["items"]} <= secret["data"].keys() | {"url"}
    (tmp_path / "url").write_text(running.url("tocsin-test"))
    script = tmp_path / "test.py"
    script.write_text(documents["ConfigMap"]["data"]["test.py"])
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    opened, resolved = (json.loads(line.partition(":")[2]) for line in done.stdout.splitlines())
    assert (opened["state"], resolved["state"]) == ("firing", "resolved")


def test_endpoint_secrets_hold_the_urls_that_the_chart_says(
    world: World, tocsin: Callable[..., Operated]
) -> None:
    """Inside the Service's name, outside `externalUrl`, both as the pod is told by its environment."""
    text = world.plane.helm(
        *(
            "template",
            "tocsin",
            str(CHART),
            "-n",
            world.namespace,
            "--set",
            "externalUrl=https://alerts.example.org",
        ),
        "--show-only=templates/deployment.yaml",
    )
    (deployment,) = (document for document in yaml.safe_load_all(text) if document)
    told = {
        e["name"]: e.get("value", "") for e in deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    }
    urls = {name: told[name] for name in ("TOCSIN_INTERNAL_URL", "TOCSIN_EXTERNAL_URL")}
    tocsin(environment=urls)
    world.apply(
        {
            "apiVersion": "tocsin.dev/v1alpha1",
            "kind": "Integration",
            "metadata": {"name": "web"},
            "spec": {"type": "webhook"},
        }
    )
    world.wait_ready("integration/web")
    data = {k: base64.b64decode(v).decode() for k, v in world.get("secret", "web-endpoint")["data"].items()}
    path = f"/integrations/v1/webhook/{data['token']}/"
    assert data["url"] == f"http://tocsin.{world.namespace}.svc:8080{path}"
    assert data["externalUrl"] == f"https://alerts.example.org{path}"


def test_the_webhook_becomes_trusted_and_stays_so(release: Callable[..., World], tmp_path: Path) -> None:
    """The Job's script, with its own account: waits for the Secret, puts the authority in; an upgrade leaves it there."""
    world = release()
    plane, name = world.plane, f"{world.namespace}-tocsin"
    token = world.kubectl("create", "token", "tocsin-trust").strip()
    for file, text in (
        ("token", token),
        ("namespace", world.namespace),
        ("ca.crt", plane.authority.read_text()),
    ):
        (tmp_path / file).write_text(text)
    code = f"import trust, pathlib, sys; sys.exit(trust.main('tocsin-admission', '{name}', pathlib.Path('{tmp_path}'), 60) or None)"
    job = subprocess.Popen(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": str(CHART / "files"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(plane.port),
        },
    )
    world.kubectl("create", "secret", "generic", "tocsin-admission", f"--from-file=ca.crt={plane.authority}")
    assert job.wait(90) == 0

    def bundle() -> str:
        found = world.get("validatingwebhookconfiguration", name)
        return base64.b64decode(found["webhooks"][0]["clientConfig"].get("caBundle", "")).decode()

    assert bundle() == plane.authority.read_text()
    release("log.level=debug")
    assert bundle() == plane.authority.read_text()
