"""The container image: built, looked into, and run with the rights that pods have."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from charting import ROOT
from imaging import PODMAN, RESTRICTED, image, run

from tocsin import __version__

# One build for all of them, on one worker; the first on a machine makes its base from Debian's packages.
pytestmark = [pytest.mark.xdist_group("image"), pytest.mark.timeout(1200)]


def python(code: str) -> str:
    return run("-c", code, options=("--entrypoint", "python3"))


def test_the_image_has_the_version_of_the_package() -> None:
    """Its command says so, and its label."""
    assert run("--version").strip().endswith(__version__)
    label = '{{index .Labels "org.opencontainers.image.version"}}'
    inspected = subprocess.run(
        ["podman", "image", "inspect", "--format", label, image()], capture_output=True, text=True, check=True
    )
    assert inspected.stdout.strip() == __version__


def test_it_runs_as_nobody_and_writes_nowhere() -> None:
    """User 65532 by number, no capability, and nothing writable but what a pod mounts."""
    user = subprocess.run(
        ["podman", "image", "inspect", "--format", "{{.Config.User}}", image()],
        capture_output=True,
        text=True,
        check=True,
    )
    assert user.stdout.strip() == "65532:65532"
    found = json.loads(
        python(
            "import json, os\n"
            "status = dict(l.split(':', 1) for l in open('/proc/self/status'))\n"
            "places = ['/', '/opt/tocsin', '/var/lib/tocsin', '/usr', '/etc', '/home']\n"
            "print(json.dumps([os.getuid(), os.getgid(), int(status['CapEff'], 16),"
            " [p for p in places if os.access(p, os.W_OK)], os.access('/tmp', os.W_OK)]))"
        )
    )
    assert found == [65532, 65532, 0, [], True]


def test_it_holds_the_wheel_and_nothing_of_the_source_tree() -> None:
    """The package is where it was installed, with its CRDs and its bill of materials; no tests, no build tools."""
    found = json.loads(
        python(
            "import json, os, tocsin, pathlib\n"
            "from tocsin.api.crds import load_crds\n"
            "bill = json.load(open('/usr/share/doc/tocsin/sbom.cdx.json'))\n"
            "tops = sorted(p.name for p in pathlib.Path('/opt/tocsin').iterdir())\n"
            "print(json.dumps([tocsin.__file__, os.getcwd(), len(load_crds()), bill['metadata']['component']['version'],"
            " sorted(os.listdir('/opt/tocsin/bin')), tops]))"
        )
    )
    file, folder, crds, version, commands, tops = found
    assert (file, folder) == ("/opt/tocsin/tocsin/__init__.py", "/var/lib/tocsin")
    assert (crds, version) == (len(list((ROOT / "crds").glob("*.yaml"))), __version__)
    assert commands == ["kubectl-tocsin", "tocsin"]
    assert not {"pytest", "hypothesis", "ruff", "tests", "operator", "hatchling"} & set(tops)


def test_installed_is_what_the_bill_of_materials_lists() -> None:
    """Name and version of every distribution in the image's own folder."""
    installed, listed = json.loads(
        python(
            "import json\n"
            "from importlib.metadata import distributions\n"
            "norm = lambda n: n.lower().replace('_', '-').replace('.', '-')\n"
            "bill = json.load(open('/usr/share/doc/tocsin/sbom.cdx.json'))\n"
            "has = sorted([norm(d.name), d.version] for d in distributions(path=['/opt/tocsin']))\n"
            "says = sorted([norm(c['name']), c['version']] for c in [*bill['components'], bill['metadata']['component']])\n"
            "print(json.dumps([has, says]))"
        )
    )
    assert installed == listed


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def container(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """All roles on the quickstart, with a volume for SQLite, restricted as a pod is; the base of its URLs."""
    data = tmp_path / "data"
    data.mkdir()
    os.chown(data, 65532, 65532)
    port = _free_port()
    command = [
        *PODMAN,
        "run",
        "--rm",
        "--network=host",
        *RESTRICTED,
        f"--volume={ROOT / 'examples' / 'quickstart'}:/flow:ro",
        f"--volume={data}:/var/lib/tocsin",
        image(),
        "run",
        "/flow",
        "--listen",
        f"127.0.0.1:{port}",
        "--database",
        "sqlite:////var/lib/tocsin/tocsin.db",
    ]
    log = tmp_path / "log"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, text=True)
    base = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"{base}/readyz", timeout=2) as answer:
                if answer.status == 200:
                    break
        except OSError:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield base, process
    if process.poll() is None:
        process.kill()
        process.wait(30)


def test_a_container_takes_alerts_and_ends_when_told(container: tuple[str, subprocess.Popen[str]]) -> None:
    """SIGTERM to process 1 drains and ends it with 0."""
    base, process = container
    with urllib.request.urlopen(f"{base}/api/v1/endpoints", timeout=10) as answer:
        endpoints = json.load(answer)
    url = next(e["url"] for e in endpoints if e["type"] == "webhook")
    body = json.dumps({"title": "from a container"}).encode()
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["created"] is True
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def test_the_image_is_small() -> None:
    """Less than 200 MB beside its base: the package and its dependencies, nothing to build them with."""
    sizes = {}
    for name in (image(), "localhost/tocsin-base:bookworm"):
        done = subprocess.run(
            ["podman", "image", "inspect", "--format", "{{.Size}}", name],
            capture_output=True,
            text=True,
            check=True,
        )
        sizes[name] = int(done.stdout)
    assert max(sizes.values()) - min(sizes.values()) < 200_000_000
