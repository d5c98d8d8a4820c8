"""Group commit: everything that waits while a commit runs goes into the next transaction."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future as ThreadFuture
from typing import TypeVar

from tocsin.store.arrivals import Stored
from tocsin.store.backend import Answer, Call
from tocsin.store.errors import StoreError, StoreUnavailable
from tocsin.store.gathering import Gathering

T = TypeVar("T")

MOST_CALLS = 512
"""Calls per transaction: bounds how long the first of them waits."""

_Job = Callable[[], None]
_Waiting = tuple[Call, "asyncio.Future[tuple[Stored, ...]]"]


class GroupCommit:
    """One thread that owns all ingest (on SQLite all writing). `run` stores a batch and blocks until it is durable."""

    def __init__(self, run: Callable[[Sequence[Call]], Sequence[Answer]]) -> None:
        self._run = run
        self._queue: queue.SimpleQueue[_Waiting | _Job | None] = queue.SimpleQueue()
        self._closed = False
        self._gatherings: dict[asyncio.AbstractEventLoop, Gathering[_Waiting]] = {}
        self._gathering: Gathering[_Waiting] | None = None
        self._thread = threading.Thread(target=self._work, name="tocsin-commit", daemon=True)
        self._thread.start()

    def ingest(self, call: Call) -> asyncio.Future[tuple[Stored, ...]]:
        """Queue one call from a running loop; the future gets the answer on that loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[tuple[Stored, ...]] = loop.create_future()
        if self._closed:
            future.set_exception(StoreUnavailable("the store is closed"))
            return future
        gathering = self._gathering
        if gathering is None or gathering.loop is not loop:
            gathering = self._gathering_of(loop)
        gathering.add((call, future))
        return future

    def perform(self, fn: Callable[[], T]) -> ThreadFuture[T]:
        """Run `fn` in the thread, between two batches."""
        future: ThreadFuture[T] = ThreadFuture()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn())
            except BaseException as error:  # noqa: BLE001 - belongs to whoever waits, whatever it is
                future.set_exception(error)

        if self._closed:
            future.set_exception(StoreUnavailable("the store is closed"))
        else:
            self._flush()
            self._queue.put(job)
        return future

    def close(self) -> None:
        """Finish what waits, then end the thread."""
        self._flush()
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _gathering_of(self, loop: asyncio.AbstractEventLoop) -> Gathering[_Waiting]:
        gathering = self._gatherings.get(loop)
        if gathering is None:
            gathering = Gathering(loop, self._hand_over)
            open_ones = {known: held for known, held in self._gatherings.items() if not known.is_closed()}
            self._gatherings = open_ones | {loop: gathering}
        self._gathering = gathering
        return gathering

    def _hand_over(self, waiting: _Waiting) -> None:
        if self._closed:
            _answer([waiting], [StoreUnavailable("the store is closed")])
        else:
            self._queue.put(waiting)

    def _flush(self) -> None:
        """What was asked for earlier is done earlier."""
        for gathering in list(self._gatherings.values()):
            gathering.flush()

    def _work(self) -> None:
        running = True
        while running:
            waiting: list[_Waiting] = []
            jobs: list[_Job] = []
            item = self._queue.get()
            while True:
                if item is None:
                    running = False
                    break
                if isinstance(item, tuple):
                    waiting.append(item)
                else:
                    jobs.append(item)
                if len(waiting) >= MOST_CALLS or jobs:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            if waiting:
                self._store(waiting)
            for job in jobs:
                job()

    def _store(self, waiting: list[_Waiting]) -> None:
        try:
            answers = self._run([call for call, _ in waiting])
        except StoreError as error:
            answers = [error] * len(waiting)
        except Exception as error:  # noqa: BLE001 - the thread must outlive any mistake; nobody gets a false answer
            failure = StoreUnavailable(f"storing failed: {type(error).__name__}")
            failure.__cause__ = error
            answers = [failure] * len(waiting)
        _answer(waiting, answers)


def _answer(waiting: Sequence[_Waiting], answers: Sequence[Answer]) -> None:
    """Gives every call its answer, on the loop that waits for it."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[tuple[Stored, ...]], Answer]]] = {}
    for (_, future), answer in zip(waiting, answers, strict=True):
        by_loop.setdefault(future.get_loop(), []).append((future, answer))
    for loop, settled in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, settled)
        except RuntimeError:  # that loop has ended, and with it whoever waited
            continue


def _settle(settled: list[tuple[asyncio.Future[tuple[Stored, ...]], Answer]]) -> None:
    for future, answer in settled:
        if future.done():
            continue
        if isinstance(answer, tuple):
            future.set_result(answer)
        else:
            future.set_exception(answer)
