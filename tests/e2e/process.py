"""A real `tocsin run` in a process of its own, on a free loopback port, with a database in a temporary folder."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Answer:
    status: int
    body: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, url: str, body: Any = None, headers: dict[str, str] | None = None, *, timeout: float = 30
) -> Answer:
    """One HTTP exchange. A dict or list is sent as JSON, bytes and text as they are; HTTP errors are answers."""
    data = (
        body
        if isinstance(body, bytes) or body is None
        else body.encode()
        if isinstance(body, str)
        else json.dumps(body).encode()
    )
    sent = {"Content-Type": "application/json", **(headers or {})}
    call = urllib.request.Request(url, data=data, method=method, headers=sent)
    try:
        with urllib.request.urlopen(call, timeout=timeout) as response:
            return Answer(response.status, response.read(), dict(response.headers))
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.read(), dict(error.headers))


@dataclass
class Tocsin:
    """`tocsin run`, or one role of it, as users start it. `start` returns once it is ready; `kill` is kill -9, `stop` is SIGTERM."""

    folder: Path
    database: str
    port: int = field(default_factory=free_port)
    arguments: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ("run",)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self.folder.parent.joinpath(f"tocsin-{self.port}.log").read_text()

    def start(self, *, wait: bool = True) -> Tocsin:
        log = self.folder.parent.joinpath(f"tocsin-{self.port}.log").open("ab")
        command = [
            sys.executable,
            "-m",
            "tocsin",
            *self.command,
            *((str(self.folder),) if self.command == ("run",) else ()),
            "--health-listen" if self.command == ("dispatcher",) else "--listen",
            f"127.0.0.1:{self.port}",
            "--database",
            self.database,
        ]
        self.process = subprocess.Popen(
            [*command, *self.arguments], stdout=log, stderr=log, env={**os.environ, **self.environment}
        )
        log.close()
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.process is not None and self.process.poll() is not None:
                raise AssertionError(f"tocsin ended with {self.process.returncode}:\n{self.log}")
            try:
                if request("GET", f"{self.base}/-/ready", timeout=2).status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f"tocsin was not ready in {seconds} s:\n{self.log}")

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)

    def endpoints(self) -> dict[str, dict[str, Any]]:
        """`namespace/name` -> what `tocsin endpoints -o json` says of it."""
        output = subprocess.run(
            [sys.executable, "-m", "tocsin", "endpoints", "--url", self.base, "-o", "json"],
            check=True,
            capture_output=True,
            timeout=60,
        ).stdout
        return {f"{e['namespace']}/{e['name']}": e for e in json.loads(output)}

    def get(self, path: str) -> Any:
        answer = request("GET", self.base + path)
        assert answer.status == 200, (answer.status, answer.body)
        return answer.json

    def groups(self, query: str = "") -> list[dict[str, Any]]:
        results = self.get("/api/v1/alert_groups" + (f"?{query}" if query else ""))["results"]
        assert isinstance(results, list)
        return results

    def eventually(self, check: Any, *, seconds: float = 30, what: str = "") -> Any:
        """The first truthy result of `check()`; fails with `what` after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            result = check()
            if result:
                return result
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds} s: {what}\n{self.log[-4000:]}")
            time.sleep(0.05)
