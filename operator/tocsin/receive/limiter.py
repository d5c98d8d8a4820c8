"""Token bucket: a rate with bursts, no timers, no history."""

from __future__ import annotations


class TokenBucket:
    """Allows `count` events per `period` seconds, all of them at once after a quiet period.

    The clock is the caller's: `now` in seconds, never going back.
    """

    __slots__ = ("_at", "_tokens", "capacity", "per_second")

    def __init__(self, count: int, period: float, now: float) -> None:
        self.capacity = float(count)
        self.per_second = count / period
        self._tokens = self.capacity
        self._at = now

    def take(self, now: float) -> bool:
        """Uses up one event if the rate has room for it."""
        tokens = min(self.capacity, self._tokens + (now - self._at) * self.per_second)
        self._at = now
        if tokens < 1.0:
            self._tokens = tokens
            return False
        self._tokens = tokens - 1.0
        return True

    def seconds_until_free(self) -> float:
        """How long until `take` succeeds again, counted from the last `take`."""
        return max(0.0, (1.0 - self._tokens) / self.per_second)
