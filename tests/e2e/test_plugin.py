"""`kubectl tocsin`: the same commands, through kubectl's own connection."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tocsin_process import Tocsin, request

WEB = "apiVersion: tocsin.dev/v1alpha1\nkind: Integration\nmetadata: {name: web}\nspec: {type: webhook}\n"
# What kubectl prints; a kubelet, which really forwards, no test has.
KUBECTL = """#!/bin/sh
echo "$@" >>{calls}
case "$*" in
  *port-forward*broken*) echo 'error: services "broken-console" not found' >&2; exit 1;;
  *port-forward*) echo "Forwarding from 127.0.0.1:{port} -> 8081"; trap 'echo ended >>{calls}; exit 0' TERM; sleep 60 & wait;;
  *config*view*) printf team;;
esac
"""


@pytest.fixture
def kubectl_tocsin(
    tocsin: Callable[..., Tocsin], tmp_path: Path
) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the plugin with a kubectl that forwards to a Tocsin on loopback; `calls` is what it was asked."""
    instance = tocsin({"flow.yaml": WEB})
    request("POST", instance.endpoints()["default/web"]["url"], {"title": "seen"})
    programs = tmp_path / "programs"
    programs.mkdir()
    kubectl = programs / "kubectl"
    kubectl.write_text(KUBECTL.format(port=instance.port, calls=tmp_path / "calls"))
    kubectl.chmod(kubectl.stat().st_mode | stat.S_IXUSR)

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", "from tocsin.cli.plugin import main; main()", *arguments]
        path = f"{programs}:{os.environ['PATH']}"
        return subprocess.run(
            command,
            env={**os.environ, "PATH": path, **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run


def test_it_finds_the_tocsin_of_the_cluster(kubectl_tocsin, tmp_path: Path) -> None:
    """By a forwarded port, ended with the command; flags of kubectl are passed on."""
    done = kubectl_tocsin("-n", "alerts", "--context", "prod", "--release", "bell", "groups")
    assert done.returncode == 0 and "seen" in done.stdout, done
    assert (tmp_path / "calls").read_text().splitlines() == [
        "--namespace=alerts --context=prod port-forward --address=127.0.0.1 service/bell-console :8081",
        "ended",
    ]


def test_urls_are_those_of_the_cluster(kubectl_tocsin, tmp_path: Path) -> None:
    """`endpoints` names the Service, whatever port was forwarded; `send` posts through a port of its own."""
    listed = kubectl_tocsin("endpoints")
    assert "http://tocsin.team.svc:8080/integrations/v1/webhook/" in listed.stdout, listed
    (tmp_path / "alert.json").write_text('{"title": "sent"}')
    sent = kubectl_tocsin("send", "web", str(tmp_path / "alert.json"))
    assert sent.returncode == 0, sent
    calls = (tmp_path / "calls").read_text()
    assert "service/tocsin-console :8081" in calls and "service/tocsin :8080" in calls
    assert "sent" in kubectl_tocsin("groups").stdout


def test_a_tocsin_that_is_not_there(kubectl_tocsin) -> None:
    """In one line, with kubectl's own words."""
    done = kubectl_tocsin("--release", "broken", "groups")
    assert done.returncode == 1
    assert done.stderr == (
        'Error: error: services "broken-console" not found (is this Tocsin\'s --namespace and --release?)\n'
    )


def test_a_given_url_is_used(kubectl_tocsin, tmp_path: Path) -> None:
    """Nothing is forwarded then."""
    done = kubectl_tocsin("groups", TOCSIN_URL="http://127.0.0.1:1")
    assert "no Tocsin answers at http://127.0.0.1:1" in done.stderr
    assert not (tmp_path / "calls").exists()
