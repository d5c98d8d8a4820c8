"""One process: all roles, or one of them. Alerts are received, timers run, the API answers, the flow is published."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aiohttp import web
from sqlalchemy import Connection

from tocsin.cli.options import SendingSettings
from tocsin.cli.providers import ClusterProvider, FolderProvider, Provider, StoreProvider
from tocsin.console.api import ApiToken, build_api
from tocsin.dispatch import start_dispatcher
from tocsin.dispatch.calendars import Calendars
from tocsin.dispatch.deliveries.running import Sending, start_deliveries
from tocsin.dispatch.webhooks.running import start_webhooks
from tocsin.dispatch.webhooks.worker import Means
from tocsin.receive.credentials import Credentials
from tocsin.receive.environment import Environment
from tocsin.receive.front import Front
from tocsin.receive.ingest import Ingest
from tocsin.receive.listener import Address
from tocsin.receive.settings import Settings
from tocsin.receive.tls import Tls
from tocsin.sources import load_types
from tocsin.store.database import Store
from tocsin.store.endpoints import EndpointUrls, endpoint_urls
from tocsin.store.keys import KeyRing
from tocsin.store.replica import LiveFlow
from tocsin.telemetry import Telemetry

if TYPE_CHECKING:
    from tocsin.control.kubernetes.admission.service import Admission, AdmissionOptions
    from tocsin.control.kubernetes.operator import Operator, OperatorOptions
    from tocsin.control.kubernetes.problems import Signals

Role = Literal["all", "operator", "receiver", "dispatcher", "console"]

RECEIVING = frozenset({"all", "receiver"})
DISPATCHING = frozenset({"all", "dispatcher"})
ANSWERING = frozenset({"all", "console"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """What a process was told. Without an own address for the console `listen` answers the API, too.

    The flow comes from the folders in `roots`, or from the cluster of `cluster`, or from another process.
    """

    role: Role = "all"
    roots: tuple[Path, ...] = ()
    cluster: OperatorOptions | None = None
    admission: AdmissionOptions | None = None
    database: str
    keys: KeyRing = field(repr=False)
    listen: tuple[str, int] | None
    console_listen: tuple[str, int] | None = None
    health_listen: tuple[str, int] | None = None
    api_tokens: tuple[ApiToken, ...] = field(default=(), repr=False)
    settings: Settings = field(default_factory=Settings)
    sending: SendingSettings = field(default_factory=SendingSettings)
    tls: Tls | None = None

    @property
    def base(self) -> str:
        """What URLs begin with, up to the port."""
        host = _shown(self.listen[0]) if self.listen else "127.0.0.1"
        return f"{'https' if self.tls else 'http'}://{host}"


class Service:
    """Starts everything in order and ends it in the reverse one. `run` returns after SIGTERM or SIGINT."""

    def __init__(self, options: ServiceOptions, telemetry: Telemetry) -> None:
        self._options = options
        self._telemetry = telemetry
        self._types = load_types()
        self._stop = asyncio.Event()
        self._environment = Environment.create(telemetry, options.settings)

    async def run(self, announce: Callable[[Sequence[EndpointUrls]], None]) -> None:
        """`announce` is given all endpoints once alerts are taken. Raises StoreLocked, StoreUnavailable or OSError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        store = await Store.open(self._options.database, keys=self._options.keys, role=self._options.role)
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(store.close)
            provider = self._provider(store)
            if self._options.role == "operator":
                await self._operate(provider, stack)
            else:
                await self._enforce(store, provider, stack, announce)

    async def _operate(self, provider: Provider, stack: contextlib.AsyncExitStack) -> None:
        """The operator alone: it enforces nothing, so it is no replica."""
        assert self._options.health_listen is not None, "the operator has a health address"
        host, port = self._options.health_listen
        front = Front(
            [Address(host=host, port=port, ingest=False)],
            ingest=None,
            not_ready=lambda: provider.not_ready,
            environment=self._environment,
        )
        await front.start()
        stack.push_async_callback(front.drain)
        await self._until_stopped(provider.run(None))

    async def _enforce(
        self,
        store: Store,
        provider: Provider,
        stack: contextlib.AsyncExitStack,
        announce: Callable[[Sequence[EndpointUrls]], None],
    ) -> None:
        role = self._options.role
        live = LiveFlow(store, role=role, types=self._types, log=self._telemetry.log)
        ingest = self._ingest(store, live) if role in RECEIVING else None
        with _without_collector():
            await provider.begin()
            await live.start()
        stack.push_async_callback(live.stop)
        front = self._front(store, live, ingest, provider)
        await front.start()
        stack.push_async_callback(front.drain)
        if role in DISPATCHING:
            await self._dispatch(store, live, stack, receives=role in RECEIVING)
        if role in RECEIVING:
            announce(await store.read(lambda c: self._endpoints(c, store, live, front.listeners[0].port)))
        await self._until_stopped(provider.run(live))

    async def _dispatch(
        self, store: Store, live: LiveFlow, stack: contextlib.AsyncExitStack, *, receives: bool
    ) -> None:
        """Escalations, messages, webhooks, and the calendars that say who is on call."""
        given, telemetry = self._options.sending, self._telemetry
        tools = given.tools(store.keys)
        stack.push_async_callback(tools.http.close)
        calendars = Calendars(store, live, telemetry, http=tools.http)
        following = asyncio.create_task(calendars.run(), name="follow calendars")
        stack.push_async_callback(_ended, following)
        live.on_change.append(calendars.wake)
        stack.push_async_callback(
            await start_dispatcher(store, live, telemetry, receives=receives, calendars=calendars)
        )
        sending = Sending(tools=tools, watchdog_url=given.watchdog_url, receives=receives)
        stack.push_async_callback(await start_deliveries(store, live, telemetry, sending))
        means = Means(
            http=tools.http,
            keys=store.keys,
            calendars=calendars,
            console_url=tools.console_url,
            sole=store.dialect == "sqlite",
        )
        stack.push_async_callback(await start_webhooks(store, live, telemetry, means))

    async def _until_stopped(self, work: Coroutine[None, None, None]) -> None:
        """Raises what `work` raises: it is not meant to end by itself."""
        task = asyncio.create_task(work, name="provide the flow")
        stop = asyncio.create_task(self._stop.wait(), name="wait for the end")
        await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if task.done():
            task.result()
        task.cancel()
        await asyncio.gather(task, stop, return_exceptions=True)

    def _provider(self, store: Store) -> Provider:
        options = self._options
        if options.cluster is not None:
            from tocsin.control.kubernetes.operator import Operator
            from tocsin.control.kubernetes.problems import Signals

            signals = Signals.create(self._telemetry)
            operator = Operator(store, self._types, options.cluster, signals)
            return ClusterProvider(operator, self._admission(operator, signals))
        if options.roots:
            return FolderProvider(store, options.roots, self._telemetry)
        return StoreProvider()

    def _admission(self, operator: Operator, signals: Signals) -> Admission | None:
        options = self._options.admission
        if options is None:
            return None
        from tocsin.control.kubernetes.admission.service import Admission

        return Admission(options, operator, self._types, self._environment, signals)

    def _ingest(self, store: Store, live: LiveFlow) -> Ingest:
        credentials = Credentials(store, self._environment)
        live.before_change.append(credentials.refresh)
        return Ingest(store, live, credentials, self._environment)

    def _front(self, store: Store, live: LiveFlow, ingest: Ingest | None, provider: Provider) -> Front:
        options = self._options
        addresses = []

        def api(host: str) -> web.Application | None:
            return self._api(store, live, provider, host) if options.role in ANSWERING else None

        if options.listen is not None:
            host, port = options.listen
            app = api(host) if options.console_listen is None else None
            addresses.append(Address(host=host, port=port, tls=options.tls, app=app))
        if options.console_listen is not None:
            host, port = options.console_listen
            alone = options.listen is None
            addresses.append(
                Address(host=host, port=port, tls=options.tls, ingest=False, metrics=alone, app=api(host))
            )
        if options.health_listen is not None:
            host, port = options.health_listen
            addresses.append(Address(host=host, port=port, ingest=False))

        def not_ready() -> str:
            reason, cause = live.not_ready, provider.not_ready
            return f"{reason}: {cause}" if reason and cause else reason

        return Front(addresses, ingest=ingest, not_ready=not_ready, environment=self._environment)

    def _api(self, store: Store, live: LiveFlow, provider: Provider, host: str) -> web.Application:
        options = self._options
        http = options.sending.client()
        app = build_api(
            store,
            live,
            self._telemetry,
            tokens=options.api_tokens,
            listen=(host,),
            findings=lambda: provider.findings,
            email_domain=options.settings.email_domain,
            http=http,
        )

        async def close(_app: web.Application) -> None:
            await http.close()

        app.on_cleanup.append(close)
        return app

    def _endpoints(
        self, connection: Connection, store: Store, live: LiveFlow, port: int
    ) -> tuple[EndpointUrls, ...]:
        base, domain = f"{self._options.base}:{port}", self._options.settings.email_domain
        return endpoint_urls(connection, store.keys, live.program, base, email_domain=domain)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """For loading a flow: millions of objects that stay. Looking through them again and again would nearly double the
    time it takes; afterwards they are set aside, so that no later collection makes requests wait for it.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


def _shown(host: str) -> str:
    """A host to put into a URL: a wildcard address is reached through loopback."""
    if host in {"0.0.0.0", "::"}:  # noqa: S104 -- compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
