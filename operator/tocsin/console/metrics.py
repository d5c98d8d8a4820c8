"""Metrics that come from the store (alert-flow section 16): alert groups by state, and how fast people react.

The store is read at most every few seconds, and the less often the longer it takes; a scrape gets what was read last
and asks for the next reading, so its numbers are at most one scrape old.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from typing import Protocol

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.flow.model import Micros
from tocsin.flow.program import Program
from tocsin.store import clock, heartbeats, statistics
from tocsin.store.database import Store
from tocsin.store.errors import StoreError
from tocsin.store.heartbeats import Belief, Heartbeat
from tocsin.store.statistics import BUCKETS, GroupCount, ResponseTimes

LEAST_PAUSE = 5.0
PAUSE_FACTOR = 20
"""A reading that took a second is not repeated for twenty."""

RESPONSES_OF = 7 * 86_400 * 1_000_000
NO_SERVICE = "No service"
NO_TEAM = "No team"
_MICRO = 1_000_000
_LABELS = ("integration", "team", "service_name")
_GROUPS = "tocsin_alert_groups"
_RESPONSES = "tocsin_alert_groups_response_time_seconds"


class Live(Protocol):
    @property
    def program(self) -> Program: ...


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    counts: tuple[GroupCount, ...] = ()
    responses: tuple[ResponseTimes, ...] = ()
    dead_timers: int = 0
    dead_letters: int = 0
    heartbeats: tuple[Heartbeat, ...] = ()


class StoreMetrics(Collector):
    """A collector for a registry, and the task that reads for it."""

    def __init__(self, store: Store, live: Live) -> None:
        self._store = store
        self._live = live
        self._reading = Reading()
        self._wanted = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def register(self, registry: CollectorRegistry) -> bool:
        """False if the registry has these metrics already."""
        try:
            registry.register(self)
        except ValueError:
            return False
        return True

    async def refreshing(self, _app: web.Application) -> AsyncIterator[None]:
        """Reads in the background while the application runs."""
        self._loop = asyncio.get_running_loop()
        task = asyncio.create_task(self._refresh_for_ever(), name="metrics of the store")
        yield
        self._loop = None
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def refresh(self) -> float:
        """Reads now; how many seconds it took. Raises StoreUnavailable."""
        started = time.monotonic()
        self._reading = await self._store.read(_read)
        return time.monotonic() - started

    def describe(self) -> Iterator[Metric]:
        yield from self._families()

    def collect(self) -> Iterator[Metric]:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wanted.set)
        groups, responses, timers, letters, missing = self._families()
        reading = self._reading
        for count in reading.counts:
            groups.add_metric((*self._labels(count.integration, count.service), count.state), count.count)
        for times in reading.responses:
            buckets = [(_bound(b), float(n)) for b, n in zip((*BUCKETS, None), times.buckets, strict=True)]
            responses.add_metric(
                self._labels(times.integration, times.service), buckets, times.total / _MICRO
            )
        timers.add_metric((), reading.dead_timers)
        letters.add_metric((), reading.dead_letters)
        for heartbeat in reading.heartbeats:
            name = f"{heartbeat.integration.namespace}/{heartbeat.integration.name}"
            missing.add_metric((name,), heartbeat.belief is Belief.EXPIRED)
        yield from (groups, responses, timers, letters, missing)

    async def _refresh_for_ever(self) -> None:
        while True:
            try:
                took = await self.refresh()
            except StoreError:
                took = LEAST_PAUSE
            await asyncio.sleep(max(LEAST_PAUSE, took * PAUSE_FACTOR))
            self._wanted.clear()
            await self._wanted.wait()

    def _families(
        self,
    ) -> tuple[
        GaugeMetricFamily, HistogramMetricFamily, GaugeMetricFamily, GaugeMetricFamily, GaugeMetricFamily
    ]:
        return (
            GaugeMetricFamily(_GROUPS, "Alert groups by state.", labels=(*_LABELS, "state")),
            HistogramMetricFamily(
                _RESPONSES,
                "Seconds from start to the first reaction, groups of the last 7 days.",
                labels=_LABELS,
            ),
            GaugeMetricFamily("tocsin_dead_timers", "Timers that failed too often and were given up."),
            GaugeMetricFamily("tocsin_dead_letters_kept", "Deliveries that became no alert and are kept."),
            GaugeMetricFamily(
                "tocsin_heartbeat_missing", "1 while a heartbeat is overdue.", labels=("integration",)
            ),
        )

    def _labels(self, integration: Identity, service: str) -> tuple[str, str, str]:
        program = self._live.program.integrations.get(integration)
        team = program.fragment.team if program is not None else ""
        return (f"{integration.namespace}/{integration.name}", team or NO_TEAM, service or NO_SERVICE)


def _read(connection: Connection) -> Reading:
    now = clock.now(connection)
    return Reading(
        counts=statistics.group_counts(connection),
        responses=statistics.response_times(connection, since=Micros(now - RESPONSES_OF)),
        dead_timers=statistics.dead_timers(connection),
        dead_letters=statistics.dead_letters(connection),
        heartbeats=tuple(one for one in heartbeats.load(connection) if one.belief is not Belief.INACTIVE),
    )


def _bound(bucket: int | None) -> str:
    return "+Inf" if bucket is None else str(float(bucket // _MICRO))
