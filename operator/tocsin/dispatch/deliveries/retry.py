"""When to try again, and when to give up (needs 11: a failed delivery must be seen and have a second way).

Pure. What a vendor asks for (`Retry-After`) is kept to; otherwise pauses double, from one second to a minute, each with
some chance in it, so that what failed together does not come back together.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from tocsin.dispatch.clock import HOUR, MINUTE, SECOND
from tocsin.flow.model import Micros
from tocsin.notify.channel import DeliveryFailed

FIRST_PAUSE = SECOND
LONGEST_PAUSE = MINUTE

GIVE_UP_AFTER = HOUR
"""From the first attempt."""

FALL_BACK_AFTER = 5 * MINUTE
"""The same where there is a second way: a page that takes it an hour late helps nobody."""

SHORTER: Mapping[str, int] = MappingProxyType({"update": 15 * MINUTE})
"""An edit that is late is overtaken by the next one."""


class Tries(msgspec.Struct, frozen=True, kw_only=True):
    """What was tried so far. `attempts` counts the one that just failed, `first_at` is when the first one began."""

    kind: str
    attempts: int
    first_at: Micros
    second_way: bool = False

    @property
    def deadline(self) -> Micros:
        """No attempt begins after this."""
        budget = SHORTER.get(self.kind, FALL_BACK_AFTER if self.second_way else GIVE_UP_AFTER)
        return Micros(self.first_at + budget)


def next_try(failure: DeliveryFailed, tries: Tries, now: Micros, *, chance: float) -> Micros | None:
    """The moment of the next attempt; None: this delivery has failed. `chance` is a random number from 0 to 1."""
    if failure.permanent:
        return None
    pause = min(FIRST_PAUSE << min(tries.attempts - 1, 20), LONGEST_PAUSE)
    at = now + pause // 2 + int(pause * chance)
    if failure.retry_after is not None:
        at = max(at, now + int(failure.retry_after * SECOND) + int(SECOND * chance))
    return Micros(at) if at <= tries.deadline else None
