"""Which maintenance windows cover an alert."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tocsin.flow.decision import WindowInForce
from tocsin.flow.matchers import LabelMatchers
from tocsin.flow.model import Micros, WindowFragment
from tocsin.flow.schedule import InvalidSchedule, Schedule, parse_schedule


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One MaintenanceWindow, shared by its integrations. Without a readable schedule it is never in force."""

    name: str
    """`namespace/name`."""
    fragment: WindowFragment
    schedule: Schedule | None
    matchers: LabelMatchers | None
    problem: str = ""


def prepare_window(fragment: WindowFragment) -> Window:
    """Never raises: the compiler has reported what cannot be read."""
    name = f"{fragment.namespace}/{fragment.name}"
    matchers = LabelMatchers(fragment.matchers) if fragment.matchers else None
    try:
        return Window(name, fragment, parse_schedule(fragment), matchers)
    except InvalidSchedule as problem:
        return Window(name, fragment, None, matchers, f"{problem.field}: {problem.message}")


def windows_in_force(
    windows: tuple[Window, ...], now: Micros, labels: Mapping[str, str]
) -> tuple[WindowInForce, ...]:
    """The windows that cover an alert with these computed labels, the last to end first.

    So the first one decides what happens at the end (`on_end`), and the first with mode Maintenance collects the group.
    """
    found: list[WindowInForce] = []
    for window in windows:
        if window.schedule is None:
            continue
        occurrence = window.schedule.occurrence_at(now)
        if occurrence is None or (window.matchers is not None and not window.matchers.hold(labels)):
            continue
        fragment = window.fragment
        found.append(
            WindowInForce(
                window=window.name,
                mode=fragment.mode,
                start=occurrence.start,
                end=occurrence.end,
                on_end=fragment.on_end,
            )
        )
    if len(found) > 1:
        found.sort(key=lambda window: (-window.end, window.window))
    return tuple(found)
