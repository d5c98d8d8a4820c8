"""Many-to-many relations that are cheap to copy: what compilation after compilation keeps and amends."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

A = TypeVar("A", bound=Hashable)
B = TypeVar("B", bound=Hashable)


class Relation(Generic[A, B]):
    """Each `a` is related to a set of `b`, readable from both sides.

    A copy shares the sets of its origin until it changes one of them, so the origin never changes.
    """

    __slots__ = ("_own", "backward", "forward")

    def __init__(self, origin: Relation[A, B] | None = None) -> None:
        self.forward: dict[A, frozenset[B]] = dict(origin.forward) if origin else {}
        self.backward: dict[B, set[A]] = dict(origin.backward) if origin else {}
        self._own: set[B] = set()

    def of(self, a: A) -> AbstractSet[B]:
        return self.forward.get(a, frozenset())

    def to(self, b: B) -> AbstractSet[A]:
        """All that are related to `b`."""
        return self.backward.get(b, frozenset())

    def to_any(self, targets: Iterable[B]) -> set[A]:
        found: set[A] = set()
        for b in targets:
            found |= self.to(b)
        return found

    def assign(self, a: A, related: Iterable[B]) -> AbstractSet[B]:
        """Relates `a` to exactly these; the result is what changed: related before or now, but not both."""
        now = frozenset(related)
        before = self.forward.get(a, frozenset())
        if now == before:
            return frozenset()
        for b in before - now:
            self._changeable(b).discard(a)
            if not self.backward[b]:
                del self.backward[b]
        for b in now - before:
            self._changeable(b).add(a)
        if now:
            self.forward[a] = now
        else:
            self.forward.pop(a, None)
        return before ^ now

    def _changeable(self, b: B) -> set[A]:
        if b not in self._own:
            self.backward[b] = set(self.backward.get(b, ()))
            self._own.add(b)
        return self.backward.setdefault(b, set())
