"""`make dist`: everything of a release in dist/, with checksums.

    tocsin-<version>-py3-none-any.whl, tocsin-<version>.tar.gz    the package
    requirements.txt    its dependencies with hashes
    tocsin-<version>.tgz    the Helm chart
    install.yaml    the same with its default values, for `kubectl apply --server-side`
    crds.yaml    the CustomResourceDefinitions alone
    tocsin-<version>.cdx.json    the software bill of materials
    SHA256SUMS    digests of all of these

`make image` needs the package and its dependencies only: `dist.py --package`.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import lock
import sbom

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "tocsin"
NAMESPACE = "tocsin-system"
_RESTRICTED = f"""\
apiVersion: v1
kind: Namespace
metadata:
  name: {NAMESPACE}
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/warn: restricted
"""


def version() -> str:
    """The one of package, chart and image."""
    text = (ROOT / "operator" / "tocsin" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "([^"]+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("operator/tocsin/__init__.py states no __version__")
    return found[1]


def main(out: Path, *, package_only: bool) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for old in out.iterdir():
        if old.is_file():
            old.unlink()
    _package(out)
    if not package_only:
        _cluster(out)
    _sums(out)
    for file in sorted(out.iterdir()):
        print(file)


def _package(out: Path) -> None:
    _run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-t", "sdist", "-d", str(out))
    (out / "requirements.txt").write_text(lock.requirements(), encoding="utf-8")
    bill = json.dumps(sbom.document(version()), indent=1) + "\n"
    (out / f"tocsin-{version()}.cdx.json").write_text(bill, encoding="utf-8")


def _cluster(out: Path) -> None:
    helm = _helm()
    _run(helm, "package", str(CHART), "--destination", str(out))
    rendered = _run(helm, "template", "tocsin", str(CHART), "--namespace", NAMESPACE, "--skip-tests")
    (out / "install.yaml").write_text(f"{_RESTRICTED}{rendered}", encoding="utf-8")
    crds = (path.read_text(encoding="utf-8") for path in sorted((ROOT / "crds").glob("*.yaml")))
    (out / "crds.yaml").write_text("".join(crds), encoding="utf-8")


def _sums(out: Path) -> None:
    lines = [
        f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(out.iterdir())
    ]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


def _helm() -> str:
    """Helm from the path, else the one that the tests use."""
    found = shutil.which("helm")
    if found is not None:
        return found
    sys.path.insert(0, str(ROOT / "tests" / "cluster"))
    from binaries import client_binaries  # type: ignore[import-not-found]

    return str(client_binaries() / "helm")


def _run(*command: str) -> str:
    """Its output. Files that carry times carry that of the last commit, so that building twice gives the same bytes."""
    git = ["git", "log", "-1", "--format=%ct"]
    moment = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    environment = {"SOURCE_DATE_EPOCH": moment or "0", **os.environ}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command[:4])} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


if __name__ == "__main__":
    given = [argument for argument in sys.argv[1:] if argument != "--package"]
    main(Path(given[0] if given else ROOT / "dist"), package_only="--package" in sys.argv)
