"""A dead man's switch for Tocsin itself: a URL that is asked once a minute, as long as everything works.

What it proves: the store takes a write and gives it back, somebody receives, timers run, and messages that are due get
sent. Whoever watches the URL (a heartbeat elsewhere) raises the alarm when the pings stop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection

from tocsin.dispatch.clock import MINUTE, Clock
from tocsin.dispatch.deliveries.preparing import KINDS
from tocsin.dispatch.dispatcher import DispatchStore
from tocsin.dispatch.presence import Receiving
from tocsin.flow.model import Micros
from tocsin.notify.client import FetchFailed, HttpClient
from tocsin.store import deliveries, schema, timers
from tocsin.store.errors import StoreUnavailable
from tocsin.telemetry import Telemetry

PERIOD = 60.0
"""Seconds between two pings."""

STUCK_AFTER = 2 * MINUTE
"""What is due that long and nobody took is stuck."""

_SETTING = "dispatch.watchdog"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """`url` is a secret. `receiving`: whether anybody receives. `busy`: channels that are kept waiting on purpose.

    `turning`: whether the loop that sends messages has been round lately.
    """

    url: str = field(repr=False)
    receiving: Receiving
    busy: Callable[[], frozenset[str]]
    turning: Callable[[], bool]


class Watchdog:
    def __init__(
        self, store: DispatchStore, http: HttpClient, watched: Watched, *, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._store = store
        self._http = http
        self._watched = watched
        self._clock = clock
        self._log = telemetry.log
        self._pings = pings(telemetry.registry)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self.ping()
            await asyncio.sleep(PERIOD)

    async def ping(self) -> bool:
        """Whether the URL was asked and answered with 2xx."""
        problem = await self.problem()
        if problem:
            self._pings.labels("withheld").inc()
            self._log.error("the watchdog is not fed", reason=problem)
            return False
        try:
            await self._http.send("GET", self._watched.url)
        except FetchFailed as failure:
            self._pings.labels("failed").inc()
            self._log.warning("the watchdog's URL does not answer", reason=str(failure))
            return False
        self._pings.labels("sent").inc()
        return True

    async def problem(self) -> str:
        """What does not work, in words; "" if everything does."""
        if not self._watched.turning():
            return "messages are not looked after"
        try:
            mark = await self._store.write(self._mark)
            return await self._store.read(lambda connection: self._look(connection, mark))
        except StoreUnavailable as error:
            return f"the store cannot be used: {error}"

    def _mark(self, connection: Connection) -> Micros:
        now = self._clock.now(connection)
        schema.write_setting(connection, _SETTING, str(now).encode())
        return now

    def _look(self, connection: Connection, mark: Micros) -> str:
        stored = schema.read_setting(connection, _SETTING)
        if stored is None or int(stored) < mark:
            return "the store does not give back what it was given"
        if not self._watched.receiving(connection, mark):
            return "nobody receives alerts"
        due = timers.next_due(connection)
        if due is not None and due < mark - STUCK_AFTER:
            return "timers are not run"
        oldest = deliveries.first_due(connection, mark, kinds=KINDS, without=self._watched.busy())
        if oldest is not None and oldest < mark - STUCK_AFTER:
            return "messages are not sent"
        return ""


def pings(registry: CollectorRegistry) -> Counter:
    return Counter(
        "tocsin_watchdog_pings",
        "Pings of the watchdog's URL: sent, failed, withheld (something does not work).",
        ("result",),
        registry=registry,
    )
