"""What it costs to choose among few and among many indexed routes, without the rest of an evaluation and with it."""

from __future__ import annotations

import timeit
from collections.abc import Callable, Sequence
from functools import partial

from bench.evaluate import NOW, PAYLOAD, RouteMaker, by_label, by_template, flow_of, typical
from bench.scale import Scale
from tocsin.api.common import Identity
from tocsin.flow.program import link
from tocsin.flow.routing import Trial
from tocsin.flow.templates import Variables
from tocsin.sources import load_types

Call = Callable[[], object]

CALLS = 100
TURNS = 300
"""Short rounds of so many calls, of few and many routes in turns; the best one of each counts."""


def measure(scale: Scale) -> dict[str, float]:
    """Of the two ways to compare, the one that fares worse. The last route matches, so plain order would be slowest."""
    few, many = scale.routes[0], scale.routes[-1]
    kinds = ("template", "label")
    found: dict[str, float] = {}
    for kind, make in zip(kinds, (by_template, by_label), strict=True):
        small, large = _calls(make, few), _calls(make, many)
        for name, pair in (("route_choice", (small[0], large[0])), ("evaluate", (small[1], large[1]))):
            for size, cost in zip((few, many), in_turns(pair), strict=True):
                found[f"{name}_{kind}_{size}_us"] = cost
    for name, cost_name in (("route_choice_ratio", "route_choice"), ("evaluate_ratio", "evaluate")):
        found[name] = max(
            found[f"{cost_name}_{kind}_{many}_us"] / found[f"{cost_name}_{kind}_{few}_us"] for kind in kinds
        )
    return found


def in_turns(calls: Sequence[Call]) -> list[float]:
    """Microseconds per call of each."""
    best = [float("inf")] * len(calls)
    for _ in range(TURNS):
        for at, call in enumerate(calls):
            best[at] = min(best[at], timeit.timeit(call, number=CALLS))
    return [seconds / CALLS * 1e6 for seconds in best]


def _calls(make: RouteMaker, size: int) -> tuple[Call, Call]:
    """The choice alone, and a whole evaluation."""
    flow = flow_of(typical(size, make))
    program = link(flow, types=load_types()).integrations[Identity("Integration", "bench", "it")]
    labels = {"severity": "critical", "job": f"job-{size - 1}", "team": f"team-{size - 1}"}
    payload = PAYLOAD | {"commonLabels": labels}
    decision = program.evaluate(payload, NOW)
    assert decision.route == f"bench/route-{size - 1}", decision
    trial = Trial(Variables(payload=payload, labels=decision.labels, now=NOW), [])
    return partial(program.evaluator.routes.choose, trial), partial(program.evaluate, payload, NOW)
