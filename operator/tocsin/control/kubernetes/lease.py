"""Who publishes and writes statuses: the holder of a Lease. Each leadership has an epoch, and the store refuses old ones.

As in Kubernetes' own components a holder is judged by whether its record changes, on the observer's clock, so clocks
of different machines are never compared. A holder stops believing in itself before anybody else may take over.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from tocsin.control.kubernetes.client import ApiError, Object
from tocsin.control.kubernetes.resources import LEASES

DURATION = 15.0
"""Seconds without a renewal after which others may take the Lease."""
DEADLINE = 10.0
"""Seconds without a renewal after which the holder stops."""
EVERY = 2.0
_LARGEST_EPOCH = 2**31 - 1


class LeaseApi(Protocol):
    """What is needed of the API server."""

    async def get(self, path: str) -> Object: ...
    async def create(self, path: str, body: Object) -> Object: ...
    async def replace(self, path: str, body: Object) -> Object: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """`holder` must be unique among processes that run at the same time. `floor` is the highest epoch that the store
    knows: a Lease that was deleted and made anew must not fall behind it.
    """

    namespace: str
    name: str
    holder: str
    floor: Callable[[], Awaitable[int]]
    seconds: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] = lambda: datetime.now(UTC)


class Lease:
    """Call `attempt` every two seconds; `epoch` is None while this process must not act."""

    def __init__(self, api: LeaseApi, candidate: Candidate) -> None:
        self._api = api
        self._me = candidate
        self._epoch = 0
        self._renewed: float | None = None
        self._observed: tuple[Any, ...] = ()
        self._observed_at = 0.0
        self._refused = 0
        self.holder = ""
        """Who holds it, as far as is known."""

    @property
    def epoch(self) -> int | None:
        if self._renewed is None or self._me.seconds() - self._renewed > DEADLINE:
            return None
        return self._epoch

    def refuse(self, epoch: int) -> None:
        """The store does not take this epoch: step down, and come back with a higher one only."""
        self._refused = max(self._refused, epoch)
        self._renewed = None

    async def attempt(self) -> None:
        """Takes or renews the Lease if that is possible. Raises ApiError; what is held stays held till its deadline."""
        started = self._me.seconds()
        try:
            lease = await self._api.get(LEASES.path(self._me.namespace, self._me.name))
        except ApiError as error:
            if error.status != 404:
                raise
            await self._create(started)
            return
        spec = lease.get("spec") or {}
        self._observe(spec, started)
        mine = self.holder == self._me.holder
        if not mine and not self._is_free(spec, started):
            self._renewed = None
            return
        epoch = int(spec.get("leaseTransitions") or 0)
        if not mine or epoch <= self._refused:
            epoch = await self._next_epoch(epoch)
        await self._take({**lease, "spec": self._spec(spec, epoch, mine=mine)}, epoch, started)

    async def release(self) -> None:
        """Lets others take over at once, before a planned end. Raises ApiError."""
        if self.epoch is None:
            return
        self._renewed = None
        path = LEASES.path(self._me.namespace, self._me.name)
        lease = await self._api.get(path)
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") == self._me.holder:
            freed = {**spec, "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": self._stamp()}
            await self._api.replace(path, {**lease, "spec": freed})

    async def _create(self, started: float) -> None:
        epoch = await self._next_epoch(0)
        body: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {
                "name": self._me.name,
                "namespace": self._me.namespace,
                "labels": {"app.kubernetes.io/managed-by": "tocsin"},
            },
            "spec": self._spec({}, epoch, mine=False),
        }
        try:
            await self._api.create(LEASES.path(self._me.namespace), body)
        except ApiError as error:
            if error.status == 409:
                return  # somebody else was faster
            raise
        self._hold(epoch, started)

    async def _take(self, lease: Object, epoch: int, started: float) -> None:
        try:
            taken = await self._api.replace(LEASES.path(self._me.namespace, self._me.name), lease)
        except ApiError as error:
            if error.status in {404, 409}:
                return  # changed meanwhile: look again next time
            raise
        self._observe(taken.get("spec") or {}, started)
        self._hold(epoch, started)

    def _hold(self, epoch: int, started: float) -> None:
        # Counted from before the request: the answer may have been long on its way.
        self._epoch, self._renewed, self.holder = epoch, started, self._me.holder

    async def _next_epoch(self, known: int) -> int:
        return min(max(known, self._refused, await self._me.floor()) + 1, _LARGEST_EPOCH)

    def _observe(self, spec: Object, now: float) -> None:
        record = (spec.get("holderIdentity"), spec.get("renewTime"), spec.get("leaseTransitions"))
        if record != self._observed:
            self._observed, self._observed_at = record, now
        self.holder = str(spec.get("holderIdentity") or "")

    def _is_free(self, spec: Object, now: float) -> bool:
        duration = float(spec.get("leaseDurationSeconds") or DURATION)
        return not self.holder or now - self._observed_at > duration

    def _spec(self, before: Object, epoch: int, *, mine: bool) -> Object:
        now = self._stamp()
        return {
            "holderIdentity": self._me.holder,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": before.get("acquireTime", now) if mine else now,
            "renewTime": now,
            "leaseTransitions": epoch,
        }

    def _stamp(self) -> str:
        return self._me.wall().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
