"""Admission by a real API server: what kubectl says when a mistake is applied, and that it is never in anybody's way."""

from __future__ import annotations

import base64
import datetime as dt
import json
import os
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from cluster_plane import free_port
from cluster_world import CHART, DISK, WEB, Operated, World, declared, until
from cryptography import x509

from tocsin.control.kubernetes.admission.certificate import LIFETIME, Material, issue, renew
from tocsin.control.kubernetes.own_secrets import decoded, encoded

BROKEN = "{% set x = payload.kind %}\n{{ x == }}"
PLACE = "spec.match.template, line 2, column 9"


def route(name: str, template: str, parent: str = "web", **metadata: Any) -> dict[str, Any]:
    spec = {"parentRefs": [{"name": parent}], "match": {"template": template}}
    return declared("AlertRoute", name, spec, **metadata)


class Gate:
    """The chart's webhook on a Tocsin of this machine, which may also make it trusted."""

    def __init__(self, world: World, start: Callable[..., Operated]) -> None:
        self.world = world
        self._start = start
        self.port = free_port()
        self.name = f"{world.namespace}-tocsin"
        self.kubeconfig = world.grant()
        self.running: Operated | None = None

    def render(self, template: str, *values: str) -> list[dict[str, Any]]:
        settings = [word for value in values for word in ("--set", value)]
        text = self.world.plane.helm(
            *("template", "tocsin", str(CHART), "-n", self.world.namespace, *settings),
            f"--show-only=templates/{template}.yaml",
        )
        return [document for document in yaml.safe_load_all(text) if document]

    def install(self) -> None:
        """The webhook as the chart has it, but for its address, and the permission that comes with cluster scope."""
        (webhook,) = self.render("admission")
        webhook["webhooks"][0]["clientConfig"] = {"url": f"https://127.0.0.1:{self.port}/validate"}
        self.world.apply(webhook, *self.render("admission-trust", "scope.cluster=true"))

    def remove(self) -> None:
        for kind, name in (
            ("validatingwebhookconfiguration", self.name),
            ("clusterrole", f"{self.name}-trust"),
            ("clusterrolebinding", f"{self.name}-trust"),
        ):
            self.world.plane.kubectl("delete", kind, name, "--ignore-not-found")

    def start(self) -> Operated:
        """Returns once the API server asks here, which it does when it trusts the certificate."""
        self.running = self._start(
            arguments=(
                *("--admission-listen", f"127.0.0.1:{self.port}", "--admission-host", "127.0.0.1"),
                *("--admission-secret", "tocsin-admission", "--admission-webhook", self.name),
            ),
            kubeconfig=self.kubeconfig,
        )
        self.wait_asked()
        return self.running

    def start_without(self) -> Operated:
        """A Tocsin that nobody asks."""
        return self._start(kubeconfig=self.kubeconfig)

    def wait_asked(self) -> None:
        probe = route("probe", BROKEN)
        until(lambda: self.kubectl("apply", "--dry-run=server", "-f", "-", made=probe).returncode, "asked")

    def kubectl(
        self, *arguments: str, made: dict[str, Any] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """With what it says on standard error."""
        plane = self.world.plane
        environment = {**os.environ, "KUBECONFIG": str(plane.kubeconfig), "HOME": str(plane.folder)}
        return subprocess.run(
            [str(plane.clients / "kubectl"), "-n", self.world.namespace, *arguments],
            input=yaml.safe_dump(made) if made else "",
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def apply(self, made: dict[str, Any], *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.kubectl("apply", *arguments, "-f", "-", made=made)

    def asked(self) -> float:
        """How many questions were answered so far."""
        assert self.running is not None
        outcomes = ("allowed", "warned", "denied")
        return sum(
            self.running.metric("tocsin_admission_requests_total", outcome=outcome) or 0
            for outcome in outcomes
        )

    def bundle(self) -> str:
        found = self.world.get("validatingwebhookconfiguration", self.name)
        bundle: str = found["webhooks"][0]["clientConfig"].get("caBundle", "")
        return bundle

    def served(self) -> x509.Certificate:
        """The certificate that is shown now."""
        context = ssl.create_default_context(cadata=base64.b64decode(self.bundle()).decode())
        with (
            socket.create_connection(("127.0.0.1", self.port)) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as wrapped,
        ):
            shown = wrapped.getpeercert(binary_form=True)
        assert shown is not None
        return x509.load_der_x509_certificate(shown)


@pytest.fixture
def gate(world: World, tocsin: Callable[..., Operated]) -> Iterator[Gate]:
    made = Gate(world, tocsin)
    yield made
    made.remove()


def test_mistakes_show_at_apply(gate: Gate, world: World) -> None:
    """With field, line and column, and nothing is stored; what only looks wrong is a warning, and is stored."""
    gate.install()
    gate.start()
    refused = gate.apply(route("bad", BROKEN))
    assert refused.returncode != 0
    assert 'admission webhook "validate.tocsin.dev" denied the request: ' + PLACE in refused.stderr
    assert world.get("alertroute", "bad") == {}
    expression = declared("AlertRoute", "bad", {**DISK, "match": {"regex": "(?=x)"}})
    assert "spec.match.regex: " in gate.apply(expression).stderr
    unknown = declared("Integration", "bad", {"type": "weebhook"})
    assert "did you mean 'webhook'?" in gate.apply(unknown).stderr
    warned = gate.apply(route("odd", "payload.kind == 'disk'"))
    assert warned.returncode == 0, warned.stderr
    assert "Warning: spec.match.template: always prints" in warned.stderr
    assert world.get("alertroute", "odd") != {}
    generated = declared("Integration", "", WEB)
    generated["metadata"] = {"generateName": "web-"}
    assert gate.kubectl("create", "-f", "-", made=generated).returncode == 0


def test_references_may_lead_nowhere(gate: Gate, world: World) -> None:
    """Routes may come before their Integration; a name that is nearly right is named."""
    gate.install()
    gate.start()
    world.apply(declared("Integration", "web", WEB))
    world.wait_ready("integration/web")
    early = gate.apply(route("early", "{{ payload.a == 1 }}", "webb"))
    assert early.returncode == 0, early.stderr
    assert "Warning: spec.parentRefs[0]: Integration webb is not in namespace" in early.stderr
    assert "did you mean 'web'?" in early.stderr
    until(lambda: world.condition("alertroute", "early", "ResolvedRefs") == ("False", "RefNotFound"))
    credentials = {"mode": "Bearer", "bearer": {"secretRef": {"name": "later", "key": "k"}}}
    later = gate.apply(declared("Integration", "later", {**WEB, "auth": credentials}))
    assert (later.returncode, later.stderr) == (0, "")


def test_a_dry_run_is_honest(gate: Gate, world: World) -> None:
    """It says what an apply would say, and changes nothing; so does `kubectl diff`, which shows no difference for what is applied."""
    gate.install()
    gate.start()
    good, bad = route("x", "{{ payload.a == 1 }}"), route("x", BROKEN)
    before = gate.asked()
    assert gate.apply(good, "--dry-run=server").returncode == 0
    assert PLACE in gate.apply(bad, "--dry-run=server").stderr
    assert gate.asked() == before + 2
    assert world.items("alertroute") == []
    assert gate.apply(good).returncode == 0
    until(lambda: world.condition("alertroute", "x", "ResolvedRefs")[0])
    assert gate.kubectl("diff", "-f", "-", made=good).returncode == 0
    changed = gate.kubectl("diff", "-f", "-", made=route("x", "{{ payload.a == 2 }}"))
    assert changed.returncode == 1
    assert "+    template: '{{ payload.a == 2 }}'" in changed.stdout
    broken = gate.kubectl("diff", "-f", "-", made=bad)
    assert broken.returncode > 1
    assert PLACE in broken.stderr
    assert world.get("alertroute", "x")["spec"]["match"]["template"] == "{{ payload.a == 1 }}"
    assert gate.apply(good, "--server-side", "--force-conflicts").returncode == 0


def test_what_was_stored_before_may_be_changed_and_deleted(gate: Gate, world: World) -> None:
    """A mistake from before the webhook is no reason to refuse a label; a new one is, and a deletion is never refused."""
    running = gate.start_without()
    world.apply(declared("Integration", "web", WEB), route("old", BROKEN))
    until(lambda: world.condition("alertroute", "old") == ("False", "InvalidTemplate"))
    running.kill()
    gate.install()
    gate.start()
    labelled = gate.kubectl("label", "alertroute", "old", "team=a")
    assert labelled.returncode == 0, labelled.stderr
    assert f"Warning: {PLACE}" in labelled.stderr
    assert PLACE in gate.apply(route("new", BROKEN)).stderr
    assert "spec.match.template, line 1" in gate.apply(route("old", "{{ another mistake")).stderr
    scaled = gate.apply(route("old", BROKEN, labels={"team": "b"}))
    assert scaled.returncode == 0, scaled.stderr
    until(lambda: world.condition("alertroute", "old") == ("False", "InvalidTemplate"))
    kept = {"metadata": {"finalizers": ["example.org/wait"]}}
    assert gate.kubectl("patch", "alertroute", "old", "--type=merge", "-p", json.dumps(kept)).returncode == 0
    assert gate.kubectl("delete", "alertroute", "old", "--wait=false").returncode == 0
    freed = {"metadata": {"finalizers": None}}
    assert gate.kubectl("patch", "alertroute", "old", "--type=merge", "-p", json.dumps(freed)).returncode == 0
    until(lambda: world.get("alertroute", "old") == {})
    assert gate.apply(route("mended", "{{ payload.a == 1 }}")).stderr == ""


def test_nobody_waits_for_a_webhook_that_is_away(gate: Gate, world: World) -> None:
    """What it would have refused is taken, its status says the same, and it can be deleted; afterwards it is asked again."""
    gate.install()
    running = gate.start()
    running.kill()
    taken = gate.apply(route("bad", BROKEN))
    assert taken.returncode == 0, taken.stderr
    assert gate.kubectl("delete", "alertroute", "bad").returncode == 0
    assert gate.apply(route("bad", BROKEN)).returncode == 0
    gate.start()
    until(lambda: world.condition("alertroute", "bad", "PartiallyInvalid") == ("True", "InvalidTemplate"))
    assert gate.apply(route("also", BROKEN)).returncode != 0
    assert gate.kubectl("delete", "alertroute", "bad").returncode == 0


def test_the_certificate_is_renewed_and_stays_trusted(gate: Gate, world: World) -> None:
    """By the same authority, so the webhook is not touched again; after a restart nothing is made anew."""
    gate.install()
    running = gate.start()
    stored = world.get("secret", "tocsin-admission")
    assert stored["type"] == "kubernetes.io/tls"
    material = Material.of(decoded(stored))
    trusted, first = gate.bundle(), gate.served()
    assert base64.b64decode(trusted) == material.authority
    now = dt.datetime.now(dt.UTC)
    old = renew(material, ["127.0.0.1"], now - LIFETIME + dt.timedelta(days=5))
    patch = json.dumps({"data": encoded(old.data())})
    assert gate.kubectl("patch", "secret", "tocsin-admission", "-p", patch).returncode == 0
    until(lambda: gate.served().not_valid_after_utc > now + dt.timedelta(days=80) and gate.served() != first)
    renewed = gate.served()
    assert gate.bundle() == trusted
    assert PLACE in gate.apply(route("bad", BROKEN)).stderr
    running.kill()
    gate.start()
    assert gate.served() == renewed
    assert (
        world.kubectl(
            "get", "validatingwebhookconfiguration", gate.name, "-o", "jsonpath={.metadata.generation}"
        )
        == "2"
    )


def test_a_certificate_of_somebody_else_is_left_alone(gate: Gate, world: World) -> None:
    """One that cert-manager put into that Secret is used, trusted, and never written, however old."""
    now = dt.datetime.now(dt.UTC)
    theirs = issue(["127.0.0.1"], now - LIFETIME + dt.timedelta(days=5)).data()
    theirs.pop("ca.key")
    world.apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": "tocsin-admission"},
            "data": encoded(theirs),
        }
    )
    version = world.get("secret", "tocsin-admission")["metadata"]["resourceVersion"]
    gate.install()
    gate.start()
    assert PLACE in gate.apply(route("bad", BROKEN)).stderr
    assert gate.served().not_valid_after_utc < now + dt.timedelta(days=6)
    assert world.get("secret", "tocsin-admission")["metadata"]["resourceVersion"] == version
