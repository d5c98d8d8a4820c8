"""What was measured, as a table for people and as one flat object for programs."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the table. `most` and `least` are budgets; without one the figure is for information.

    `scale` brings the number into `unit`.
    """

    name: str
    what: str
    unit: str = ""
    most: float | None = None
    least: float | None = None
    scale: float = 1.0

    def verdict(self, value: float) -> str:
        if self.most is None and self.least is None:
            return ""
        kept = (self.most is None or value <= self.most) and (self.least is None or value >= self.least)
        return "ok" if kept else "MISSED"

    def budget(self) -> str:
        if self.least is not None:
            return f">= {number(self.least * self.scale)} {self.unit}".rstrip()
        return "" if self.most is None else f"<= {number(self.most * self.scale)} {self.unit}".rstrip()


BUDGETS = (
    Line(name="ingest_ratio", what="durable ingest / bare handler, requests per second", least=0.5),
    Line(name="route_choice_ratio", what="choosing among the most routes / among the fewest", most=2),
    Line(name="compile_seconds", what="compile all resources", unit="s", most=10),
    Line(name="compile_change_seconds", what="one changed resource", unit="ms", most=0.050, scale=1e3),
    Line(name="live_worst_seconds", what="folder change to live, worst", unit="s", most=1),
)
"""The budgets of the design. Everything else that is measured is shown without one."""

_UNITS = (
    ("_us", "us"),
    ("_ms", "ms"),
    ("_seconds", "s"),
    ("_per_second", "/s"),
    ("_resources", ""),
)


def known(name: str) -> Line:
    """The row of a figure: its budget, or its name and the unit that the name ends with."""
    for line in BUDGETS:
        if line.name == name:
            return line
    # "per_second" ends like "seconds" does not, but "_us" could hide in longer units: the longest ending counts.
    unit = max(
        (pair for pair in _UNITS if name.endswith(pair[0])), key=lambda pair: len(pair[0]), default=("", "")
    )
    return Line(name=name, what=name.removesuffix(unit[0]).replace("_", " "), unit=unit[1])


def number(value: float) -> str:
    """Three digits that matter, never an exponent."""
    if value and abs(value) < 0.01:
        return f"{value:.4f}"
    if abs(value) < 10:
        return f"{value:.2f}"
    return f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def table(part: str, results: Mapping[str, float]) -> Iterator[str]:
    """The rows of one part, those with a budget first."""
    yield f"{part}"
    lines = [known(name) for name in results]
    for line in sorted(lines, key=lambda line: line not in BUDGETS):
        value = results[line.name]
        shown = f"{number(value * line.scale)} {line.unit}".rstrip()
        yield f"  {line.what:<58} {shown:>12}  {line.budget():<10} {line.verdict(value)}".rstrip()


def missed(results: Mapping[str, float]) -> Iterable[str]:
    return [
        line.name for line in BUDGETS if line.name in results and line.verdict(results[line.name]) == "MISSED"
    ]


def machine() -> str:
    """What the figures were measured on; a busy machine shows in the load."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} cores, CPython {platform.python_version()}, load {load}"


def write(path: Path, results: Mapping[str, float]) -> None:
    """One flat object, name -> number."""
    path.write_text(json.dumps({name: round(value, 6) for name, value in results.items()}, indent=2) + "\n")
