"""kopf as a source of events: in a thread of its own, supervised, restarted when it ends or goes deaf.

kopf takes every task of its loop for its own and cancels it when it ends, so it must not share one. Its handlers are
`on.event` only: they add neither finalizers nor annotations to anybody's object.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import aiohttp
import kopf
from structlog.typing import FilteringBoundLogger

from tocsin.control.kubernetes.client import open_session
from tocsin.control.kubernetes.login import Login, LoginFailed
from tocsin.control.kubernetes.resources import Resource, Scope

_AT_ONCE = 200
"""How many events are handed over before other work of the loop gets its turn."""
_STOP_DEADLINE = 15.0
_LONGEST_PAUSE = 30.0
_HEALTHY_AFTER = 60.0


@dataclass(frozen=True, slots=True)
class Event:
    """`type` is ADDED, MODIFIED or DELETED; None for an object of a list that kopf has read."""

    resource: Resource
    type: str | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Relisted:
    """kopf reads the list of a kind, and will not say what is missing from it."""

    resource: Resource


News = Event | Relisted


class Mailbox:
    """Hands news from kopf's thread to the loop that made it, in order and in small portions."""

    def __init__(self, take: Callable[[News], None]) -> None:
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[News] = deque()
        self._lock = threading.Lock()
        self._woken = False

    def put(self, news: News) -> None:
        """From any thread."""
        with self._lock:
            self._waiting.append(news)
            if self._woken:
                return
            self._woken = True
        try:
            self._loop.call_soon_threadsafe(self._hand_over)
        except RuntimeError:
            return  # the loop is closed: the process ends

    def _hand_over(self) -> None:
        for _ in range(_AT_ONCE):
            with self._lock:
                if not self._waiting:
                    self._woken = False
                    return
                news = self._waiting.popleft()
            self._take(news)
        self._loop.call_soon(self._hand_over)


class Watch:
    """Runs kopf until cancelled. `take` is called on the loop of `run`."""

    def __init__(
        self, scope: Scope, login: Login, take: Callable[[News], None], log: FilteringBoundLogger
    ) -> None:
        self._scope = scope
        self._login = login
        self._take = take
        self._log = log
        self._restart = asyncio.Event()
        self.running = False
        self.restarts = 0

    def restart(self) -> None:
        """Something did not come through: begin anew."""
        self._restart.set()

    async def run(self, resources: Callable[[], Collection[Resource]]) -> None:
        """`resources` is asked before each start: what may be watched."""
        pause = 1.0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self._run_once(tuple(resources()))
            self.restarts += 1
            pause = 1.0 if loop.time() - began > _HEALTHY_AFTER else min(2 * pause, _LONGEST_PAUSE)
            if not self._restart.is_set():
                self._log.warning("the watch ended and is started again", seconds=round(pause, 1))
                await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 -- spreads restarts
            self._restart.clear()

    async def _run_once(self, resources: Collection[Resource]) -> None:
        loop, ended, stop = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
        registry = build_registry(resources, self._login, Mailbox(self._take).put)

        def work() -> None:
            try:
                asyncio.run(_watch(self._scope, registry, build_settings(resources), stop))
            except BaseException as error:  # noqa: BLE001 -- whatever ends kopf must not end the process
                self._log.warning("the watch failed", error=type(error).__name__, reason=str(error)[:300])
            finally:
                _call(loop, ended.set)

        thread = threading.Thread(target=work, name="kopf", daemon=True)
        thread.start()
        self.running = True
        waits = [asyncio.create_task(ended.wait()), asyncio.create_task(self._restart.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.running = False
            stop.set()
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            # A thread that does not end holds no lock and is a daemon: it cannot hold up the process.
            await asyncio.to_thread(thread.join, _STOP_DEADLINE)


async def _watch(
    scope: Scope, registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings, stop: threading.Event
) -> None:
    await kopf.operator(
        registry=registry,
        settings=settings,
        clusterwide=not scope.namespaces,
        namespaces=scope.namespaces,
        standalone=True,
        stop_flag=stop,
    )


def build_registry(
    resources: Collection[Resource], login: Login, put: Callable[[News], None]
) -> kopf.OperatorRegistry:
    """Event handlers and a login, and nothing else: no handler here writes to any object."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(registry=registry, id="login")(_login_handler(resources, login, put))
    for resource in resources:
        kopf.on.event(
            group=resource.group,
            version=resource.version,
            plural=resource.plural,
            registry=registry,
            id=resource.plural,
        )(_handler(resource, put))
    return registry


def _handler(resource: Resource, put: Callable[[News], None]) -> Callable[..., Any]:
    async def hand_over(event: dict[str, Any], **_: Any) -> None:
        put(Event(resource, event["type"], event["object"]))

    return hand_over


def _login_handler(
    resources: Collection[Resource], login: Login, put: Callable[[News], None]
) -> Callable[..., Any]:
    """Gives kopf a session that tells when a list is read: kopf itself says so only if the list is not empty."""
    plurals = {resource.path().rsplit("/", 1)[-1]: resource for resource in resources}

    async def note(_session: object, _context: object, params: aiohttp.TraceRequestEndParams) -> None:
        resource = plurals.get(params.url.name)
        if resource is not None and params.method == "GET" and "watch" not in params.url.query:
            put(Relisted(resource))

    async def log_in(**_: Any) -> kopf.AiohttpSession:
        try:
            info = await asyncio.to_thread(login)
        except LoginFailed as failed:
            raise kopf.LoginError(str(failed)) from None
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(note)
        session = open_session(info, timeout=aiohttp.ClientTimeout(), traces=(trace,))
        return kopf.AiohttpSession(
            server=info.server, default_namespace=info.default_namespace, aiohttp_session=session
        )

    return log_in


def build_settings(resources: Collection[Resource]) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.posting.loggers = False
    settings.scanning.disabled = True
    settings.persistence.finalizer = "tocsin.dev/finalizer"  # never set: there is no handler that would
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 10
    settings.networking.error_backoffs = (0.5, 1, 2, 3, 4)
    settings.watching.server_timeout = 600
    settings.watching.client_timeout = 660
    settings.watching.reconnect_backoff = 1.0
    settings.watching.chunk_size = 500
    settings.queueing.idle_timeout = 1.0
    # kopf's own last resort kills the whole process, receiver included.
    settings.process.ultimate_exiting_timeout = None
    for resource in resources:
        if resource.selector:
            key = (resource.group, resource.version, resource.plural)
            settings.watching.label_selectors[key] = resource.selector
    return settings


def quiet_kopf() -> None:
    """Kopf tells of every event and request; what matters of it is said in our own words and counted."""
    logging.getLogger("kopf").setLevel(logging.ERROR)
    logging.getLogger("kopf._cogs.clients.api").setLevel(logging.CRITICAL)
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.CRITICAL)


def _call(loop: asyncio.AbstractEventLoop, function: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(function)
    except RuntimeError:
        return
