"""The processes that are measured: started on free ports of loopback, ended with the block that started them."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
START_WITHIN = 180.0
"""Seconds. A flow of 10,000 resources is compiled and linked first, perhaps on a busy machine."""

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12
"""Fields of `/proc/PID/stat` after the command's name."""


class ServerFailed(Exception):
    """A server ended or did not answer in time; the message holds the end of its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A process that answers at `base`."""

    process: subprocess.Popen[bytes]
    base: str

    @property
    def processor_seconds(self) -> float:
        """User and system time of all its threads, to a hundredth of a second."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
        return (int(fields[_USER]) + int(fields[_SYSTEM])) * _TICK


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def work_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tocsin-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def started(command: Sequence[str], port: int, log: Path) -> Iterator[Server]:
    """Runs the command until the block ends. Raises ServerFailed if nothing answers at the port."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TOCSIN_")}
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, env=environment)
    try:
        server = Server(process, f"http://127.0.0.1:{port}")
        _wait(server, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: Server, log: Path) -> None:
    deadline = time.monotonic() + START_WITHIN
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            urllib.request.urlopen(f"{server.base}/-/ready", timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            if error.code == 404:  # the bare handler answers one path only
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise ServerFailed(f"no answer from {server.process.args!r}:\n{log.read_text(errors='replace')[-2000:]}")


@contextmanager
def bare(work: Path) -> Iterator[Server]:
    port = free_port()
    with started([sys.executable, "-m", "bench.bare", str(port)], port, work / f"bare-{port}.log") as server:
        yield server


@contextmanager
def tocsin(work: Path, folder: Path, *more: str) -> Iterator[Server]:
    """The whole of `tocsin run` on a folder of manifests, with a new database in `work` and `more` options."""
    port = free_port()
    database = work / f"database-{port}"
    options = ["--listen", f"127.0.0.1:{port}", "--database", f"sqlite:///{database}/tocsin.db"]
    command = [sys.executable, "-m", "tocsin", "run", str(folder), *options, "--log-level", "error", *more]
    with started(command, port, work / f"tocsin-{port}.log") as server:
        yield server


def alert_urls(server: Server) -> dict[str, str]:
    """Of a running Tocsin: `namespace/name` -> where alerts are sent."""
    address = f"{server.base}/api/v1/endpoints?url={server.base}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        return {f"{one['namespace']}/{one['name']}": one["url"] for one in json.load(answer)}


@contextmanager
def alertmanager(work: Path, configuration: str) -> Iterator[Server]:
    """Debian's Alertmanager, alone. What it takes is not durable: it keeps alerts in memory."""
    port = free_port()
    home = work / f"alertmanager-{port}"
    home.mkdir()
    (home / "alertmanager.yml").write_text(configuration)
    command = [
        _binary("prometheus-alertmanager"),
        f"--config.file={home}/alertmanager.yml",
        f"--storage.path={home}/data",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
        "--log.level=error",
    ]
    with started(command, port, home / "log") as server:
        yield server


def _binary(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise ServerFailed(f"{name} is missing: `make services` installs it")
    return found
