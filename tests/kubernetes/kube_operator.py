"""A whole operator with its store and its replica, and what tests ask of the fake API server."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from kube_server import FakeServer

from tocsin.control.kubernetes.operator import Operator, OperatorOptions
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.resources import Scope
from tocsin.control.kubernetes.secrets import Bases
from tocsin.sources import load_types
from tocsin.store import Store
from tocsin.store.keys import KeyRing
from tocsin.store.replica import LiveFlow
from tocsin.telemetry import Telemetry


class Tocsin:
    """Operator, store and receiver's replica of one test."""

    def __init__(self, store: Store, live: LiveFlow, operator: Operator, signals: Signals) -> None:
        self.store = store
        self.live = live
        self.operator = operator
        self.signals = signals

    @property
    def routes(self) -> set[str]:
        """The routes in force."""
        return {i.name for i in self.live.program.manifest if i.kind == "AlertRoute"}


class Start(Protocol):
    """`async with start() as tocsin`: begins, and ends it with the block."""

    def __call__(
        self, *, scope: Scope | None = None, at_once: bool = True
    ) -> AbstractAsyncContextManager[Tocsin]: ...


def starter(folder: Path, server: FakeServer) -> Start:
    """With a database in this folder; `at_once`: the replica loads what is published before statuses are written."""

    @asynccontextmanager
    async def begin(*, scope: Scope | None = None, at_once: bool = True) -> AsyncIterator[Tocsin]:
        store = await Store.open(f"sqlite:///{folder}/t.db", keys=KeyRing.from_file(folder / "key"))
        signals = Signals.create(Telemetry.create(stream=io.StringIO(), process_metrics=False))
        options = OperatorOptions(
            scope=scope or Scope(namespaces=("n",)),
            holder="test",
            bases=Bases(internal="http://tocsin.n.svc:8080"),
            login=server.login,
        )
        types = load_types()
        operator = Operator(store, types, options, signals)
        live = LiveFlow(store, role="all", types=types)
        await live.start()
        if at_once:
            operator.on_publication = live.refresh
        task = asyncio.create_task(operator.run())
        try:
            yield Tocsin(store, live, operator, signals)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await live.stop()
            await store.close()

    return begin


async def until(holds: Callable[[], Any], seconds: float = 30) -> None:
    """Waits for it to hold; fails after so long."""
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


def condition(server: FakeServer, plural: str, name: str, kind: str) -> tuple[str, str, int]:
    """Status, reason and generation of a condition; empty before it is written."""
    for found in server.status(plural, name).get("conditions", ()):
        if found["type"] == kind:
            return found["status"], found["reason"], found["observedGeneration"]
    return "", "", 0


def is_ready(server: FakeServer, plural: str, name: str) -> bool:
    generation = server.objects[plural, "n", name]["metadata"]["generation"]
    return condition(server, plural, name, "Ready") == ("True", "Ready", generation)
