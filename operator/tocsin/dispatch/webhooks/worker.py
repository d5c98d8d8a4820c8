"""Runs outgoing webhooks that wait: claims them, makes their requests, keeps what was sent and what came back.

Runs of one webhook for one group happen in the order of their events; a webhook that hangs delays no other one. As with
messages, a run whose process died is made again when its lease ends, with the same `Idempotency-Key`.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import msgspec
from sqlalchemy import Connection

from tocsin.dispatch.background import Background
from tocsin.dispatch.clock import SECOND, Clock
from tocsin.dispatch.dispatcher import DispatchStore, hide_parameters
from tocsin.dispatch.live import Live, catching_up
from tocsin.dispatch.scene import Calendars
from tocsin.dispatch.triggers import WebhookOrder
from tocsin.dispatch.webhooks import data
from tocsin.dispatch.webhooks.attempt import Attempt, Meters, attempt, not_there, record
from tocsin.flow.model import Micros, SecretKey, WebhookFragment
from tocsin.flow.program import Program
from tocsin.flow.webhooks import secret_keys
from tocsin.notify.client import HttpClient
from tocsin.store import credentials, deliveries
from tocsin.store.deliveries import WEBHOOK, Delivery
from tocsin.store.errors import StoreUnavailable
from tocsin.store.keys import KeyRing
from tocsin.telemetry import Telemetry

BATCH = 8
AT_ONCE = 4
"""Runs of one webhook, each for another group."""

SPARE = 10 * SECOND

LOOK_EVERY = 0.2
STOP_WITHIN = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What runs are made with. `console_url`: where people find a group's page, "" unknown. `sole` as for messages."""

    http: HttpClient
    keys: KeyRing = field(repr=False)
    calendars: Calendars
    console_url: str = ""
    sole: bool = False


class WebhookWorker:
    """`run` until `stop`; or `run_due` to do all that is due now. One event loop; `wake` from anywhere."""

    def __init__(
        self, store: DispatchStore, live: Live, means: Means, *, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._store = store
        self._live = live
        self._means = means
        self._clock = clock
        self._log = telemetry.log
        self._meters = Meters(telemetry.registry)
        self._owner = f"webhooks-{secrets.token_hex(6)}"
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._background = Background("webhooks", telemetry.log)

    def wake(self) -> None:
        """Look now. From any thread; without effect before `run`."""
        self._background.wake()

    def stop(self) -> None:
        """`run` returns once what is in flight is recorded, or after some seconds."""
        self._background.stop()

    async def run(self) -> None:
        background = self._background
        background.begin()
        try:
            if self._means.sole:
                await background.patiently(self._take_over)
            while not background.stopping:
                background.woken.clear()
                if not await background.patiently(self.step):
                    await background.wait(LOOK_EVERY)
        finally:
            background.end()
            if self._busy:
                await asyncio.wait(self._busy.values(), timeout=STOP_WITHIN)
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def run_due(self) -> int:
        """Everything that is due now, until it is recorded; how many runs were claimed. For tests."""
        done = 0
        while claimed := await self.step():
            done += claimed
            await asyncio.gather(*self._busy.values())
        return done

    async def step(self) -> int:
        """Claims what is due and sets it in motion; how many. Raises StoreUnavailable."""
        busy = frozenset(self._busy)
        if not await self._store.read(lambda connection: self._is_due(connection, busy)):
            return 0
        program = self._live.program
        claimed = await self._store.write(lambda connection: self._claim(connection, program, busy))
        for webhook, runs in groupby(sorted(claimed, key=lambda run: run.channel), lambda run: run.channel):
            ordered = sorted(runs, key=lambda run: run.id)
            self._busy[webhook] = asyncio.create_task(self._lane(webhook, ordered, program), name=webhook)
        return len(claimed)

    def _is_due(self, connection: Connection, busy: frozenset[str]) -> bool:
        now = self._clock.now(connection)
        return deliveries.first_due(connection, now, kinds=(WEBHOOK,), without=busy) is not None

    def _claim(self, connection: Connection, program: Program, busy: frozenset[str]) -> tuple[Delivery, ...]:
        now = self._clock.now(connection)
        if catching_up(connection, program, now) is not None:
            return ()
        return deliveries.claim(
            connection,
            self._owner,
            limit=BATCH,
            now=now,
            lease=lease_of(program),
            kinds=(WEBHOOK,),
            without=busy,
        )

    async def _take_over(self) -> int:
        def release(connection: Connection) -> int:
            return deliveries.release(connection, self._clock.now(connection), kinds=(WEBHOOK,))

        return await self._store.write(release)

    # --- one webhook ---

    async def _lane(self, webhook: str, runs: Sequence[Delivery], program: Program) -> None:
        """Never raises: what could not be recorded is claimed anew when its lease ends."""
        turns = asyncio.Semaphore(AT_ONCE)

        async def in_order(of_group: list[Delivery]) -> None:
            for run in of_group:
                async with turns:
                    await self._perform(run, program)

        by_group: dict[int | None, list[Delivery]] = {}
        for run in runs:
            by_group.setdefault(run.group, []).append(run)
        try:
            await asyncio.gather(*(in_order(of_group) for of_group in by_group.values()))
        except StoreUnavailable as error:
            self._log.warning("webhooks wait for the store", reason=str(error))
        except Exception as error:  # noqa: BLE001 - one webhook's failure must not stop the others
            hide_parameters(error)
            self._log.error("a webhook stumbled", webhook=webhook, exc_info=error)
        finally:
            del self._busy[webhook]
            self._background.woken.set()

    async def _perform(self, run: Delivery, program: Program) -> None:
        webhook = program.targets.webhooks.get(run.channel)
        order = msgspec.json.decode(run.data, type=WebhookOrder)
        if webhook is None:
            made = not_there(run)
        else:
            made = await self._attempt(run, order, webhook, program)
        if made is not None:
            recorded = made
            await self._store.write(
                lambda connection: record(connection, run, order, recorded, self._clock.now(connection))
            )
            self._meters.ran(order.event, recorded)

    async def _attempt(
        self, run: Delivery, order: WebhookOrder, webhook: WebhookFragment, program: Program
    ) -> Attempt:
        def read(connection: Connection) -> tuple[data.Subject | None, Mapping[SecretKey, str], Micros]:
            now = self._clock.now(connection)
            subject = data.read(connection, run, program, self._means.calendars, now)
            return subject, _secrets(connection, self._means.keys, secret_keys(webhook)), now

        subject, values, now = await self._store.read(read)
        if subject is None or subject.group.life.wiped:
            return Attempt(dropped="the group was deleted or wiped")
        base = self._means.console_url
        link = f"{base}/alert-groups/{subject.group.public_id}" if base else ""
        document = data.document(subject, order, run.channel, program, link)
        return await attempt(webhook, document, values, now, self._means.http, key=run.key, own_url=base)


def lease_of(program: Program) -> int:
    """Microseconds: longer than a batch takes, all of one group by the slowest webhook, and no longer than need be: so
    long does a run wait whose process died.
    """
    slowest = max((webhook.timeout for webhook in program.targets.webhooks.values()), default=0)
    return SPARE + BATCH * slowest


def _secrets(connection: Connection, keys: KeyRing, wanted: Iterable[SecretKey]) -> Mapping[SecretKey, str]:
    names = {(key.namespace, key.name, key.key): key for key in wanted}
    return {
        names[name]: text for name, text in credentials.load_texts(connection, keys, names.keys()).items()
    }
