"""Admission as a whole: keeps the certificate, opens the door, answers. Runs beside the operator and never ends it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from tocsin.control.kubernetes.admission.judge import Judge
from tocsin.control.kubernetes.admission.keeper import Keeper, Kept
from tocsin.control.kubernetes.admission.server import Desk, Door
from tocsin.control.kubernetes.client import Api
from tocsin.control.kubernetes.login import Login, LoginFailed, own_namespace
from tocsin.control.kubernetes.login import login as find_login
from tocsin.control.kubernetes.operator import Operator
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.speaking import now
from tocsin.receive.environment import Environment
from tocsin.receive.tls import Certificate, Tls
from tocsin.sources.model import SourceType

KEEP_EVERY = 10.0
"""Seconds between two looks at the Secret."""
LOOK_EVERY = 5.0
"""Seconds between two looks at files."""
_RETRY = 2.0
_STEP = 1.0
_SUBJECT = "admission server"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmissionOptions:
    """Where to answer, and by which certificate: one of `files` that somebody else keeps, or one that is `kept`."""

    listen: tuple[str, int]
    files: Tls | None = None
    kept: Kept | None = None
    login: Login = find_login


class Admission:
    """`run` works until cancelled. Whatever fails in it is an open problem of the operator, and tried again."""

    def __init__(
        self,
        options: AdmissionOptions,
        operator: Operator,
        types: Mapping[str, SourceType],
        environment: Environment,
        signals: Signals,
    ) -> None:
        self._options = options
        self._leads: Callable[[], bool] = lambda: operator.leads
        self._environment = environment
        self._signals = signals
        judge = Judge(types, among=lambda: operator.compiled, now=now)
        self._desk = Desk(judge, environment.telemetry)
        self._door: Door | None = None
        self._news = asyncio.Event()

    @property
    def port(self) -> int:
        """Where it answers; 0 while it does not."""
        return 0 if self._door is None else self._door.port

    async def run(self) -> None:
        try:
            while True:
                try:
                    await self._serve()
                except Exception:
                    self._signals.log.exception("admission failed and begins anew")
                    self._door = None
                await asyncio.sleep(_RETRY)
        finally:
            self._desk.close()

    async def _serve(self) -> None:
        if self._options.kept is not None:
            await self._keep(self._options.kept)
        elif self._options.files is not None:
            self._door = self._make_door(self._options.files)
            await self._attend(self._door)

    async def _keep(self, kept: Kept) -> None:
        async with Api(self._options.login) as api, asyncio.TaskGroup() as group:
            keeper = await self._keeper(api, kept)
            led, due = False, 0.0
            while True:
                leads, moment = self._leads(), asyncio.get_running_loop().time()
                if leads != led or moment >= due or not keeper.held.is_there:
                    led, due = leads, moment + KEEP_EVERY
                    await keeper.sync()
                    self._news.set()
                if keeper.held.is_there and self._door is None:
                    self._door = self._make_door(keeper.held)
                    group.create_task(self._attend(self._door))
                await asyncio.sleep(_STEP)

    async def _keeper(self, api: Api, kept: Kept) -> Keeper:
        while not kept.namespace:
            try:
                namespace = own_namespace(await asyncio.to_thread(self._options.login))
                kept = replace(kept, namespace=namespace)
                self._signals.problems.solve(_SUBJECT)
            except LoginFailed as failed:
                self._signals.problems.report(_SUBJECT, "LoginFailed", str(failed))
                await asyncio.sleep(_RETRY)
        return Keeper(api, kept, leads=self._leads, signals=self._signals)

    def _make_door(self, certificate: Certificate) -> Door:
        return Door(self._desk, self._options.listen, certificate, self._environment)

    async def _attend(self, door: Door) -> None:
        """Keeps the door open, with the certificate as it is now."""
        try:
            while True:
                try:
                    await door.attend()
                    self._signals.problems.solve(_SUBJECT)
                except OSError as error:
                    message = f"admission cannot be answered: {error}"
                    self._signals.problems.report(_SUBJECT, type(error).__name__, message)
                self._news.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_EVERY):
                        await self._news.wait()
        finally:
            await door.close()
