"""Durable ingest against the bare handler, with Alertmanager beside it: requests per second and processor per request.

One alert a request, nine templates, 100 routes, 64 connections, SQLite with synchronous=FULL. The budget of the design is at
least 0.5 of the bare handler's rate, the aim 0.7. `python -m bench.ingest [ROUNDS]` prints a line per round.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from statistics import median

from bench import servers
from bench.load import Rate, Target, alternating, load, warm_up
from bench.manifests import alertmanager_routes, to_alertmanager, to_bare, to_tocsin, typical
from bench.scale import FULL, Scale
from bench.servers import work_folder

ROUTES = 100
CALM_CONNECTIONS = 16
CALM_PAUSE = 40
"""Milliseconds that each of the connections rests: some 400 requests per second."""
LEAST_ROUNDS, LEAST_SECONDS = 5, 3
"""Of bare handler and Tocsin: their ratio is the figure that is asked for, so it gets more time than the rest."""


def pair(stack: ExitStack, work: Path) -> list[Target]:
    """The bare handler and Tocsin, running until the stack closes."""
    plain = stack.enter_context(servers.bare(work))
    durable = stack.enter_context(servers.tocsin(work, typical(work / "manifests", routes=ROUTES)))
    return [to_bare(plain), to_tocsin(durable, routes=ROUTES)]


def rounds_of_both(scale: Scale) -> tuple[list[Rate], list[Rate]]:
    with work_folder() as work, ExitStack() as stack:
        both = pair(stack, work)
        warm_up(both, work, scale.warm_up)
        plain, durable = alternating(both, work, rounds=scale.rounds, seconds=scale.seconds)
        return plain, durable


def measure(scale: Scale) -> dict[str, float]:
    """Bare handler against durable ingest, in turns."""
    if scale.rounds > 1:
        scale = replace(scale, rounds=LEAST_ROUNDS, seconds=LEAST_SECONDS)
    plain, durable = rounds_of_both(scale)
    return {
        "ingest_ratio": median(_ratios(plain, durable)),
        "ingest_worst_ratio": min(_ratios(plain, durable)),
        "ingest_cpu_ratio": median(d.cpu / p.cpu for p, d in zip(plain, durable, strict=True)),
        **figures("bare", plain),
        **figures("ingest", durable),
    }


def measure_alertmanager(scale: Scale) -> dict[str, float]:
    """Alertmanager with few and many routes, in turns with Tocsin with 100."""
    with work_folder() as work, ExitStack() as stack:
        durable = stack.enter_context(servers.tocsin(work, typical(work / "manifests", routes=ROUTES)))
        targets = [to_tocsin(durable, routes=ROUTES)]
        for count in scale.alertmanager_routes:
            server = stack.enter_context(servers.alertmanager(work, alertmanager_routes(count)))
            targets.append(to_alertmanager(server, routes=count))
        warm_up(targets, work, scale.warm_up)
        ours, *theirs = alternating(targets, work, rounds=scale.rounds, seconds=scale.seconds)
    found = {"alertmanager_tocsin_cpu_us": median(rate.cpu for rate in ours)}
    for count, rates in zip(scale.alertmanager_routes, theirs, strict=True):
        found |= figures(f"alertmanager_{count}", rates)
        found[f"alertmanager_{count}_cpu_ratio"] = median(
            mine.cpu / other.cpu for mine, other in zip(ours, rates, strict=True)
        )
    return found


def measure_latency(scale: Scale) -> dict[str, float]:
    """How long answers take when there is time: some 400 requests per second on 16 connections."""
    with work_folder() as work, ExitStack() as stack:
        both = pair(stack, work)
        warm_up(both, work, scale.warm_up)
        found: dict[str, float] = {}
        for name, target in zip(("bare", "ingest"), both, strict=True):
            rates = [
                load(target, work, scale.seconds, connections=CALM_CONNECTIONS, pause=CALM_PAUSE)
                for _ in range(scale.rounds)
            ]
            found[f"latency_{name}_per_second"] = median(rate.per_second for rate in rates)
            found[f"latency_{name}_p50_ms"] = median(rate.p50 for rate in rates)
            found[f"latency_{name}_p99_ms"] = median(rate.p99 for rate in rates)
        return found


def figures(name: str, rates: Sequence[Rate]) -> dict[str, float]:
    return {
        f"{name}_per_second": median(rate.per_second for rate in rates),
        f"{name}_cpu_us": median(rate.cpu for rate in rates),
    }


def _ratios(plain: Sequence[Rate], durable: Sequence[Rate]) -> list[float]:
    return [mine.per_second / other.per_second for other, mine in zip(plain, durable, strict=True)]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    plain, durable = rounds_of_both(replace(FULL, rounds=rounds))
    for other, mine in zip(plain, durable, strict=True):
        print(
            f"bare {other.per_second:8.0f}/s {other.cpu:6.1f} us  durable {mine.per_second:8.0f}/s {mine.cpu:6.1f} us  "
            f"ratio {mine.per_second / other.per_second:.2f}"
        )
    print(f"median ratio {median(_ratios(plain, durable)):.2f}")


if __name__ == "__main__":
    main()
