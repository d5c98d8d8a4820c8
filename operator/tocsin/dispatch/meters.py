"""What the dispatcher counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram

_MICRO = 1_000_000
_BUCKETS = (0.05, 0.1, 0.5, 1, 5, 30, 60, 300, 1800)


class Meters:
    """Kinds of timers are few and fixed, so they make good label values."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._timers = Counter(
            "tocsin_timers",
            "Timers by kind and result: done, failed (will be tried again), dead (given up).",
            ("kind", "result"),
            registry=registry,
        )
        self._lag = Histogram(
            "tocsin_timer_lag_seconds",
            "How long after its time a timer was run.",
            buckets=_BUCKETS,
            registry=registry,
        )

    def ran(self, kind: str) -> None:
        self._timers.labels(kind, "done").inc()

    def failed(self, kind: str) -> None:
        self._timers.labels(kind, "failed").inc()

    def died(self, kind: str) -> None:
        self._timers.labels(kind, "dead").inc()

    def late(self, lag: int) -> None:
        """`lag` in microseconds."""
        self._lag.observe(lag / _MICRO)


class EngineMeters:
    """Of the engine: `kind` is event, escalation, joined (a paused escalation) or personal."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._items = Counter(
            "tocsin_escalation_items",
            "What the engine worked through, by kind and result: done, failed.",
            ("kind", "result"),
            registry=registry,
        )
        self._lag = Histogram(
            "tocsin_escalation_lag_seconds",
            "How long after it happened, or was due, an item was worked through.",
            ("kind",),
            buckets=_BUCKETS,
            registry=registry,
        )

    def ran(self, kind: str, lag: int) -> None:
        """`lag` in microseconds."""
        self._items.labels(kind, "done").inc()
        self._lag.labels(kind).observe(lag / _MICRO)

    def failed(self, kind: str) -> None:
        self._items.labels(kind, "failed").inc()
