"""All addresses of one process, from start to a graceful end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from tocsin.receive.environment import Environment
from tocsin.receive.health import Health
from tocsin.receive.ingest import Ingest
from tocsin.receive.listener import Address, Listener, Services

_STEP = 0.02
DRAINING = "this process is shutting down"


class Front:
    """`async with Front(...)` serves; `drain` ends gracefully, leaving the block ends at once.

    `not_ready` says in words why this process should get no traffic, or "". `ingest` None: no alerts are taken here.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        *,
        ingest: Ingest | None,
        not_ready: Callable[[], str],
        environment: Environment,
    ) -> None:
        settings = environment.settings
        self._settings = settings
        self._telemetry = environment.telemetry
        self._ingest = ingest
        self._not_ready = not_ready
        self._draining = False
        health = Health(environment.telemetry, self.not_ready, metrics_bearer=settings.metrics_bearer)
        services = Services(health=health, environment=environment, ingest=ingest)
        self.listeners = tuple(Listener(address, services) for address in addresses)
        self._background: list[asyncio.Task[None]] = []

    def not_ready(self) -> str:
        return DRAINING if self._draining else self._not_ready()

    async def start(self) -> None:
        """Raises OSError if an address cannot be taken; then none is."""
        try:
            for listener in self.listeners:
                await listener.start()
        except OSError:
            await self.close()
            raise
        if any(listener.address.tls for listener in self.listeners):
            self._background.append(asyncio.create_task(self._reload(), name="reload certificates"))
        if self._ingest is not None:
            follow = self._ingest.follow_credentials()
            self._background.append(asyncio.create_task(follow, name="follow credentials"))
        for listener in self.listeners:
            self._telemetry.log.info("listening", host=listener.address.host, port=listener.port)

    async def drain(self) -> bool:
        """Stops taking requests and waits for those in flight; True if all came to their end before the deadline.

        For `drain_delay` seconds requests are still taken while readiness already says no; each answer ends its connection.
        The caller then closes the store, which by then has committed everything that was answered.
        """
        self._draining = True
        for listener in self.listeners:
            listener.announce_drain()
        await asyncio.sleep(self._settings.drain_delay)
        for listener in self.listeners:
            await listener.stop_accepting()
        deadline = time.monotonic() + self._settings.drain_deadline
        while busy := sum([listener.close_idle() for listener in self.listeners]):
            if time.monotonic() >= deadline:
                self._telemetry.log.warning("requests cut off at the deadline of the drain", requests=busy)
                break
            await asyncio.sleep(_STEP)
        if self._ingest is not None:
            self._ingest.closed = True
        await self.close()
        return busy == 0

    async def close(self) -> None:
        """Ends everything at once."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        self._background.clear()
        for listener in self.listeners:
            await listener.close()
        if self._ingest is not None:
            await self._ingest.close()

    async def _reload(self) -> None:
        while True:
            await asyncio.sleep(self._settings.tls_poll)
            for listener in self.listeners:
                await listener.reload_tls()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
