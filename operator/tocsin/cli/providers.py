"""Where a process's flow comes from: a folder, a cluster, or another process through the store."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from tocsin.control.folder import Contents, Folder
from tocsin.control.publisher import Publisher
from tocsin.control.verdict import PlacedFinding
from tocsin.sources import load_types
from tocsin.store import snapshots
from tocsin.store.database import Store
from tocsin.store.errors import StoreUnavailable
from tocsin.store.replica import LiveFlow
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from tocsin.control.kubernetes.admission.service import Admission
    from tocsin.control.kubernetes.operator import Operator

LOOK_EVERY, LOOK_AT_LEAST = 0.2, 0.5
"""Seconds between two looks at the folder, of few and of many files."""

LOOKING_SHARE = 0.05
"""Of the time, what looking may take before it is done less often."""


class Provider(Protocol):
    """Publishes what is declared."""

    @property
    def not_ready(self) -> str:
        """Why nothing was published, in words, as far as that is known."""
        ...

    @property
    def findings(self) -> int | None:
        """How many findings there are about what was published; None if this process does not know."""
        ...

    async def begin(self) -> None:
        """Publishes a first time, if that can be done at once. Raises StoreUnavailable."""
        ...

    async def run(self, live: LiveFlow | None) -> None:
        """Publishes changes until cancelled; `live`, if this process enforces the flow, takes them over at once."""
        ...


class FolderProvider:
    """Looks at a folder several times a second."""

    def __init__(self, store: Store, roots: tuple[Path, ...], telemetry: Telemetry) -> None:
        self._store = store
        self._roots = roots
        self._log = telemetry.log
        self._publisher = Publisher(store, load_types())
        self._folder: Folder | None = None
        self._said: frozenset[PlacedFinding] = frozenset()
        self.not_ready = ""
        self.findings: int | None = None

    async def begin(self) -> None:
        last_good = await self._store.read(snapshots.load)
        self._folder = Folder(self._roots, digest=self._store.keys.digest, last_good=last_good)
        await self._publish(await asyncio.to_thread(self._folder.read))

    async def run(self, live: LiveFlow | None) -> None:
        folder = self._folder
        assert folder is not None, "begin comes first"
        waiting: Contents | None = None
        pause = LOOK_EVERY
        while True:
            await asyncio.sleep(pause)
            started = time.monotonic()
            changed = await asyncio.to_thread(folder.changed)
            pause = min(max(LOOK_EVERY, (time.monotonic() - started) / LOOKING_SHARE), LOOK_AT_LEAST)
            if changed:
                waiting = await asyncio.to_thread(folder.read)
            if waiting is None:
                continue
            try:
                await self._publish(waiting)
                waiting = None
                if live is not None:
                    await live.refresh()
            except StoreUnavailable as error:
                self._log.warning("the change waits for the store", reason=str(error))

    async def _publish(self, contents: Contents) -> None:
        publisher = self._publisher
        revision = await publisher.publish(contents)
        self._log.info(
            "published",
            revision=revision.number,
            objects=len(contents.inventory.metadata),
            findings=len(publisher.findings),
        )
        for finding in publisher.findings:
            if finding not in self._said:
                self._log.warning("finding", finding=str(finding))
        self._said = frozenset(publisher.findings)
        self.findings = len(publisher.findings)


class ClusterProvider:
    """Follows a Kubernetes cluster. Whatever happens to that, the process goes on with the flow it has."""

    def __init__(self, operator: Operator, admission: Admission | None = None) -> None:
        self._operator = operator
        self._admission = admission
        self.findings: int | None = None

    @property
    def not_ready(self) -> str:
        return self._operator.not_ready

    async def begin(self) -> None:
        """Nothing: the flow of the last run is in force until the cluster has been listed."""

    async def run(self, live: LiveFlow | None) -> None:
        if live is not None:
            self._operator.on_publication = live.refresh
        async with asyncio.TaskGroup() as group:
            group.create_task(self._operator.run())
            if self._admission is not None:
                group.create_task(self._admission.run())


class StoreProvider:
    """Some other process publishes."""

    not_ready = ""
    findings: int | None = None

    async def begin(self) -> None:
        """Nothing to do."""

    async def run(self, live: LiveFlow | None) -> None:  # noqa: ARG002
        await asyncio.Event().wait()
