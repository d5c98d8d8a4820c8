"""What ingest remembers of ids that never change: identities, routes, manifests, labels.

What a transaction adds becomes known to later ones only once it is committed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import select

from tocsin.api.common import Identity
from tocsin.flow.model import Digest
from tocsin.store import identities
from tocsin.store.bulk import Bulk
from tocsin.store.tables import label, manifest

K = TypeVar("K")
V = TypeVar("V")
Pair = tuple[str, str]

MOST = 100_000
"""Entries per memory; a full one starts over."""


_LABEL = ("t.id", "t.key", "t.value")


class Directory:
    """Owned by the committing thread. `settle` after a commit, `discard` after a rollback."""

    def __init__(self) -> None:
        self._numbers: dict[Identity, int] = {}
        self._routes: dict[str, int] = {}
        self._names: dict[int, str] = {}
        self._manifests: dict[Digest, int] = {}
        self._labels: dict[Pair, int] = {}
        self._new_numbers: dict[Identity, int] = {}
        self._new_labels: dict[Pair, int] = {}
        self._unknown: set[Digest] = set()

    def settle(self) -> None:
        self._keep(self._numbers, self._new_numbers)
        self._keep(self._labels, self._new_labels)
        self.discard()

    def discard(self) -> None:
        self._new_numbers.clear()
        self._new_labels.clear()
        self._unknown.clear()

    def learn(self, bulk: Bulk, wanted: Iterable[Identity]) -> None:
        """Give a number to all of these that have none yet."""
        missing = {i for i in wanted if i not in self._numbers and i not in self._new_numbers}
        if missing:
            self._new_numbers.update(identities.ensure_all(bulk.connection, missing))

    def number(self, of: Identity) -> int:
        """Of an identity that was learnt."""
        known = self._numbers.get(of)
        return self._new_numbers[of] if known is None else known

    def route(self, name: str) -> int:
        """Of a route that was learnt."""
        known = self._routes.get(name)
        if known is None:
            of = identities.route_identity(name)
            known = self.number(of)
            if of in self._numbers:
                self._routes[name] = known
                self._names[known] = name
        return known

    def knows_route(self, name: str) -> bool:
        return name in self._routes

    def route_name(self, bulk: Bulk, number: int) -> str:
        known = self._names.get(number)
        if known is None:
            of = identities.load(bulk.connection, (number,))[number]
            known = identities.route_name(of)
            if of not in self._new_numbers:
                self._names[number] = known
        return known

    def manifest(self, bulk: Bulk, digest: Digest) -> int | None:
        """None for a flow that was never published here."""
        known = self._manifests.get(digest)
        if known is None and digest not in self._unknown:
            wanted = select(manifest.c.id).where(manifest.c.digest == bytes.fromhex(digest))
            known = bulk.connection.scalar(wanted)
            if known is None:
                self._unknown.add(digest)
            else:
                if len(self._manifests) >= 1000:
                    self._manifests.clear()
                self._manifests[digest] = known
        return known

    def labels(self, bulk: Bulk, pairs: Iterable[Pair]) -> dict[Pair, int]:
        """The numbers of these labels, given now where they have none. New rows are locked in sorted order."""
        found: dict[Pair, int] = {}
        missing: list[Pair] = []
        for pair in pairs:
            known = self._labels.get(pair) or self._new_labels.get(pair)
            if known is None:
                missing.append(pair)
            else:
                found[pair] = known
        if missing:
            missing.sort()
            bulk.insert(label, ("key", "value"), missing, "ON CONFLICT (key, value) DO NOTHING")
            for number, key, value in bulk.select(label, _LABEL, ("key", "value"), missing):
                found[key, value] = self._new_labels[key, value] = number
        return found

    @staticmethod
    def _keep(memory: dict[K, V], new: dict[K, V]) -> None:
        if len(memory) + len(new) > MOST:
            memory.clear()
        memory.update(new)
