"""Lists every kind from time to time: the only way to learn of deletions that no event told.

kopf reads its lists anew after a 410 and never says what is missing from them. The first complete sweep is also the
barrier: before it nothing is compiled, because half of a flow is a wrong flow.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable

from tocsin.api.common import Identity
from tocsin.control.kubernetes.client import Api, ApiError
from tocsin.control.kubernetes.objects import Objects
from tocsin.control.kubernetes.problems import Signals, explain
from tocsin.control.kubernetes.resources import Resource, Scope

EVERY = 300.0
"""Seconds between sweeps, give or take a fifth."""
AFTER_RELIST = 2.0
_RETRY = (1.0, 2.0, 4.0, 8.0, 15.0)
_EXPIRED_LISTS = 3
MISSED_AFTER = 5.0
"""Seconds that an event may come later than a list that knows the same change."""


class Sweeper:
    """`run` sweeps until cancelled; `synced` is set once every kind of Tocsin's has been listed completely.

    `changed` is called when a sweep brought news, `missed` when events did not come that should have.
    """

    def __init__(self, api: Api, objects: Objects, scope: Scope, signals: Signals) -> None:
        self._api = api
        self._objects = objects
        self._scope = scope
        self._problems = signals.problems
        self._figures = signals.figures
        self._age = signals.age
        self._due: dict[Resource, float] = {}
        self._wake = asyncio.Event()
        self._failures: dict[Resource, int] = {}
        self._listed: set[Resource] = set()
        self._denied: set[Resource] = set()
        self._expected: dict[Identity, str] = {}
        self.synced = asyncio.Event()
        self.changed: Callable[[], None] = lambda: None
        self.missed: Callable[[], None] = lambda: None
        self.swept: Callable[[Resource], None] = lambda _: None

    @property
    def watchable(self) -> frozenset[Resource]:
        """The kinds that could be listed when they were last asked for."""
        return frozenset(self._listed)

    def request(self, resource: Resource, *, after: float = AFTER_RELIST) -> None:
        """Sweep this kind soon; a request that stands already is not moved."""
        now = asyncio.get_running_loop().time()
        self._due[resource] = min(self._due.get(resource, now + after), now + after)
        self._wake.set()

    def seen(self, identity: Identity) -> None:
        """An event told of this object."""
        self._expected.pop(identity, None)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        self._due = {resource: loop.time() for resource in self._scope.resources()}
        while True:
            for resource in [r for r in self._scope.resources() if self._due[r] <= loop.time()]:
                await self._sweep(resource)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(min(self._due.values())):
                    await self._wake.wait()

    async def _sweep(self, resource: Resource) -> None:
        loop = asyncio.get_running_loop()
        try:
            news = await self._list(resource)
        except ApiError as error:
            self._failed(resource, error)
            return
        self._failures.pop(resource, None)
        self._due[resource] = loop.time() + EVERY * random.uniform(0.8, 1.2)  # noqa: S311 -- spreads the load
        self._problems.solve(f"list {resource.plural}")
        first = resource not in self._listed
        self._listed.add(resource)
        self._denied.discard(resource)
        self._figures.sweeps += 1
        if self.synced.is_set() and not first:
            self._expect(news)
        elif self.synced.is_set():
            self.missed()  # a kind that could not be listed before: it is not watched yet
        else:
            self._pass_barrier()
        self.swept(resource)
        if news:
            self.changed()

    def _pass_barrier(self) -> None:
        """Own kinds have to be known. What they refer to may be denied: then it is asked for one by one."""
        known = self._listed | self._denied
        if all(r in (self._listed if r.own else known) for r in self._scope.resources()):
            self.synced.set()

    async def _list(self, resource: Resource) -> list[Identity]:
        news: list[Identity] = []
        for place in self._scope.places(resource):
            news += await self._list_place(resource, place)
        return news

    async def _list_place(self, resource: Resource, place: str | None) -> list[Identity]:
        for attempt in range(_EXPIRED_LISTS):
            sweep = self._objects.begin(resource.kind, place)
            news: list[Identity] = []
            version = ""
            try:
                async for page in self._api.pages(resource, place):
                    news += self._objects.listed(sweep, page.items)
                    version = page.version
                    self._age.note(resource.kind)
            except ApiError as error:
                if error.status == 410 and attempt + 1 < _EXPIRED_LISTS:
                    continue
                explained = explain(error, resource, place)
                raise ApiError(error.status, *explained, retry_after=error.retry_after) from error
            gone = self._objects.finish(sweep, version)
            if gone:
                self.changed()
            return news
        raise AssertionError("unreachable")

    def _failed(self, resource: Resource, error: ApiError) -> None:
        failures = self._failures[resource] = self._failures.get(resource, 0) + 1
        wait = max(error.retry_after, _RETRY[min(failures, len(_RETRY)) - 1])
        if not error.temporary:
            self._listed.discard(resource)
            self._denied.add(resource)
            self._pass_barrier()
        self._problems.report(f"list {resource.plural}", error.reason, str(error))
        self._due[resource] = asyncio.get_running_loop().time() + wait * random.uniform(0.8, 1.2)  # noqa: S311

    def _expect(self, news: list[Identity]) -> None:
        """Changes that a list knows must come as events, too; otherwise the watch is deaf."""
        fresh = {i: known.version for i in news if (known := self._objects.get(i)) is not None}
        if fresh:
            self._expected.update(fresh)
            asyncio.get_running_loop().call_later(MISSED_AFTER, self._judge, fresh)

    def _judge(self, fresh: dict[Identity, str]) -> None:
        late = [identity for identity, version in fresh.items() if self._expected.get(identity) == version]
        for identity in late:
            del self._expected[identity]
        if late:
            self._figures.missed_events += len(late)
            self.missed()
