"""What is counted about messages. Reasons are Alertmanager's, types and kinds are closed sets, people are declared."""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from tocsin.notify.channel import FailureReason

_BUCKETS = (0.01, 0.05, 0.1, 0.3, 1, 3, 10, 30, 60, 300, 1800)
_MICRO = 1_000_000


class DeliveryMeters:
    """Of one process; `pending` and `oldest` are numbers of the whole store, as this process last read them."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._notifications = Counter(
            "tocsin_notifications",
            "Messages that were delivered or given up, by type of channel and kind of message.",
            ("type", "kind"),
            registry=registry,
        )
        self._failed = Counter(
            "tocsin_notifications_failed",
            "Messages that were given up, by type of channel and reason of the last failure.",
            ("type", "reason"),
            registry=registry,
        )
        self._attempts_failed = Counter(
            "tocsin_notification_attempts_failed",
            "Attempts that failed; most are repeated.",
            ("type", "reason"),
            registry=registry,
        )
        self._latency = Histogram(
            "tocsin_notification_latency_seconds",
            "How long one attempt took, whatever came of it.",
            ("type",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._delay = Histogram(
            "tocsin_notification_delay_seconds",
            "From the moment that somebody was to be told until the message was delivered.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._bundled = Counter(
            "tocsin_notifications_bundled",
            "Messages that became a line of a bundle.",
            registry=registry,
        )
        self._people = Counter(
            "tocsin_user_was_notified_of_alert_groups",
            "Alert groups that a responder was told of in person.",
            ("username",),
            registry=registry,
        )
        self.pending = Gauge("tocsin_deliveries_pending", "Messages that wait to be sent.", registry=registry)
        self.oldest = Gauge(
            "tocsin_deliveries_oldest_seconds",
            "How long the oldest message that should be sent by now has been waiting.",
            registry=registry,
        )
        self._usernames: set[str] = set()

    def attempted(self, channel_type: str, seconds: float, reason: FailureReason | None) -> None:
        self._latency.labels(channel_type).observe(seconds)
        if reason is not None:
            self._attempts_failed.labels(channel_type, reason.value).inc()

    def delivered(self, channel_type: str, kind: str, delay: int) -> None:
        """`delay` in microseconds."""
        self._notifications.labels(channel_type, kind).inc()
        self._delay.observe(max(delay, 0) / _MICRO)

    def failed(self, channel_type: str, kind: str, reason: FailureReason) -> None:
        self._notifications.labels(channel_type, kind).inc()
        self._failed.labels(channel_type, reason.value).inc()

    def bundled(self, count: int) -> None:
        self._bundled.inc(count)

    def told(self, username: str, groups: int) -> None:
        self._usernames.add(username)
        self._people.labels(username).inc(groups)

    def forget_people(self, declared: Collection[str]) -> None:
        """The series of people who are not declared any more end."""
        for username in self._usernames.difference(declared):
            self._people.remove(username)
            self._usernames.discard(username)
