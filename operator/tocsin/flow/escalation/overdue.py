"""What is left of moments that are due when nobody ran them in time.

A moment is everything that has the same nominal time: the steps or rules between two waits. Up to a minute late counts
as in time: each moment that is due is run, in order, so a slow dispatcher drops nothing. Later than that Tocsin was
away: only the newest due moment that tells somebody is run, because whoever the older ones would have told is told
by it, or has been passed over already. A moment that would tell nobody never replaces one that does.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from tocsin.api.durations import MINUTE
from tocsin.flow.model import Micros

LATE = MINUTE
"""Microseconds after its time from which on a moment is overdue."""

E = TypeVar("E")


class Due(Generic[E]):
    """Collects the effects of one advance. `late`: older moments make way for newer ones. `told`: somebody is told."""

    def __init__(self, *, late: bool) -> None:
        self.late = late
        self.told = False
        self._older: list[tuple[int, E]] = []
        self._current: list[tuple[int, E]] = []
        self._old_told = False
        self._skipped: set[int] = set()

    def next_moment(self) -> None:
        self._older += self._current
        self._current = []
        self._old_told = self.told

    def telling(self) -> None:
        """To be called before effects that tell somebody are added."""
        if self.late and self._old_told:
            self._skipped.update(index for index, _ in self._older)
            self._older = []
            self._old_told = False
        self.told = True

    def add(self, index: int, *effects: E) -> None:
        self._current += ((index, effect) for effect in effects)

    @property
    def effects(self) -> list[E]:
        return [effect for _, effect in (*self._older, *self._current)]

    @property
    def skipped(self) -> str:
        """The steps or rules that made way, counted from one; empty if none did."""
        return ", ".join(str(index + 1) for index in sorted(self._skipped))

    def until(self, at: Micros, delay: int, now: Micros) -> Micros:
        """The end of a wait whose nominal begin is `at`: who is told late still gets the whole time to act."""
        end = Micros(at + delay)
        return Micros(now + delay) if end > now and self.late and self.told else end
