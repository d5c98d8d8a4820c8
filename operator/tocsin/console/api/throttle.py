"""How many requests a caller may make: a bucket per caller that refills evenly (alert-flow R-API-2)."""

from __future__ import annotations

from dataclasses import dataclass

from tocsin.flow.model import Micros

_MICROS_PER_MINUTE = 60_000_000


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: Micros


class Throttle:
    """`per_minute` requests on average and as burst. Callers are few (one per token), so none is ever forgotten."""

    def __init__(self, per_minute: int = 300) -> None:
        self._capacity = float(per_minute)
        self._buckets: dict[str, _Bucket] = {}

    def take(self, caller: str, now: Micros) -> int:
        """Counts one request. 0 if it may go on, otherwise the seconds until the next one may."""
        bucket = self._buckets.setdefault(caller, _Bucket(self._capacity, now))
        gained = max(now - bucket.at, 0) * self._capacity / _MICROS_PER_MINUTE
        bucket.tokens = min(self._capacity, bucket.tokens + gained)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return int((1 - bucket.tokens) * 60 / self._capacity) + 1
