"""Runs what is due: claims durable timers and gives each to the handler of its kind, in one transaction.

Any number of dispatchers may work on one store. A claim is a lease: who dies gives its timers back by itself. A handler
does all its work on the connection it is given, so that its effects and the end of its timer are one commit: a timer
takes effect once, whatever crashes. It may be tried more than once, so it holds nothing outside the store.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError, StatementError

from tocsin.dispatch.clock import MINUTE, SECOND, Clock
from tocsin.dispatch.meters import Meters
from tocsin.flow.model import Micros
from tocsin.store import claims, timers
from tocsin.store.errors import StoreUnavailable
from tocsin.store.timers import Timer
from tocsin.telemetry import Telemetry

T = TypeVar("T")

LONGEST_WAIT = SECOND
"""What other processes schedule is seen after this time at the latest, and so is a new flow."""

BATCH = 50
MOST_ATTEMPTS = 15
LONGEST_BACK_OFF = 5 * MINUTE
"""With 15 attempts a timer dies some 40 minutes after its first failure."""


class DispatchStore(Protocol):
    """The part of `store.Store` that the dispatcher uses."""

    async def read(self, fn: Callable[[Connection], T]) -> T: ...
    async def write(self, fn: Callable[[Connection], T]) -> T: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One timer whose time has come. `now` is the moment of this transaction, in the store's clock."""

    timer: Timer
    now: Micros


Run = Callable[[Connection, Job], Micros | None]
"""Does the work. Returns when this timer shall come again, None if it is done. Raising means: try again later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handler:
    """`standing` timers are part of how Tocsin works: they are tried for ever and never die."""

    run: Run
    standing: bool = False


class Dispatcher:
    """`run` until `stop`; or `run_due` and `next_due` one step at a time, under a clock of one's own.

    `handlers`: kind of timer -> what to do. Timers of other kinds are left for whoever handles them.
    """

    def __init__(
        self, store: DispatchStore, handlers: Mapping[str, Handler], *, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._store = store
        self._handlers = dict(handlers)
        self._clock = clock
        self._log = telemetry.log
        self._meters = Meters(telemetry.registry)
        self._owner = f"dispatcher-{secrets.token_hex(6)}"
        self._woken = asyncio.Event()
        self._stopping = False

    def wake(self) -> None:
        """Look now: something was scheduled. To be called on the dispatcher's loop."""
        self._woken.set()

    def stop(self) -> None:
        """`run` returns once the timer in hand is done."""
        self._stopping = True
        self._woken.set()

    async def run(self, each_time: Callable[[], Awaitable[None]] | None = None) -> None:
        """Runs timers as they fall due, `each_time` before it looks for some. An unreachable store is waited for."""
        while not self._stopping:
            self._woken.clear()
            try:
                if each_time is not None:
                    await each_time()
                await self.run_due()
                wait = await self._store.read(self._until_next)
            except StoreUnavailable as error:
                self._log.warning("the dispatcher waits for the store", reason=str(error))
                wait = LONGEST_WAIT
            except Exception as error:  # noqa: BLE001 - whatever it is, timers must go on
                hide_parameters(error)
                self._log.error("the dispatcher stumbled and goes on", exc_info=error)
                wait = LONGEST_WAIT
            await self._clock.wait(min(wait, LONGEST_WAIT), self._woken)

    async def run_due(self) -> int:
        """Runs everything that is due now, and what falls due meanwhile; returns how many timers it ran."""
        done = 0
        while not self._stopping:
            claimed = await self._store.write(self._claim)
            for timer in claimed:
                await self._perform(timer)
            done += len(claimed)
            if not claimed:
                break
        return done

    async def next_due(self) -> Micros | None:
        return await self._store.read(lambda c: claims.next_due(c, self._handlers))

    def _claim(self, connection: Connection) -> tuple[Timer, ...]:
        now = self._clock.now(connection)
        return claims.claim(connection, self._owner, self._handlers.keys(), limit=BATCH, now=now)

    def _until_next(self, connection: Connection) -> int:
        due = claims.next_due(connection, self._handlers.keys())
        return LONGEST_WAIT if due is None else due - self._clock.now(connection)

    async def _perform(self, timer: Timer) -> None:
        try:
            ran = await self._store.write(lambda connection: self._attempt(connection, timer))
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - one timer's failure must not stop the others
            hide_parameters(error)
            self._log.error(
                "a timer failed",
                kind=timer.kind,
                subject=timer.subject,
                attempt=timer.attempts,
                exc_info=error,
            )
            reason = describe(error)
            await self._store.write(lambda connection: self._retry_or_bury(connection, timer, reason))
            return
        if ran:
            self._meters.ran(timer.kind)

    def _attempt(self, connection: Connection, timer: Timer) -> bool:
        """False if the timer was cancelled, rescheduled or taken by another dispatcher after the claim."""
        if not claims.held(connection, timer, self._owner):
            return False
        now = self._clock.now(connection)
        self._meters.late(max(now - timer.due_at, 0))
        again = self._handlers[timer.kind].run(connection, Job(timer=timer, now=now))
        if not claims.held(connection, timer, self._owner):  # the handler scheduled it anew by itself
            return True
        if again is None:
            timers.finish(connection, timer, self._owner)
        else:
            timers.schedule(connection, timer.kind, timer.subject, again, data=timer.data)
        return True

    def _retry_or_bury(self, connection: Connection, timer: Timer, reason: str) -> None:
        now = self._clock.now(connection)
        if timer.attempts >= MOST_ATTEMPTS and not self._handlers[timer.kind].standing:
            claims.bury(connection, timer, self._owner, error=reason, now=now)
            self._meters.died(timer.kind)
            return
        timers.defer(connection, timer, self._owner, Micros(now + back_off(timer.attempts)))
        self._meters.failed(timer.kind)


def hide_parameters(error: Exception) -> None:
    """What a statement was to store (payloads, ciphertext) does not belong into a log."""
    if isinstance(error, StatementError):
        error.hide_parameters = True


def describe(error: Exception) -> str:
    """One line. The text of a database error stays out: it may quote what was stored."""
    if isinstance(error, SQLAlchemyError):
        return type(error).__name__
    return f"{type(error).__name__}: {error}".splitlines()[0]


def back_off(attempts: int) -> int:
    """Microseconds until the next try after so many failures: 1 s, 2 s, 4 s ... 5 min."""
    return min(SECOND << min(attempts - 1, 20), LONGEST_BACK_OFF)
