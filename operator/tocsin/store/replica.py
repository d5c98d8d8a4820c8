"""A process's own view of the published flow: it follows revisions, links them, and says which one it enforces.

A replica registers with its role, renews every two seconds and counts as live for ten. One that cannot renew says that
it is not ready, so that nobody is served by a flow that may be old (DESIGN section 4, Programmed).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec
from sqlalchemy import Connection
from structlog.typing import FilteringBoundLogger

from tocsin import __version__
from tocsin.flow.model import EMPTY_FLOW, AnyFragment, Digest, Flow
from tocsin.flow.program import Program, link
from tocsin.sources.model import SourceType
from tocsin.store import replicas, revisions
from tocsin.store.database import Store
from tocsin.store.errors import StoreUnavailable
from tocsin.store.revisions import Revision

T = TypeVar("T")

RENEW_EVERY = 2.0
LOOK_EVERY = 0.25
STALE_AFTER = replicas.LIVE_FOR / 1_000_000

NOTHING_PUBLISHED = "no flow has been published yet"
NOT_LOADED = "the current flow is not loaded yet"
UNREADABLE = "the current flow cannot be read by this version"
CANNOT_RENEW = "the store cannot be reached, so the flow may be old"


class UnreadableFlow(Exception):
    """Published by a newer Tocsin, in words that this one does not know. `revision` is its number."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"{UNREADABLE}: revision {revision}; upgrade this process")
        self.revision = revision


class LiveFlow:
    """What this process enforces. `program` is replaced, never changed.

    Each of `before_change` is awaited with the program that is about to take effect (credentials are loaded there), each of
    `on_change` is called on the event loop once it has. Times come from `seconds`, a monotonic clock.
    """

    def __init__(
        self,
        store: Store,
        *,
        role: str,
        types: Mapping[str, SourceType],
        seconds: Callable[[], float] = time.monotonic,
        log: FilteringBoundLogger | None = None,
    ) -> None:
        self.id = f"{role}-{secrets.token_hex(8)}"
        self.program: Program = link(EMPTY_FLOW, types=types)
        self.revision = 0
        self._renewed = -STALE_AFTER
        self.before_change: list[Callable[[Program], Awaitable[None]]] = []
        self.on_change: list[Callable[[], None]] = []
        self._store = store
        self._role = role
        self._types = types
        self._seconds = seconds
        self._log = log
        self._registered = False
        self._unreadable = 0
        self._refreshing = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None

    @property
    def not_ready(self) -> str:
        """Why this process should get no traffic, in words; "" while all is well."""
        if not self.revision:
            if self._unreadable:
                return UNREADABLE
            return NOTHING_PUBLISHED if self._registered else NOT_LOADED
        if self._seconds() - self._renewed > STALE_AFTER:
            return CANNOT_RENEW
        return ""

    async def start(self) -> None:
        """Registers, loads what is published and goes on following. Raises StoreUnavailable."""
        await self._store.write(self._register)
        self._registered = True
        self._renewed = self._seconds()
        await self._catch_up()
        self._following = asyncio.create_task(self._follow(), name="follow the flow")

    async def stop(self) -> None:
        """Stops following and deregisters, so that nobody waits for this replica."""
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)
        try:
            await self._store.write(lambda connection: replicas.deregister(connection, self.id))
        except StoreUnavailable:
            return  # it is forgotten by itself ten seconds after its last renewal

    async def refresh(self) -> None:
        """Loads the current revision and the credentials now, if they are not loaded. Raises StoreUnavailable."""
        async with self._refreshing:
            revision = await self._store.read(revisions.current)
            if revision is not None and revision.number != self.revision:
                try:
                    await self._load(revision)
                except msgspec.DecodeError as error:
                    raise UnreadableFlow(revision.number) from error

    async def _catch_up(self) -> None:
        """As `refresh`; a flow that a newer version has made and this one cannot read leaves the last one in force.

        Everybody sees so, since this replica does not acknowledge it: objects are not Programmed, and name it.
        """
        try:
            await self.refresh()
        except UnreadableFlow as error:
            if error.revision != self._unreadable and self._log is not None:
                self._log.error(UNREADABLE, revision=error.revision, enforced=self.revision, exc_info=error)
            self._unreadable = error.revision

    async def _load(self, revision: Revision) -> None:
        before = self.program
        flow = await self._store.read(lambda connection: _flow(connection, revision.digest, before))
        # Linking is CPU work: in a thread, so that requests get their turns meanwhile.
        program = await asyncio.to_thread(link, flow, types=self._types, previous=before)
        for prepare in self.before_change:
            await prepare(program)
        self.program = program
        self.revision = revision.number
        await self._store.write(lambda connection: replicas.acknowledge(connection, self.id, revision.number))
        self._renewed = self._seconds()
        for notify in self.on_change:
            notify()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            try:
                if self._seconds() - self._renewed > RENEW_EVERY:
                    await self._renew()
                await self._catch_up()
            except StoreUnavailable:
                continue  # `not_ready` says so once it has lasted

    async def _renew(self) -> None:
        revision = self.revision

        def renew(connection: Connection) -> None:
            if not replicas.acknowledge(connection, self.id, revision):
                self._register(connection)
                replicas.acknowledge(connection, self.id, revision)

        await self._store.write(renew)
        self._renewed = self._seconds()

    def _register(self, connection: Connection) -> None:
        replicas.register(connection, self.id, self._role, __version__)


def _flow(connection: Connection, digest: Digest, before: Program) -> Flow:
    """The flow of a revision, reading only the fragments that changed and those of Integrations that are linked anew."""
    manifest = revisions.manifest(connection, digest)
    if manifest is None:
        raise StoreUnavailable("the current revision is not kept completely: publish it again")
    held: dict[Digest, AnyFragment] = {
        before.manifest[i]: program.fragment for i, program in before.integrations.items()
    }
    new = {
        value
        for identity, value in manifest.items()
        if before.manifest.get(identity) != value and value not in held
    }
    return Flow(manifest=manifest, fragments=held | dict(revisions.fragments(connection, new)), digest=digest)
