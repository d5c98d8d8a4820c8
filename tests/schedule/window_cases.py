"""Builders shared by the schedule tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tocsin.flow.model import Micros, WindowFragment
from tocsin.flow.schedule import Occurrence, Schedule, normalize_start

HOUR = 3_600_000_000
MINUTE = 60_000_000


def window(start: str, *, hours: float = 1, zone: str = "UTC", rule: str = "", **more: Any) -> WindowFragment:
    wall, zone = normalize_start(start, zone, recurring=bool(rule))
    return WindowFragment(
        namespace="a",
        name="w",
        mode="Maintenance",
        start=wall,
        duration=int(hours * HOUR),
        time_zone=zone,
        recurrence=rule,
        **more,
    )


def schedule(start: str, **more: Any) -> Schedule:
    return Schedule(window(start, **more))


def at(text: str) -> Micros:
    """`2026-07-01T22:30Z` as Micros."""
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is not None
    return Micros(int(moment.timestamp()) * 1_000_000)


def text_of(moment: int) -> str:
    return datetime.fromtimestamp(moment // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def span_of(occurrence: Occurrence | None) -> tuple[str, str] | None:
    return None if occurrence is None else (text_of(occurrence.start), text_of(occurrence.end))


def starts(found: Schedule, after: str, count: int) -> list[str]:
    upcoming = found.upcoming(at(after))
    return [text_of(occurrence.start) for _, occurrence in zip(range(count), upcoming, strict=False)]
