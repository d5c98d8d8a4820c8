"""What keeps the operator from its work, in words for readiness and the log, and in numbers for metrics."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from structlog.typing import FilteringBoundLogger

from tocsin.api.common import API_GROUP
from tocsin.control.kubernetes.client import ApiError
from tocsin.control.kubernetes.resources import Resource
from tocsin.telemetry import Telemetry

_DESCRIBED = 3


class Problems:
    """Open problems by subject: `list integrations`, `lease`, `publish`. A subject has at most one."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log
        self._open: dict[str, tuple[str, str]] = {}

    def report(self, subject: str, reason: str, message: str) -> None:
        """Logged when it is new or of another reason, not each time that it is met."""
        before = self._open.get(subject)
        self._open[subject] = (reason, message)
        if before is None or before[0] != reason:
            self._log.warning("problem", subject=subject, reason=reason, message=message)

    def solve(self, subject: str) -> None:
        if self._open.pop(subject, None) is not None:
            self._log.info("problem solved", subject=subject)

    @property
    def open(self) -> dict[str, tuple[str, str]]:
        """Subject -> reason in one word, and message."""
        return dict(self._open)

    def describe(self) -> str:
        """The problems in one line, those with Tocsin's own kinds first; "" if there is none."""
        messages = sorted((message for _, message in self._open.values()), key=_about_others)
        return "; ".join(messages[:_DESCRIBED])


def explain(error: ApiError, resource: Resource, place: str | None) -> tuple[str, str]:
    """Why a list failed: reason and what to do about it."""
    where = "the cluster" if place is None else f"namespace {place}"
    name = f"{resource.plural}.{resource.group}" if resource.group else resource.plural
    if error.status == 404 and resource.own:
        return "CrdMissing", f"the CustomResourceDefinition {name} is not installed: apply the files in crds/"
    if error.status == 403:
        return (
            "Forbidden",
            f"the service account may not list and watch {name} in {where}: grant it (see charts/tocsin)",
        )
    return error.reason or str(error.status), f"{name} in {where} cannot be listed: {error}"


def _about_others(message: str) -> bool:
    return API_GROUP not in message


class Age:
    """Seconds since something was last heard of each kind."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._last: dict[str, float] = {}

    def note(self, kind: str) -> None:
        self._last[kind] = self._seconds()

    def all(self) -> dict[str, float]:
        now = self._seconds()
        return {kind: now - at for kind, at in self._last.items()}


class Figures(Collector):
    """The operator's metrics. Counts are plain attributes; everything else is asked for when scraped."""

    def __init__(self, problems: Problems, age: Age) -> None:
        self._problems = problems
        self._age = age
        self.up: Callable[[], bool] = lambda: False
        self.leader: Callable[[], bool] = lambda: False
        self.objects: Callable[[], dict[tuple[str, str], int]] = dict
        self.restarts: Callable[[], int] = lambda: 0
        self.waiting: Callable[[], int] = lambda: 0
        self.compilations = 0
        self.compile_seconds = 0.0
        self.publications = 0
        self.sweeps = 0
        self.missed_events = 0
        self.written: dict[tuple[str, str], int] = {}
        """(what, outcome) -> requests that write: `status`, `event`, `secret`, `lease`."""

    def count(self, what: str, outcome: str) -> None:
        self.written[what, outcome] = self.written.get((what, outcome), 0) + 1

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        gauge, counter = GaugeMetricFamily, CounterMetricFamily
        objects = gauge(
            "tocsin_operator_objects", "Objects of Tocsin's kinds by verdict.", labels=["kind", "state"]
        )
        for (kind, state), count in sorted(self.objects().items()):
            objects.add_metric([kind, state], count)
        ages = gauge(
            "tocsin_operator_last_heard_seconds",
            "Seconds since the last event or list of a kind.",
            labels=["kind"],
        )
        for kind, seconds in sorted(self._age.all().items()):
            ages.add_metric([kind], seconds)
        problems = gauge("tocsin_operator_problem", "1 for each open problem.", labels=["subject", "reason"])
        for subject, (reason, _) in sorted(self._problems.open.items()):
            problems.add_metric([subject, reason], 1)
        written = counter(
            "tocsin_operator_writes", "Writes to the API server by outcome.", labels=["what", "outcome"]
        )
        for (what, outcome), count in sorted(self.written.items()):
            written.add_metric([what, outcome], count)
        return [
            gauge("tocsin_operator_up", "1 while all kinds are listed and watched.", float(self.up())),
            gauge("tocsin_operator_leader", "1 while this process holds the Lease.", float(self.leader())),
            gauge("tocsin_operator_statuses_waiting", "Statuses that wait to be written.", self.waiting()),
            counter(
                "tocsin_operator_watch_restarts", "Times that the watch was started again.", self.restarts()
            ),
            counter(
                "tocsin_operator_missed_events",
                "Changes that a list found and no event told.",
                self.missed_events,
            ),
            counter("tocsin_operator_sweeps", "Complete lists of all kinds.", self.sweeps),
            counter("tocsin_operator_compilations", "Compilations of the flow.", self.compilations),
            counter("tocsin_operator_compile_seconds", "Time spent compiling.", self.compile_seconds),
            counter(
                "tocsin_operator_publications", "Revisions published by this process.", self.publications
            ),
            objects,
            ages,
            problems,
            written,
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Signals:
    """What all parts of one operator report to."""

    log: FilteringBoundLogger
    problems: Problems
    age: Age
    figures: Figures

    @classmethod
    def create(cls, telemetry: Telemetry) -> Signals:
        """Registers the operator's metrics; once per registry."""
        problems, age = Problems(telemetry.log), Age()
        figures = Figures(problems, age)
        telemetry.registry.register(figures)
        return cls(log=telemetry.log, problems=problems, age=age, figures=figures)
