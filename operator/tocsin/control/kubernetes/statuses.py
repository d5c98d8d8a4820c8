"""Writes statuses: only what differs, most urgent first, at a bounded rate, and never to the wrong object."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from tocsin.api.common import API_VERSION, Identity
from tocsin.control.kubernetes.client import ApiError, Object
from tocsin.control.kubernetes.desired import Document, application, same
from tocsin.control.kubernetes.limiter import Limiter
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.resources import Resource

MANAGER = "tocsin"
RATE = 100.0
_BURST = 20
_TOGETHER = 8
_ATTEMPTS = 5
_LONGEST_PAUSE = 30.0


class Urgency(IntEnum):
    """Lower goes first."""

    CHANGE = 0
    """The object itself was changed: somebody waits for this."""
    EFFECT = 1
    """Something else changed what is to be said."""
    ROUTINE = 2
    """Counters, sweeps, start-up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """One status to be written. `present` is what the object says now."""

    uid: str
    present: Document
    desired: Document


class StatusApi(Protocol):
    async def apply(self, path: str, body: Object, *, manager: str) -> Object: ...


class Author(Protocol):
    """Knows what to write."""

    def plan(self, identity: Identity) -> Writing | None:
        """None where there is nothing to write (any more)."""
        ...

    def written(self, identity: Identity, writing: Writing, answer: Object) -> None:
        """It was written; `answer` is the whole object as the API server has it now."""
        ...


class Statuses:
    """A queue of identities. What to write is asked for when their turn comes, so that many changes are one write."""

    def __init__(
        self, api: StatusApi, resources: Mapping[str, Resource], author: Author, signals: Signals
    ) -> None:
        self._api = api
        self._resources = resources
        self._author = author
        self._problems = signals.problems
        self._figures = signals.figures
        self._limiter = Limiter(RATE, burst=_BURST)
        self._heap: list[tuple[int, int, Identity]] = []
        self._urgency: dict[Identity, int] = {}
        self._order = 0
        self._work = asyncio.Event()
        self._busy: set[Identity] = set()
        self._failures: dict[Identity, int] = {}

    @property
    def waiting(self) -> int:
        return len(self._urgency)

    def add(self, identity: Identity, urgency: Urgency) -> None:
        """Look at this object's status soon; a more urgent request for it overrides a less urgent one."""
        before = self._urgency.get(identity)
        if before is not None and before <= urgency:
            return
        self._urgency[identity] = urgency
        self._order += 1
        heapq.heappush(self._heap, (urgency, self._order, identity))

    def wake(self) -> None:
        """Sets the writers to work; to be called after `add`."""
        self._work.set()

    def clear(self) -> None:
        """Not the leader any more: somebody else writes."""
        self._heap.clear()
        self._urgency.clear()
        self._failures.clear()

    async def run(self) -> None:
        """Writes until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(_TOGETHER):
                group.create_task(self._write_all())

    async def _write_all(self) -> None:
        while True:
            identity, urgency = await self._next()
            try:
                await self._write(identity, urgency)
            finally:
                self._busy.discard(identity)
            # Statuses that need no writing cost time, too: let others have their turn.
            await asyncio.sleep(0)

    async def _next(self) -> tuple[Identity, Urgency]:
        while True:
            found = self._pop()
            if found is not None:
                return found
            if self._urgency:
                await asyncio.sleep(0.01)  # what waits is in another writer's hands, who is soon done
            else:
                self._work.clear()
                await self._work.wait()

    def _pop(self) -> tuple[Identity, Urgency] | None:
        """The most urgent object whose status nobody is writing at this moment."""
        busy = []
        found = None
        while self._heap and found is None:
            urgency, order, identity = heapq.heappop(self._heap)
            if self._urgency.get(identity) != urgency:
                continue  # overridden by a more urgent request, or done with it
            if identity in self._busy:
                busy.append((urgency, order, identity))
            else:
                found = identity, Urgency(urgency)
        for entry in busy:
            heapq.heappush(self._heap, entry)
        if found is not None:
            del self._urgency[found[0]]
            self._busy.add(found[0])
        return found

    async def _write(self, identity: Identity, urgency: Urgency) -> None:
        writing = self._author.plan(identity)
        if writing is None or same(writing.present, writing.desired):
            return
        await self._limiter.wait()
        body = application(API_VERSION, identity, writing.uid, writing.desired)
        path = self._resources[identity.kind].path(identity.namespace, identity.name, "status")
        try:
            answer = await self._api.apply(path, body, manager=MANAGER)
        except ApiError as error:
            await self._failed(identity, urgency, error)
            return
        self._failures.pop(identity, None)
        self._problems.solve("write statuses")
        self._figures.count("status", "ok")
        self._author.written(identity, writing, answer)

    async def _failed(self, identity: Identity, urgency: Urgency, error: ApiError) -> None:
        self._figures.count("status", error.reason or str(error.status))
        if error.status == 404:
            return  # deleted meanwhile
        failures = self._failures[identity] = self._failures.get(identity, 0) + 1
        if error.status == 429:
            self._limiter.pause(error.retry_after or 1.0)
        elif error.temporary:
            self._limiter.pause(min(2.0 ** min(failures, 5), _LONGEST_PAUSE))
        elif failures >= _ATTEMPTS or error.status not in {409, 422}:
            # A status that is refused again and again is not worth a storm; the next change or sweep tries anew.
            self._failures.pop(identity, None)
            if error.status != 409:
                self._problems.report("write statuses", error.reason, f"status of {identity}: {error}")
            return
        else:
            await asyncio.sleep(0.1 * failures)
        self.add(identity, urgency)
        self.wake()
