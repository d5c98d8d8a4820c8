"""The step budget: a deterministic measure of work and memory, without a clock.

Work is counted in units. A step is 100 units, a character produced is one unit (four if the text is not plain ASCII,
which takes up to four bytes a character), so a budget of 250,000 steps also bounds what a rendering can produce to
25 MB. Everything is charged before it is done. What is charged besides (DESIGN section 5 names steps and characters):

* a fifth of a step for each syntax node in the body of a loop (per turn), macro or block (per call), so that long
  bodies pay for what they do,
* one step for each element of a list or mapping that is made, a tenth for each one copied or looked at,
* one unit for each 100 characters read or compared.
"""

from __future__ import annotations

from typing import Any

from tocsin.flow.templates.missing import Missing
from tocsin.flow.templates.problem import TemplateProblem

STEPS = 250_000
"""Default number of steps of one rendering."""

STEP = 100
"""Units of one step."""

INTEGER_BITS = 4_096
"""Size of the largest integer that a template may make."""

DEPTH = 30
"""Calls of macros, blocks and recursive loops inside each other."""

NESTING = 200
"""Levels of lists and mappings inside each other that a template may print or compare."""

LIMIT = 50_000
"""Characters of a template's source and of its result (alert-flow R-TPL-9, R-TPL-10)."""


class Meter:
    """What one rendering has left, and where it notes what it misses. `now` is UTC in microseconds."""

    __slots__ = ("depth", "left", "limit", "notes", "now", "steps")

    def __init__(self, *, steps: int, limit: int, now: int, notes: list[str]) -> None:
        self.steps = steps
        self.left = steps * STEP
        self.limit = limit
        self.now = now
        self.notes = notes
        self.depth = 0

    @property
    def spent(self) -> int:
        """Steps taken so far, rounded up."""
        return -((self.left - self.steps * STEP) // STEP)

    def spend(self, units: int) -> None:
        """Raises TemplateProblem of kind `budget` if that is more than is left."""
        left = self.left - units
        if left < 0:
            raise TemplateProblem("budget", f"the template needs more than {self.steps} steps")
        self.left = left

    def step(self) -> Meter:
        """Spends one step, before what it is written in front of."""
        self.spend(STEP)
        return self

    def produce(self, length: int, *sources: str) -> None:
        """Charges for `length` characters made of `sources`."""
        for source in sources:
            if not source.isascii():
                length *= 4
                break
        self.spend(length)

    def read(self, length: int) -> None:
        self.spend(length // STEP)

    def undefined(self, hint: str | None = None, name: str = "") -> Missing:
        """Jinja2's generated code calls this for names and parameters that are not there."""
        del hint
        return Missing(name, self.notes)

    def enter(self) -> None:
        """One call inside another; every `enter` has its `leave`."""
        self.depth += 1
        if self.depth > DEPTH:
            raise TemplateProblem(
                "limit", f"macros, blocks or loops call each other more than {DEPTH} levels deep"
            )

    def leave(self) -> None:
        self.depth -= 1


def weigh(meter: Meter, value: Any) -> None:
    """Charges for one visit to everything inside `value`, before something walks it unmetered.

    Shared parts count as often as they are reached, so values that fold up into themselves exhaust the budget here.
    Raises TemplateProblem of kind `limit` below `NESTING` levels.
    """
    level: list[Any] = [value]
    for _ in range(NESTING):
        below: list[Any] = []
        for item in level:
            kind = type(item)
            if kind is str:
                meter.spend(len(item) // STEP)
            elif kind is dict:
                meter.spend(20 * len(item) + 10)
                below.extend(item)
                below.extend(item.values())
            elif isinstance(item, list | tuple):
                meter.spend(10 * len(item) + 10)
                below.extend(item)
        if not below:
            return
        level = below
    raise TemplateProblem("limit", f"a value is nested more than {NESTING} levels deep")


def checked(value: Any) -> Any:
    """The result of arithmetic, if it is a number that templates may hold."""
    if type(value) is int and value.bit_length() > INTEGER_BITS:
        raise TemplateProblem("limit", f"an integer has more than {INTEGER_BITS} bits")
    if type(value) is complex:
        raise TemplateProblem("type", "the result is not a real number")
    return value
