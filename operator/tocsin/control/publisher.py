"""From what is declared to what is published: compile, store the credentials, publish; one transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from sqlalchemy import Connection

from tocsin.control.folder import Contents
from tocsin.control.vault import Vault
from tocsin.control.verdict import PlacedFinding, placed_findings
from tocsin.flow.compiler import Compiled, compile_flow
from tocsin.sources.model import SourceType
from tocsin.store import clock, revisions, snapshots
from tocsin.store.database import Store
from tocsin.store.revisions import Revision


class Publisher:
    """Publishes one reading of a folder after the other. Only one may exist per store (SQLite's lock sees to it)."""

    def __init__(self, store: Store, types: Mapping[str, SourceType]) -> None:
        self._store = store
        self._types = types
        self._compiled: Compiled | None = None
        self.findings: tuple[PlacedFinding, ...] = ()
        """Everything that is wrong with what was published last."""

    async def publish(self, contents: Contents) -> Revision:
        """Compiles (in a thread, so that ingest goes on) and publishes. Raises StoreUnavailable: nothing was changed."""
        now = await self._store.read(clock.now)
        compiled = await asyncio.to_thread(
            compile_flow, contents.inventory, types=self._types, now=now, previous=self._compiled
        )
        vault = Vault(self._store.keys, contents.values)

        def publish(connection: Connection) -> Revision:
            moment = clock.now(connection)
            vault.store(connection, compiled.flow, moment)
            snapshots.put(connection, contents.good, moment)
            snapshots.forget(connection, contents.gone)
            present = revisions.current(connection)
            return revisions.publish(connection, compiled.flow, present.epoch if present else 1)

        revision = await self._store.write(publish)
        self._compiled = compiled
        about_tokens = [
            contents.manifests[identity].document.locate(finding)
            for identity, finding in vault.findings(compiled.flow).items()
        ]
        self.findings = placed_findings(
            compiled.reports, contents.manifests, (*contents.findings, *about_tokens)
        )
        return revision
