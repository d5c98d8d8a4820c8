"""What an alert costs when there is much of everything: processor time per request of real processes, small beside large.

Each size is measured in turns with the smallest, and compared with it round by round.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from statistics import median

from bench import servers
from bench.load import Rate, Target, alternating, warm_up
from bench.manifests import hook, to_tocsin, typical
from bench.scale import Scale
from bench.servers import Server, alert_urls, work_folder

ALERTS_PER_BODY = 500
"""Of the bodies that open the groups."""


def measure_routes(scale: Scale) -> dict[str, float]:
    """More and more routes on one Integration; alerts go to 100 of them, evenly spaced."""

    def start(work: Path, size: int) -> AbstractContextManager[Server]:
        return servers.tocsin(work, typical(work / f"routes-{size}", routes=size))

    def target(server: Server, size: int) -> Target:
        return to_tocsin(server, routes=size)

    found = _declared("routes", scale.routes, start, target, scale)
    return {"routes_receiver_ratio": found.pop(f"routes_{scale.routes[-1]}_cpu_ratio"), **found}


def measure_integrations(scale: Scale) -> dict[str, float]:
    """More and more Integrations; alerts go to 100 of them, evenly spaced."""

    def start(work: Path, size: int) -> AbstractContextManager[Server]:
        return servers.tocsin(work, typical(work / f"integrations-{size}", integrations=size))

    def target(server: Server, size: int) -> Target:
        return to_tocsin(server, integrations=size)

    return _declared("integrations", scale.integrations, start, target, scale)


def measure_groups(scale: Scale) -> dict[str, float]:
    """More and more open groups; alerts join all of them, one after the other."""
    small, *larger = scale.groups
    rates: dict[int, list[Rate]] = {}
    bases: dict[int, list[Rate]] = {}
    with work_folder() as work, ExitStack() as stack:
        folder = hook(work / "manifests")
        one, other = (stack.enter_context(servers.tocsin(work, folder)) for _ in range(2))
        opened = 0
        few = _joining(one, small)
        _open(few, 0, small)
        for size in larger:
            many = _joining(other, size)
            _open(many, opened, size)
            opened = size
            warm_up([few, many], work, scale.warm_up)
            bases[size], rates[size] = alternating(
                [few, many], work, rounds=scale.rounds, seconds=scale.seconds
            )
    return _compared("groups", small, bases, rates)


def _declared(
    name: str,
    sizes: Sequence[int],
    start: Callable[[Path, int], AbstractContextManager[Server]],
    target: Callable[[Server, int], Target],
    scale: Scale,
) -> dict[str, float]:
    """All sizes run at once and are measured in turns."""
    small, *larger = sizes
    with work_folder() as work, ExitStack() as stack:
        targets = [target(stack.enter_context(start(work, size)), size) for size in sizes]
        warm_up(targets, work, scale.warm_up)
        base, *rest = alternating(targets, work, rounds=scale.rounds, seconds=scale.seconds)
    return _compared(name, small, dict.fromkeys(larger, base), dict(zip(larger, rest, strict=True)))


def _compared(
    name: str, small: int, bases: dict[int, list[Rate]], rates: dict[int, list[Rate]]
) -> dict[str, float]:
    found = {f"{name}_{small}_cpu_us": median(rate.cpu for base in bases.values() for rate in base)}
    for size, measured in rates.items():
        ratios = [rate.cpu / base.cpu for base, rate in zip(bases[size], measured, strict=True)]
        found[f"{name}_{size}_cpu_us"] = median(rate.cpu for rate in measured)
        found[f"{name}_{size}_cpu_ratio"] = median(ratios)
    return found


def _joining(server: Server, groups: int) -> Target:
    """Small bodies: what grows should show."""
    url = alert_urls(server)["default/hook"]
    return Target(
        server=server, urls=(url,), body='{"group":"group-@GROUP@","n":@COUNT@}', values={"GROUP": groups}
    )


def _open(target: Target, first: int, end: int) -> None:
    """Opens the groups `first` to `end`, many in one body."""
    for at in range(first, end, ALERTS_PER_BODY):
        alerts = [{"group": f"group-{number}"} for number in range(at, min(at + ALERTS_PER_BODY, end))]
        request = urllib.request.Request(
            target.urls[0], json.dumps(alerts).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=60).close()
