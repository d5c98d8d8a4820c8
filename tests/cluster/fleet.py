"""Several processes of one installation, and senders that keep them busy."""

from __future__ import annotations

import base64
import os
import secrets
import threading
import time
from pathlib import Path
from typing import Self

from cluster_world import Operated, World, request, until

KEY = base64.b64encode(secrets.token_bytes(32)).decode()


class Fleet:
    """Processes of one installation: one database, one set of keys, one namespace."""

    def __init__(self, world: World, folder: Path, database: str) -> None:
        self.world = world
        self._folder = folder
        self._database = database
        self._kubeconfig = world.grant()
        self.processes: list[Operated] = []

    def start(self, role: str, *, wait: bool = True) -> Operated:
        # Only the operator may know of the cluster at all.
        kubeconfig = self._kubeconfig if role == "operator" else Path(os.devnull)
        listens = {"receiver": "--listen", "console": "--console-listen"}.get(role, "--health-listen")
        made = Operated(
            world=self.world,
            folder=self._folder / f"{role}-{len(self.processes)}",
            command=(role,),
            listens=listens,
            kubeconfig=kubeconfig,
            database=self._database,
            wait=wait,
            environment={"TOCSIN_SECRET_KEY": KEY},
        )
        self.processes.append(made)
        return made.start()

    def leader(self) -> Operated:
        """The operator that leads, once one does."""
        found: list[Operated] = until(
            lambda: [
                p
                for p in self.processes
                if p.command == ("operator",)
                and p.process is not None
                and p.process.poll() is None
                and p.metric("tocsin_operator_leader") == 1
            ]
        )
        assert len(found) == 1
        return found[0]


class Load:
    """Posts distinct alerts from several threads until it is left, and remembers every 2xx answer."""

    def __init__(self, url: str, *, senders: int = 4) -> None:
        self.url = url
        self.taken: list[int] = []
        self.refused: list[int] = []
        self._stop = threading.Event()
        self._numbers = iter(range(10**9))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send) for _ in range(senders)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def _send(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                number = next(self._numbers)
            status = request("POST", self.url, {"number": number}).status
            (self.taken if 200 <= status < 300 else self.refused).append(number)
            time.sleep(0.02)


def stored(running: Operated) -> int:
    """Alerts in all groups."""
    total, page = 0, "/api/v1/alert_groups?perpage=1000"
    while page:
        answer = request("GET", running.base + page).json
        total += sum(group["alerts_count"] for group in answer["results"])
        following = answer.get("next")
        page = "" if not following else following[following.index("/api/") :]
    return total
