"""How much is measured: everything, or just enough to see that every part works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """`rounds` of `seconds` each per server, after `warm_up` seconds without measuring; sizes of what grows."""

    rounds: int
    seconds: int
    warm_up: int
    routes: tuple[int, ...]
    groups: tuple[int, ...]
    integrations: tuple[int, ...]
    alertmanager_routes: tuple[int, ...]
    namespaces: int
    """Of 100 resources each, for what has to do with compiling."""
    changes: int
    """Changes of a folder that are followed until they are live."""
    stored: int
    """Alerts per measurement of the store."""
    notify_seconds: int
    """How long alerts are posted in each round of notifications."""


FULL = Scale(
    rounds=3,
    seconds=2,
    warm_up=1,
    routes=(10, 100, 1_000, 10_000),
    groups=(10, 1_000, 100_000),
    integrations=(1, 100, 10_000),
    alertmanager_routes=(1, 1_000, 10_000),
    namespaces=100,
    changes=10,
    stored=4_000,
    notify_seconds=10,
)
QUICK = Scale(
    rounds=1,
    seconds=2,
    warm_up=0,
    routes=(10, 40),
    groups=(10, 40),
    integrations=(1, 4),
    alertmanager_routes=(1, 20),
    namespaces=1,
    changes=1,
    stored=64,
    notify_seconds=2,
)
