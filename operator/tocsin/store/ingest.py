"""Storing batches of calls, with what is remembered between batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from tocsin.api.ids import Disguise
from tocsin.store.backend import Answer, Call
from tocsin.store.batch import Batch
from tocsin.store.bulk import Bulk
from tocsin.store.directory import Directory
from tocsin.store.errors import NotStorable, StoreUnavailable
from tocsin.store.openings import Openings
from tocsin.store.text import pack_all

Prepared = Sequence[tuple[Call, Sequence[bytes]]]
"""Calls with their packed payloads."""


class Ingest:
    """Used by one thread. After `store` or `store_each` comes either `committed` or `failed`."""

    def __init__(self, disguise: Disguise, openings: Openings | None) -> None:
        self._disguise = disguise
        self._openings = openings
        self._directory = Directory()
        self._batches: list[Batch] = []

    def prepare(self, calls: Sequence[Call]) -> Prepared:
        """The part that needs no transaction: compress the payloads."""
        packed = iter(pack_all([arrival.payload for call in calls for arrival in call]))
        return [(call, [next(packed) for _ in call]) for call in calls]

    def store(self, bulk: Bulk, prepared: Prepared) -> Sequence[Answer]:
        """All calls in one go: the first thing that fails, fails all."""
        batch = Batch(bulk, self._directory, self._disguise, self._openings)
        bodies = chain.from_iterable(packed for _, packed in prepared)
        answers = batch.store([call for call, _ in prepared], bodies)
        self._batches.append(batch)
        return answers

    def store_each(
        self, bulk: Bulk, prepared: Prepared, unavailable: Callable[[BaseException], StoreUnavailable | None]
    ) -> Sequence[Answer]:
        """Each call under its own savepoint, so that one alert cannot fail its neighbours.

        What `unavailable` blames on the database still fails them all.
        """
        answers: list[Answer] = []
        for call, packed in prepared:
            batch = Batch(bulk, self._directory, self._disguise, self._openings)
            try:
                with bulk.connection.begin_nested():
                    answers.extend(batch.store([call], iter(packed)))
            except Exception as error:
                if unavailable(error) is not None:
                    raise
                self._directory.discard()
                self._forget()
                answers.append(NotStorable(f"the database refuses this alert: {type(error).__name__}"))
            else:
                self._batches.append(batch)
        return answers

    def committed(self) -> None:
        """What the transaction learnt holds from now on."""
        self._directory.settle()
        for batch in self._batches:
            batch.remember()
        self._batches.clear()

    def failed(self) -> None:
        """What the transaction learnt never happened."""
        self._directory.discard()
        self._batches.clear()
        self._forget()

    def _forget(self) -> None:
        if self._openings is not None:
            self._openings.forget()
