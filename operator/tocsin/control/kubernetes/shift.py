"""One working life of the operator: its parts, put together, and the loops that drive them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from tocsin.api.common import Identity
from tocsin.api.objects import KINDS
from tocsin.control.kubernetes.boundaries import Boundaries
from tocsin.control.kubernetes.client import Api, ApiError
from tocsin.control.kubernetes.compiling import Compiling, Outcome
from tocsin.control.kubernetes.debounce import Debounce
from tocsin.control.kubernetes.desired import is_programmed
from tocsin.control.kubernetes.events import Events
from tocsin.control.kubernetes.lease import EVERY as RENEW_EVERY
from tocsin.control.kubernetes.lease import Candidate, Lease
from tocsin.control.kubernetes.login import own_namespace
from tocsin.control.kubernetes.objects import Objects
from tocsin.control.kubernetes.observed import EVERY as OBSERVE_EVERY
from tocsin.control.kubernetes.observed import Ledger, failing_calendar
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.programmed import Programmed
from tocsin.control.kubernetes.publishing import endpoint_owners, publish
from tocsin.control.kubernetes.references import REFRESH_EVERY, References
from tocsin.control.kubernetes.resources import Resource
from tocsin.control.kubernetes.secrets import Endpoints, wanted_by
from tocsin.control.kubernetes.speaking import Speaker, now
from tocsin.control.kubernetes.statuses import Statuses, Urgency
from tocsin.control.kubernetes.sweep import Sweeper
from tocsin.control.kubernetes.watching import Event, News, Relisted, Watch
from tocsin.flow.compiler import Compiled
from tocsin.sources.model import SourceType
from tocsin.store import revisions
from tocsin.store.database import Store
from tocsin.store.errors import StaleEpoch, StoreError, StoreUnavailable
from tocsin.store.replicas import live_replicas

if TYPE_CHECKING:
    from tocsin.control.kubernetes.operator import OperatorOptions

_GRACE = 0.25
"""Seconds that receivers get to load a revision before statuses are written: most changes are one write then."""
_LOOK_OFTEN = 0.05
_LOOK_SELDOM = 0.5
_LOOK_RARELY = 5.0
_PATIENCE = 5.0
_RETRY = 1.0


async def _nobody() -> None:
    return


class Shift:
    """Runs until something fails or it is cancelled. All state of the operator is here and dies with it."""

    def __init__(
        self,
        api: Api,
        store: Store,
        types: Mapping[str, SourceType],
        options: OperatorOptions,
        signals: Signals,
    ) -> None:
        self._api = api
        self._store = store
        self._options = options
        self._signals = signals
        scope = options.scope
        self._objects = Objects()
        self._references = References(api, scope, store.keys.digest, signals)
        self._endpoints = Endpoints(api, self._references, options.bases, signals)
        self.compiling = Compiling(self._objects, self._references, types, signals)
        self._events = Events(api, options.holder, signals)
        self._speaker = Speaker(self._objects, self.compiling, self._endpoints, self._events)
        self.statuses = Statuses(api, scope.own_resources(), self._speaker, signals)
        self._sweeper = Sweeper(api, self._objects, scope, signals)
        self.watch = Watch(scope, options.login, self._take, signals.log)
        self._dirty = Debounce()
        self._boundaries = Boundaries()
        self._unsaid: set[Identity] = set()
        self._waiting = asyncio.Event()
        self._on_duty = asyncio.Lock()
        self._announced: int | None = None
        self.lease: Lease | None = None
        self.on_publication: Callable[[], Awaitable[None]] = _nobody

    @property
    def synced(self) -> bool:
        return self._sweeper.synced.is_set()

    @property
    def up(self) -> bool:
        own = [resource for resource in self._options.scope.resources() if resource.own]
        return self.synced and self.watch.running and self._sweeper.watchable.issuperset(own)

    async def run(self) -> None:
        self._sweeper.changed = self._dirty.touch
        self._sweeper.missed = self.watch.restart
        self._sweeper.swept = self._swept
        try:
            async with asyncio.TaskGroup() as group:
                for work in (
                    self._lead(),
                    self._sweeper.run(),
                    self._watch(),
                    self._compile(),
                    self._follow_replicas(),
                    self._write_secrets(),
                    self._refresh_references(),
                    self._observe(),
                    self._keep_time(),
                    self.statuses.run(),
                    self._events.run(),
                ):
                    group.create_task(work)
        finally:
            await self._retire()

    # --- hearing ----------------------------------------------------------------------------------------------------

    async def _watch(self) -> None:
        await self._sweeper.synced.wait()
        await self.watch.run(lambda: self._sweeper.watchable)

    def _take(self, news: News) -> None:
        self._signals.age.note(news.resource.kind)
        match news:
            case Relisted(resource):
                self._sweeper.request(resource)
            case Event():
                self._hear(news)

    def _hear(self, event: Event) -> None:
        kind, body = event.resource.kind, event.body
        metadata = body["metadata"]
        self._sweeper.seen(Identity(kind, metadata.get("namespace") or "", metadata["name"]))
        take = self._objects.drop if event.type == "DELETED" else self._objects.put
        if take(kind, body):
            self._dirty.touch()

    def _swept(self, resource: Resource) -> None:
        if resource.kind in KINDS and not self._speaker.silent:
            self._say(self._objects.of(resource.kind), Urgency.ROUTINE)

    # --- compiling and publishing -----------------------------------------------------------------------------------

    async def _compile(self) -> None:
        await self._sweeper.synced.wait()
        self._dirty.touch()
        while True:
            await self._dirty.settled()
            outcome = await self.compiling.run(now())
            self._boundaries.update(outcome.compiled, now())
            self._unsaid |= outcome.touched | outcome.compiled.changed
            await self._publish(outcome)

    async def _publish(self, outcome: Outcome) -> None:
        """Publishes what is compiled, if this process leads; what fails is tried again with the next compilation."""
        epoch = None if self.lease is None else self.lease.epoch
        if epoch is None or self.lease is None:
            return
        try:
            publication = await publish(
                self._store, outcome.compiled, self._references, self._endpoints, epoch
            )
        except StaleEpoch as error:
            self.lease.refuse(epoch)
            self._signals.problems.report("publish", "StaleEpoch", str(error))
            return
        except StoreError as error:
            self._signals.problems.report(
                "publish", "StoreUnavailable", f"the flow waits for the store: {error}"
            )
            asyncio.get_running_loop().call_later(_RETRY, self._dirty.touch)
            return
        self._signals.problems.solve("publish")
        number = publication.revision.number
        if number != self._announced:
            self._announced = number
            self._signals.figures.publications += 1
            self._signals.log.info("published", revision=number, objects=len(outcome.compiled.reports))
        self._unsaid.update(self._speaker.found(publication.findings))
        self._prove(number)
        self._ensure_secrets(outcome)
        await self._let_load()
        unsaid, self._unsaid = self._unsaid, set()
        await self._look_at_duties(unsaid)
        self._say(unsaid, Urgency.EFFECT)

    def _prove(self, revision: int) -> None:
        """What has changed is proven once the replicas have loaded `revision`."""
        programmed, moment = self._speaker.programmed, asyncio.get_running_loop().time()
        for identity in self._unsaid:
            metadata, known = self.compiling.metadata.get(identity), self._objects.get(identity)
            if metadata is None:
                programmed.forget(identity)
                self._endpoints.forget(identity)
            elif (
                known is not None
                and not programmed.knows(identity)
                and is_programmed(known.status, metadata.generation)
            ):
                programmed.remember(identity, metadata.uid, metadata.generation)
            else:
                programmed.publish(identity, metadata.uid, metadata.generation, revision=revision, now=moment)
        if programmed.waits:
            self._waiting.set()

    def _ensure_secrets(self, outcome: Outcome) -> None:
        owners = endpoint_owners(outcome.compiled)
        touched = {
            Identity("Integration", s.namespace, s.name.removesuffix("-endpoint")) for s in outcome.secrets
        }
        self._endpoints.ensure(owners.keys() & (self._unsaid | touched | self._endpoints.trouble.keys()))
        for identity in self._endpoints.trouble.keys() - owners.keys():
            self._endpoints.forget(identity)

    async def _let_load(self) -> None:
        """Gives receivers a moment to load what was published."""
        try:
            await self.on_publication()
            deadline = asyncio.get_running_loop().time() + _GRACE
            while asyncio.get_running_loop().time() < deadline:
                await self._look_at_replicas()
                if not self._speaker.programmed.waits and not self._endpoints.busy:
                    return
                await asyncio.sleep(_LOOK_OFTEN / 2)
        except StoreUnavailable:
            return

    # --- saying -----------------------------------------------------------------------------------------------------

    def _say(self, identities: Iterable[Identity], urgency: Urgency) -> None:
        """Has their statuses written. An object whose status is about an older generation goes first."""
        for identity in list(identities):
            known = self._objects.get(identity)
            if known is None or identity.kind not in KINDS:
                continue
            fresh = known.status.get("observedGeneration") != known.generation
            self.statuses.add(identity, Urgency.CHANGE if fresh else urgency)
        self.statuses.wake()

    async def _follow_replicas(self) -> None:
        """Closely while something is to be proven, else now and then: the last one may leave."""
        loop = asyncio.get_running_loop()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._waiting.wait(), _LOOK_RARELY)
            self._waiting.clear()
            began = loop.time()
            while not self._speaker.silent:
                try:
                    await self._look_at_replicas()
                except StoreUnavailable:
                    await asyncio.sleep(_RETRY)
                if not self._speaker.programmed.waits:
                    break
                await asyncio.sleep(_LOOK_OFTEN if loop.time() - began < _PATIENCE else _LOOK_SELDOM)

    async def _look_at_replicas(self) -> None:
        """Whoever looks says what is new: an acknowledgement is seen once only."""
        replicas = await self._store.read(live_replicas)
        moment = asyncio.get_running_loop().time()
        self._say(self._speaker.programmed.acknowledge(replicas, moment), Urgency.CHANGE)

    async def _write_secrets(self) -> None:
        while True:
            await self._endpoints.wait()
            compiled = self.compiling.compiled
            if compiled is None or self._speaker.silent:
                await asyncio.sleep(_RETRY)
                continue
            try:
                await self._write_due_secrets(compiled)
                self._signals.problems.solve("read tokens")
            except StoreError as error:
                self._signals.problems.report("read tokens", type(error).__name__, str(error))
                await asyncio.sleep(_RETRY)

    async def _write_due_secrets(self, compiled: Compiled) -> None:
        owners, keys = endpoint_owners(compiled), self._store.keys
        due = {i: owners[i] for i in self._endpoints.take() if i in owners}
        try:
            wanted = await self._store.read(lambda c: wanted_by(c, keys, compiled.flow, due))
        except StoreError:
            self._endpoints.ensure(due)
            raise
        self._say(await self._endpoints.write(wanted), Urgency.CHANGE)

    async def _observe(self) -> None:
        """Facts from the store, once a minute."""
        ledger = Ledger()
        while True:
            await asyncio.sleep(OBSERVE_EVERY)
            compiled = self.compiling.compiled
            if self._speaker.silent or compiled is None:
                continue
            try:
                running = await self._store.read(ledger.read)
                async with self._on_duty:
                    problems = await self._store.read(self._speaker.duties.fetched)
            except StoreError:
                continue
            running = {**running, **{i: failing_calendar(problem) for i, problem in problems.items()}}
            before, self._speaker.running = self._speaker.running, running
            self._say(
                [i for i in before.keys() | running if before.get(i) != running.get(i)], Urgency.ROUTINE
            )

    # --- time -------------------------------------------------------------------------------------------------------

    async def _lead(self) -> None:
        """Takes and keeps the Lease; begins and ends to speak with it."""
        self.lease = await self._make_lease()
        while True:
            try:
                await self.lease.attempt()
                self._signals.problems.solve("lease")
            except ApiError as error:
                message = f"the Lease cannot be renewed: {error}"
                self._signals.problems.report("lease", error.reason or str(error.status), message)
            except StoreUnavailable as error:
                self._signals.problems.report("lease", "StoreUnavailable", str(error))
            leads = self.lease.epoch is not None
            if leads == self._speaker.silent:
                self._turn(leads=leads)
            await asyncio.sleep(RENEW_EVERY)

    def _turn(self, *, leads: bool) -> None:
        self._signals.log.info("leading" if leads else "not leading", holder=self.lease and self.lease.holder)
        self._speaker.silent = not leads
        self._speaker.programmed = Programmed()
        self.statuses.clear()
        if leads:
            self._unsaid |= self.compiling.metadata.keys()
            self._dirty.touch()

    async def _make_lease(self) -> Lease:
        options = self._options

        async def floor() -> int:
            present = await self._store.read(revisions.current)
            return 0 if present is None else present.epoch

        namespace = options.lease_namespace or own_namespace(await asyncio.to_thread(options.login))
        candidate = Candidate(
            namespace=namespace, name=options.lease_name, holder=options.holder, floor=floor
        )
        return Lease(self._api, candidate)

    async def _keep_time(self) -> None:
        """Windows open and close, and schedules run out, without anybody changing an object."""
        while True:
            await asyncio.sleep(_RETRY)
            moment = now()
            if due := self._boundaries.passed(moment):
                self._say(due, Urgency.EFFECT)
            if told := await self._look_at_duties():
                self._say(told, Urgency.EFFECT)
            recheck = self.compiling.next_recheck
            if recheck is not None and recheck <= moment:
                self._dirty.touch()

    async def _look_at_duties(self, changed: Collection[Identity] = ()) -> set[Identity]:
        """The schedules of which somebody else is on call now; working that out takes its time."""
        compiled = self.compiling.compiled
        if compiled is None:
            return set()
        async with self._on_duty:
            return await asyncio.to_thread(
                self._speaker.duties.refresh, compiled.flow, now(), changed=changed
            )

    async def _refresh_references(self) -> None:
        while True:
            await asyncio.sleep(REFRESH_EVERY)
            if await self._references.refresh():
                self._dirty.touch()

    async def _retire(self) -> None:
        """Leaves the Lease to whoever is next."""
        self._speaker.silent = True
        if self.lease is None:
            return
        try:
            async with asyncio.timeout(3):
                await self.lease.release()
        except (ApiError, TimeoutError):
            return
