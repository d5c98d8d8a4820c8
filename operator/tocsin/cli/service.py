"""All roles in one process: the folder is published, alerts are received, timers run, the API answers."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from tocsin.console.api import ApiToken, build_api
from tocsin.control.folder import Contents, Folder
from tocsin.control.publisher import Publisher
from tocsin.control.verdict import PlacedFinding
from tocsin.dispatch import start_dispatcher
from tocsin.receive.credentials import Credentials
from tocsin.receive.environment import Environment
from tocsin.receive.front import Front
from tocsin.receive.ingest import Ingest
from tocsin.receive.listener import Address
from tocsin.receive.settings import Settings
from tocsin.receive.tls import Tls
from tocsin.sources import load_types
from tocsin.store import snapshots
from tocsin.store.database import Store
from tocsin.store.endpoints import EndpointUrls, endpoint_urls
from tocsin.store.errors import StoreUnavailable
from tocsin.store.keys import KeyRing
from tocsin.store.replica import LiveFlow
from tocsin.telemetry import Telemetry

LOOK_EVERY = 0.5
"""Seconds between two looks at the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What `tocsin run` was told. Without own addresses for console and health, `listen` answers everything."""

    roots: tuple[Path, ...]
    database: str
    keys: KeyRing = field(repr=False)
    listen: tuple[str, int]
    console_listen: tuple[str, int] | None = None
    health_listen: tuple[str, int] | None = None
    api_tokens: tuple[ApiToken, ...] = field(default=(), repr=False)
    settings: Settings = field(default_factory=Settings)
    tls: Tls | None = None


class Service:
    """Starts everything in order and ends it in the reverse one. `run` returns after SIGTERM or SIGINT."""

    def __init__(self, options: ServiceOptions, telemetry: Telemetry) -> None:
        self._options = options
        self._telemetry = telemetry
        self._log = telemetry.log
        self._types = load_types()
        self._said: frozenset[PlacedFinding] = frozenset()
        self._stop = asyncio.Event()
        self._findings: int | None = None

    async def run(self, announce: Callable[[Sequence[EndpointUrls]], None]) -> None:
        """`announce` is given all endpoints once alerts are taken. Raises StoreLocked, StoreUnavailable or OSError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        store = await Store.open(self._options.database, keys=self._options.keys)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(store.close)
            last_good = await store.read(snapshots.load)
            folder = Folder(self._options.roots, digest=store.keys.digest, last_good=last_good)
            publisher = Publisher(store, self._types)
            await self._publish(publisher, await asyncio.to_thread(folder.read))
            live = LiveFlow(store, role="all", types=self._types)
            environment = Environment.create(self._telemetry, self._options.settings)
            credentials = Credentials(store, environment)
            live.before_change.append(credentials.refresh)
            await live.start()
            stack.push_async_callback(live.stop)
            front = self._front(store, live, credentials, environment)
            await front.start()
            stack.push_async_callback(front.drain)
            stack.push_async_callback(await start_dispatcher(store, live, self._telemetry))
            base = f"{'https' if self._options.tls else 'http'}://{_shown(self._options.listen[0])}:{front.listeners[0].port}"
            announce(
                await store.read(
                    lambda connection: endpoint_urls(
                        connection,
                        store.keys,
                        live.program,
                        base,
                        email_domain=self._options.settings.email_domain,
                    )
                )
            )
            await self._watch(folder, publisher, live)

    def _front(
        self, store: Store, live: LiveFlow, credentials: Credentials, environment: Environment
    ) -> Front:
        options = self._options
        ingest = Ingest(store, live, credentials, environment)
        addresses = [
            Address(
                host=options.listen[0],
                port=options.listen[1],
                tls=options.tls,
                app=self._api(store, live, options.listen[0]),
            )
        ]
        if options.console_listen is not None:
            host, port = options.console_listen
            addresses.append(
                Address(
                    host=host,
                    port=port,
                    tls=options.tls,
                    ingest=False,
                    metrics=False,
                    app=self._api(store, live, host),
                )
            )
        if options.health_listen is not None:
            host, port = options.health_listen
            addresses.append(Address(host=host, port=port, ingest=False))
        return Front(addresses, ingest=ingest, not_ready=lambda: live.not_ready, environment=environment)

    def _api(self, store: Store, live: LiveFlow, host: str) -> web.Application:
        options = self._options
        return build_api(
            store,
            live,
            self._telemetry,
            tokens=options.api_tokens,
            listen=(host,),
            findings=lambda: self._findings,
            email_domain=options.settings.email_domain,
        )

    async def _watch(self, folder: Folder, publisher: Publisher, live: LiveFlow) -> None:
        """Publishes changes of the folder until the process is told to stop."""
        waiting: Contents | None = None
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_EVERY)
            if self._stop.is_set():
                return
            if await asyncio.to_thread(folder.changed):
                waiting = await asyncio.to_thread(folder.read)
            if waiting is None:
                continue
            try:
                await self._publish(publisher, waiting)
                waiting = None
                await live.refresh()
            except StoreUnavailable as error:
                self._log.warning("the change waits for the store", reason=str(error))

    async def _publish(self, publisher: Publisher, contents: Contents) -> None:
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
        self._findings = len(publisher.findings)


def _shown(host: str) -> str:
    """A host to put into a URL: a wildcard address is reached through loopback."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 -- compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
