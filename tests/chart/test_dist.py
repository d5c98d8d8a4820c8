"""`make dist`: what is in a release, and that it can be used as it is."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from charting import CHART, NAMESPACE, ROOT, helm, of_kind, parsed

from tocsin import __version__

NAMES = {
    "SHA256SUMS",
    "crds.yaml",
    "install.yaml",
    "requirements.txt",
    f"tocsin-{__version__}-py3-none-any.whl",
    f"tocsin-{__version__}.cdx.json",
    f"tocsin-{__version__}.tar.gz",
    f"tocsin-{__version__}.tgz",
}


def build(out: Path) -> Path:
    done = subprocess.run(
        [sys.executable, ROOT / "release" / "dist.py", out], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("dist"))


def wheel(dist: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(dist / f"tocsin-{__version__}-py3-none-any.whl")


def test_a_release_is_complete_and_its_digests_hold(dist: Path) -> None:
    """Every file is listed in SHA256SUMS, and no other."""
    assert {file.name for file in dist.iterdir()} == NAMES
    lines = (dist / "SHA256SUMS").read_text(encoding="ascii").splitlines()
    sums = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert sums.keys() == NAMES - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((dist / name).read_bytes()).hexdigest() == digest


def test_the_package_is_the_same_each_time(dist: Path, tmp_path: Path) -> None:
    """Built from the same commit it has the same bytes, and so have manifests and bill of materials.

    Only Helm writes the time of packing into the chart's archive.
    """
    again = build(tmp_path)
    for name in NAMES - {"SHA256SUMS", f"tocsin-{__version__}.tgz"}:
        assert (again / name).read_bytes() == (dist / name).read_bytes(), name


def test_the_wheel_holds_the_package_and_the_crds(dist: Path) -> None:
    """Nothing else: no tests, no folder `operator`."""
    names = wheel(dist).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"tocsin", f"tocsin-{__version__}.dist-info"}
    for crd in (ROOT / "crds").glob("*.yaml"):
        assert wheel(dist).read(f"tocsin/crds/{crd.name}") == crd.read_bytes()
    assert not [name for name in names if "__pycache__" in name or name.endswith(".pyc")]


@pytest.mark.parametrize("name", [f"tocsin-{__version__}-py3-none-any.whl", f"tocsin-{__version__}.tar.gz"])
def test_the_package_works_outside_of_the_source_tree(dist: Path, tmp_path: Path, name: str) -> None:
    """Installed into an empty folder, from the wheel or from source, it judges an example with the CRDs that it carries."""
    place = tmp_path / "installed"
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-build-isolation",
    ]
    subprocess.run([*pip, "--target", place, dist / name], check=True, capture_output=True, timeout=120)

    def tocsin(*arguments: str | Path) -> str:
        code = "import tocsin, sys; sys.stderr.write(tocsin.__file__); from tocsin.cli import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            cwd=tmp_path,
            env={"PYTHONPATH": str(place), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.stderr.startswith(str(place)), done.stderr
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert tocsin("--version").strip().endswith(__version__)
    tocsin("lint", "--strict", ROOT / "examples" / "label-routing")


def test_the_source_archive_holds_what_the_wheel_is_built_from(dist: Path) -> None:
    """Package, CRDs, chart and examples."""
    with tarfile.open(dist / f"tocsin-{__version__}.tar.gz") as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {
        "pyproject.toml",
        "LICENSE",
        "NOTICE",
        "operator/tocsin/__init__.py",
        "charts/tocsin/Chart.yaml",
    } <= names
    assert {f"crds/{path.name}" for path in (ROOT / "crds").glob("*.yaml")} <= names


def test_the_chart_archive_renders_what_the_folder_renders(dist: Path) -> None:
    """And no file of it gets lost on the way."""
    archive = dist / f"tocsin-{__version__}.tgz"
    one, other = (helm("template", "tocsin", chart, "--namespace", NAMESPACE) for chart in (archive, CHART))
    assert one.returncode == 0, one.stderr
    assert one.stdout == other.stdout
    with tarfile.open(archive) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert names == {str(path.relative_to(CHART)) for path in CHART.rglob("*") if path.is_file()}


def test_the_release_record_fits_into_a_secret(dist: Path) -> None:
    """Helm keeps chart and manifest in a Secret of at most 1 MiB; half of that is room for more."""
    archive = (dist / f"tocsin-{__version__}.tgz").stat().st_size
    manifest = len((dist / "install.yaml").read_bytes())
    assert (archive + manifest / 4) * 4 / 3 < 512 * 1024


def test_install_yaml_installs_without_helm(dist: Path) -> None:
    """Namespace first, CRDs, and everything of the chart's default values; no hooks of Helm, no secrets."""
    found = tuple(parsed((dist / "install.yaml").read_text(encoding="utf-8")))
    assert (found[0]["kind"], found[0]["metadata"]["name"]) == ("Namespace", NAMESPACE)
    assert found[0]["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert not [m for m in found if "helm.sh/hook" in (m["metadata"].get("annotations") or {})]
    assert of_kind(found, "Secret") == []
    crds = len(list((ROOT / "crds").glob("*.yaml")))
    assert len(of_kind(found, "CustomResourceDefinition")) == crds
    assert len(of_kind(found, "Deployment")) == 1
    assert {m["metadata"]["namespace"] for m in found if "namespace" in m["metadata"]} == {NAMESPACE}


def test_crds_yaml_is_the_crds(dist: Path) -> None:
    """For those who install them by themselves."""
    found = list(parsed((dist / "crds.yaml").read_text(encoding="utf-8")))
    wanted = [
        yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "crds").glob("*.yaml"))
    ]
    assert found == wanted


def test_the_bill_of_materials_is_that_of_what_runs(dist: Path) -> None:
    """CycloneDX: every pinned package of the image, each reachable from Tocsin, none of the development tools."""
    bill = json.loads((dist / f"tocsin-{__version__}.cdx.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", bill["serialNumber"])
    refs = [component["bom-ref"] for component in bill["components"]]
    assert len(refs) == len(set(refs)) > 30
    pinned = re.findall(
        r"^([a-zA-Z0-9._-]+)==(\S+)", (dist / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert [(c["name"], c["version"]) for c in bill["components"]] == pinned
    assert not {name for name, _ in pinned} & {"pytest", "ruff", "mypy", "hatchling", "hypothesis"}
    needs = {entry["ref"]: entry["dependsOn"] for entry in bill["dependencies"]}
    root = bill["metadata"]["component"]["bom-ref"]
    reached, waiting = set(), [root]
    while waiting:
        ref = waiting.pop()
        if ref not in reached:
            reached.add(ref)
            waiting += needs[ref]
    assert reached == {root, *refs}
    for component in bill["components"]:
        assert component["externalReferences"][0]["hashes"]


def test_what_is_installed_is_what_the_bill_says(dist: Path) -> None:
    """The project's own list of dependencies is covered by it, and of what is optional there is nothing."""
    metadata = wheel(dist).read(f"tocsin-{__version__}.dist-info/METADATA").decode()
    lines = re.findall(r"^Requires-Dist: (.+)$", metadata, re.MULTILINE)
    needed, optional = (
        {re.split(r"[\[<>=; ]", line, maxsplit=1)[0] for line in lines if ("extra ==" in line) is of_an_extra}
        for of_an_extra in (False, True)
    )
    bill = json.loads((dist / f"tocsin-{__version__}.cdx.json").read_text(encoding="utf-8"))
    listed = {component["name"] for component in bill["components"]}
    assert needed <= listed
    assert not optional & listed
    assert needed
