"""Counts of the receiver: plain numbers on the fast path, turned into metrics only when someone scrapes.

Labels are bounded: integrations and routes are declared objects, all other values are closed sets. What belongs to an
Integration goes when the Integration does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tocsin.api.common import Identity
from tocsin.flow.decision import Decision
from tocsin.flow.model import Micros
from tocsin.receive.live import Live
from tocsin.store.arrivals import Stored

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_MICRO = 1_000_000


class Tally:
    """What happened to one Integration since this process started."""

    __slots__ = (
        "created", "dead", "digested", "dropped", "duplicates", "errors", "heartbeat_at", "heartbeats", "joined",
        "last_alert", "name", "refused", "routes",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.created = self.joined = self.duplicates = self.digested = self.heartbeats = 0
        self.last_alert = self.heartbeat_at = Micros(0)
        self.routes: dict[str, int] = {}
        self.errors: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.dead: Counter[str] = Counter()

    def count(self, decision: Decision, result: Stored) -> None:
        """Counts one committed alert. A duplicate changed nothing, so its decision counts for nothing."""
        if result.duplicate:
            self.duplicates += 1
            return
        if result.created:
            self.created += 1
        else:
            self.joined += 1
        if result.digested:
            self.digested += 1
        route = decision.route
        self.routes[route] = self.routes.get(route, 0) + 1
        outcome = decision.outcome
        for error in outcome.errors:
            self.errors[error.kind] += 1
        for label in outcome.dropped:
            self.dropped[label.reason] += 1


class Histogram:
    """Cumulative counts per upper bound, in seconds."""

    __slots__ = ("_counts", "total")

    def __init__(self) -> None:
        self._counts = [0] * (len(BUCKETS) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds

    def buckets(self) -> list[tuple[str, float]]:
        cumulative, pairs = 0, []
        for bound, count in zip((*map(str, BUCKETS), "+Inf"), self._counts, strict=True):
            cumulative += count
            pairs.append((bound, float(cumulative)))
        return pairs


class Tallies(Collector):
    """All counts of one receiver; `live` is what it enforces. `unknown` counts what belongs to no Integration (label value "")."""

    def __init__(self) -> None:
        self.unknown = Tally("")
        self.duration = Histogram()
        self.waiting = 0
        self.bodies_bytes = 0
        self.connections = 0
        self.connections_closed: Counter[str] = Counter()
        self.tls_reloads: Counter[str] = Counter()
        self.live: Live | None = None
        self._by_identity: dict[Identity, Tally] = {}

    def of(self, identity: Identity) -> Tally:
        tally = self._by_identity.get(identity)
        if tally is None:
            tally = self._by_identity[identity] = Tally(f"{identity.namespace}/{identity.name}")
        return tally

    def keep_only(self, declared: Iterable[Identity]) -> None:
        """Forgets Integrations that are gone."""
        for identity in self._by_identity.keys() - set(declared):
            del self._by_identity[identity]

    def all(self) -> Iterator[Tally]:
        yield self.unknown
        yield from list(self._by_identity.values())

    def collect(self) -> Iterator[Metric]:
        yield from self._alerts()
        yield from self._details()
        yield from self._process()

    def _alerts(self) -> Iterator[Metric]:
        received = CounterMetricFamily(
            "tocsin_alerts_received",
            "Alerts stored, by what became of them.",
            labels=("integration", "outcome"),
        )
        duplicates = CounterMetricFamily(
            "tocsin_alerts_deduplicated",
            "Repeated deliveries of senders in HA pairs, answered with the first alert.",
            labels=("integration",),
        )
        digested = CounterMetricFamily(
            "tocsin_alerts_digested",
            "Alerts over the rate limit: full effect, payload not kept.",
            labels=("integration",),
        )
        last = GaugeMetricFamily(
            "tocsin_last_alert_timestamp_seconds", "When the last alert was stored.", labels=("integration",)
        )
        for tally in self._by_identity.values():
            name = (tally.name,)
            for outcome, count in (
                ("created", tally.created),
                ("joined", tally.joined),
                ("duplicate", tally.duplicates),
            ):
                received.add_metric((tally.name, outcome), count)
            duplicates.add_metric(name, tally.duplicates)
            digested.add_metric(name, tally.digested)
            if tally.last_alert:
                last.add_metric(name, tally.last_alert / _MICRO)
        yield from (received, duplicates, digested, last)

    def _details(self) -> Iterator[Metric]:
        routes = CounterMetricFamily(
            "tocsin_routes_matched",
            "Alerts per route; `default` is the default route.",
            labels=("integration", "route"),
        )
        families = (
            ("errors", "tocsin_template_errors", "Templates that failed on an alert.", "kind"),
            ("dropped", "tocsin_labels_dropped", "Labels that an alert group did not get.", "reason"),
            (
                "refused",
                "tocsin_requests_refused",
                "Requests answered with a problem, by its kind.",
                "reason",
            ),
            ("dead", "tocsin_dead_letters", "Deliveries answered 200 into the dead letters.", "reason"),
        )
        for tally in self._by_identity.values():
            for route, count in tally.routes.items():
                routes.add_metric((tally.name, route), count)
        yield routes
        for attribute, metric, text, label in families:
            family = CounterMetricFamily(metric, text, labels=("integration", label))
            for tally in self.all():
                for value, count in getattr(tally, attribute).items():
                    family.add_metric((tally.name, value), count)
            yield family
        yield from self._heartbeats()

    def _heartbeats(self) -> Iterator[Metric]:
        count = CounterMetricFamily(
            "tocsin_heartbeats_received", "Signs of life recorded.", labels=("integration",)
        )
        last = GaugeMetricFamily(
            "tocsin_heartbeat_last_seen_timestamp_seconds",
            "When this process last recorded a sign of life.",
            labels=("integration",),
        )
        for tally in self._by_identity.values():
            if tally.heartbeats:
                count.add_metric((tally.name,), tally.heartbeats)
                last.add_metric((tally.name,), tally.heartbeat_at / _MICRO)
        yield from (count, last)

    def _process(self) -> Iterator[Metric]:
        duration = HistogramMetricFamily(
            "tocsin_commit_duration_seconds", "How long alerts waited until they were durable."
        )
        duration.add_metric((), self.duration.buckets(), self.duration.total)
        yield duration
        live = self.live
        ready = live is not None and not live.not_ready
        gauges = (
            ("tocsin_alerts_waiting", "Alerts that wait for their commit.", float(self.waiting)),
            ("tocsin_bodies_in_flight_bytes", "Bytes of request bodies held now.", float(self.bodies_bytes)),
            ("tocsin_connections", "Open connections.", float(self.connections)),
            ("tocsin_receiver_ready", "1 while this process takes alerts.", float(ready)),
        )
        for metric, text, value in gauges:
            yield GaugeMetricFamily(metric, text, value=value)
        config = GaugeMetricFamily(
            "tocsin_config_hash", "Digest of the flow in force; equal on all replicas.", labels=("digest",)
        )
        if live is not None:
            config.add_metric((live.program.digest[:16],), 1)
        yield config
        for metric, text, counts, label in (
            ("tocsin_connections_closed", "Connections ended by a limit.", self.connections_closed, "reason"),
            ("tocsin_tls_reloads", "Reloads of changed certificates.", self.tls_reloads, "outcome"),
        ):
            family = CounterMetricFamily(metric, text, labels=(label,))
            for value_of_label, count in counts.items():
                family.add_metric((value_of_label,), count)
            yield family
