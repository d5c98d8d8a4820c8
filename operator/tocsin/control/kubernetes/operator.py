"""The operator as a whole: hears of changes, compiles, publishes under its epoch, and writes what came of it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from tocsin.control.kubernetes.client import Api
from tocsin.control.kubernetes.lease import Lease
from tocsin.control.kubernetes.login import Login
from tocsin.control.kubernetes.login import login as find_login
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.resources import Scope
from tocsin.control.kubernetes.secrets import Bases
from tocsin.control.kubernetes.shift import Shift
from tocsin.flow.compiler import Compiled
from tocsin.sources.model import SourceType
from tocsin.store.database import Store

_LONGEST_PAUSE = 30.0
_HEALTHY_AFTER = 60.0


async def _nobody() -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorOptions:
    """`holder` must be unique among processes that run at the same time.

    `lease_namespace` "" is the namespace that this process lives in.
    """

    scope: Scope = field(default_factory=Scope)
    holder: str
    lease_name: str = "tocsin"
    lease_namespace: str = ""
    bases: Bases = field(default_factory=Bases)
    login: Login = find_login


class Operator:
    """`run` works until cancelled. Whatever fails in it is logged and begun anew; the process never ends for it."""

    def __init__(
        self, store: Store, types: Mapping[str, SourceType], options: OperatorOptions, signals: Signals
    ) -> None:
        self._store = store
        self._types = types
        self._options = options
        self._signals = signals
        self._shift: Shift | None = None
        self.on_publication: Callable[[], Awaitable[None]] = _nobody
        """Awaited after each publication: a receiver in the same process loads the flow there at once."""
        figures = signals.figures
        figures.up = lambda: self._shift is not None and self._shift.up
        figures.leader = lambda: self.leads
        figures.waiting = lambda: 0 if self._shift is None else self._shift.statuses.waiting
        figures.objects = lambda: {} if self._shift is None else self._shift.compiling.counts
        figures.restarts = lambda: 0 if self._shift is None else self._shift.watch.restarts

    @property
    def leads(self) -> bool:
        lease: Lease | None = None if self._shift is None else self._shift.lease
        return lease is not None and lease.epoch is not None

    @property
    def compiled(self) -> Compiled | None:
        """The last compilation of what is declared; None while that is not known."""
        return None if self._shift is None else self._shift.compiling.compiled

    @property
    def not_ready(self) -> str:
        """What keeps it from its work, in words; "" while all is well."""
        described = self._signals.problems.describe()
        if described:
            return described
        if self._shift is None or not self._shift.synced:
            return "the objects of the cluster are not listed yet"
        return ""

    async def run(self) -> None:
        pause = 1.0
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                async with Api(self._options.login) as api:
                    self._shift = Shift(api, self._store, self._types, self._options, self._signals)
                    self._shift.on_publication = self.on_publication
                    await self._shift.run()
            except Exception as error:
                self._signals.log.exception("the operator failed and begins anew")
                self._signals.problems.report(
                    "operator", type(error).__name__, "the operator failed; see its log"
                )
            finally:
                self._shift = None
            pause = 1.0 if loop.time() - began > _HEALTHY_AFTER else min(2 * pause, _LONGEST_PAUSE)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311 -- spreads restarts
