"""What was measured, as a table for people and as one flat object for programs."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_DIGITS_FROM = 0.01
"""Smaller numbers need a fourth decimal to be seen at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table. `most` and `least` are budgets; without one the figure is for information.

    `scale` brings the number into `unit`.
    """

    what: str
    unit: str = ""
    most: float | None = None
    least: float | None = None
    scale: float = 1.0

    @property
    def has_budget(self) -> bool:
        return self.most is not None or self.least is not None

    def keeps(self, value: float) -> bool:
        return (self.most is None or value <= self.most) and (self.least is None or value >= self.least)

    def budget(self) -> str:
        if self.least is not None:
            return f">= {self.shown(self.least)}"
        return "" if self.most is None else f"<= {self.shown(self.most)}"

    def shown(self, value: float) -> str:
        return f"{number(value * self.scale)} {self.unit}".rstrip()


BUDGETS: Mapping[str, Line] = {
    "ingest_ratio": Line(what="durable ingest against the bare handler, requests/s (aim 0.7)", least=0.5),
    "route_choice_ratio": Line(what="choosing among the most routes against the fewest", most=2),
    "routes_receiver_ratio": Line(
        what="a request with the most routes against the fewest, processor", most=2
    ),
    "compile_seconds": Line(what="all resources compiled from nothing", unit="s", most=10),
    "compile_change_seconds": Line(what="one changed resource compiled", unit="ms", most=0.050, scale=1e3),
    "live_worst_seconds": Line(what="changed file in force, worst", unit="s", most=1),
    "cluster_live_p99_seconds": Line(
        what="kubectl apply to alerts that feel it, among 2,000 objects, 99th percentile", unit="s", most=1
    ),
    "cluster_large_start_seconds": Line(
        what="cold start on a cluster with 10,000 objects", unit="s", most=30
    ),
    "cluster_large_memory_mib": Line(what="its memory at the highest", unit="MiB", most=600),
    "cluster_large_live_worst_seconds": Line(what="one change among them in force, worst", unit="s", most=1),
    "notify_p99_seconds": Line(
        what="posted alert to notification, 100 groups/s, 99th percentile", unit="ms", most=0.3, scale=1e3
    ),
}
"""The budgets of the design. Everything else that is measured is shown without one."""

_UNITS = (
    (r"_cpu_us$", Line(what="processor per request", unit="us")),
    (r"_per_second$", Line(what="requests", unit="/s")),
    (r"_cpu_ratio$", Line(what="processor per request, ratio")),
    (r"_ratio$", Line(what="ratio")),
    (r"_us$", Line(what="", unit="us")),
    (r"_ms$", Line(what="", unit="ms")),
    (r"_seconds$", Line(what="", unit="s")),
)


def line_of(name: str) -> Line:
    """The row of a figure: its budget, or what its name says, with the unit that the name ends with."""
    known = BUDGETS.get(name)
    if known is not None:
        return known
    for ending, kind in _UNITS:
        words, found = re.subn(ending, "", name)
        if found:
            text = ": ".join(part for part in (_words(words), kind.what) if part)
            return Line(what=text, unit=kind.unit)
    return Line(what=_words(name))


def _words(name: str) -> str:
    return re.sub(r"\d{4,}", lambda match: f"{int(match[0]):,}", name.replace("_", " "))


def number(value: float) -> str:
    """Three digits that matter, never an exponent."""
    size = abs(value)
    if size and size < _DIGITS_FROM:
        return f"{value:.4f}"
    return f"{value:,.0f}" if size >= 100 or value == int(value) else f"{value:.{1 if size >= 10 else 2}f}"


def table(title: str, results: Mapping[str, float]) -> Iterator[str]:
    """The rows of one part, those with a budget first."""
    yield f"\n{title:<66} {'measured':>12}  {'budget':<12}"
    for name in sorted(results, key=lambda name: name not in BUDGETS):
        line, value = line_of(name), results[name]
        verdict = "" if not line.has_budget else "ok" if line.keeps(value) else "MISSED"
        yield f"  {line.what:<64} {line.shown(value):>12}  {line.budget():<12} {verdict}".rstrip()


def missed(results: Mapping[str, float]) -> list[str]:
    return [name for name, line in BUDGETS.items() if name in results and not line.keeps(results[name])]


def machine() -> str:
    """What the figures were measured on; a busy machine shows in the load."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, CPython {platform.python_version()}, load {load}"


def write(path: Path, results: Mapping[str, float]) -> None:
    """One flat object, name -> number."""
    path.write_text(json.dumps({name: round(value, 6) for name, value in results.items()}, indent=2) + "\n")
