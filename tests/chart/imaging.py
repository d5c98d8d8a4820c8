"""The container image, built as `make image` does, and containers of it: podman with runc, where no registry is reached."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE = "localhost/tocsin-base:bookworm"
IMAGE = "localhost/tocsin:test"
# Containers of a CI machine may not raise limits above its own.
LIMITS = ("--ulimit", "nofile=1024:4096", "--ulimit", "nproc=4096:8192")
PODMAN = ("podman", "--runtime", "runc", "--cgroup-manager", "cgroupfs")
RESTRICTED = (*LIMITS, "--read-only", "--cap-drop=all", "--security-opt=no-new-privileges", "--tmpfs=/tmp")


@cache
def image() -> str:
    """The name of the image, built once per session. Fails the test with one line where programs are missing."""
    missing = [program for program in ("podman", "runc", "debootstrap") if shutil.which(program) is None]
    if missing:
        pytest.fail(
            f"the image tests need {', '.join(missing)}: .ci/services installs them on Debian", pytrace=False
        )
    flags = f"--isolation chroot --network host {' '.join(LIMITS)}"
    environment = {**os.environ, "BUILDER": "podman", "BASE": BASE, "IMAGE": IMAGE, "BUILD_FLAGS": flags}
    # Two workers may want it at once, and both would build in dist/.
    with (Path(tempfile.gettempdir()) / "tocsin-test-image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run(ROOT / "release" / "base.sh", BASE)
        _run(sys.executable, ROOT / "release" / "dist.py", "--package")
        _run(ROOT / "release" / "image.sh", environment=environment)
    return IMAGE


def run(*arguments: str, options: tuple[str, ...] = ()) -> str:
    """What a container prints, under the restrictions that the chart gives its pods, without a network."""
    command = [*PODMAN, "run", "--rm", "--network=none", *RESTRICTED, *options, image(), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _run(*command: str | Path, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
    )
    if done.returncode != 0:
        pytest.fail(f"{command[0]}: {(done.stderr or done.stdout)[-2000:]}", pytrace=False)
