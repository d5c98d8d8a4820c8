"""Microseconds per evaluate(): nine templates, two dynamic labels, and ever more routes; and what linking costs.

.venv/bin/python -m bench.evaluate
"""

from __future__ import annotations

import json
import time
import timeit
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tocsin.api.common import Identity, Matcher
from tocsin.flow.model import (
    AnyFragment,
    Flow,
    IntegrationFragment,
    LabelRuleFragment,
    Micros,
    RouteFragment,
    Target,
    TemplateText,
    digest_of,
    encode_fragment,
)
from tocsin.flow.program import IntegrationProgram, Program, link
from tocsin.sources import load_types

NOW = Micros(1_780_000_000_000_000)
PAYLOAD = json.loads((Path(__file__).parents[1] / "tests/payloads/alertmanager/firing.json").read_text()) | {
    "numFiring": 1,
    "numResolved": 0,
}
TEMPLATES = {
    "groupingId": "{{ payload.groupKey }}",
    "acknowledge": '{{ payload.status == "acknowledged" }}',
    "resolve": '{{ payload.status == "resolved" }}',
    "sourceLink": "{{ payload.alerts[0].generatorURL }}",
    "appearance.web.title": "{{ payload.groupLabels.alertname }} ({{ payload.commonLabels.severity }})",
}
DYNAMIC = {"severity": "{{ payload.commonLabels.severity }}", "job": "{{ payload.commonLabels.job }}"}
SIZES = (10, 100, 1_000, 10_000)

RouteMaker = Callable[[int], RouteFragment]


def by_template(number: int) -> RouteFragment:
    text = f'{{{{ payload.commonLabels.team == "team-{number}" and payload.status == "firing" }}}}'
    return _route(number, template=TemplateText(text=text))


def by_label(number: int) -> RouteFragment:
    return _route(
        number,
        matchers=(Matcher(key="severity", value="critical"), Matcher(key="job", value=f"job-{number}")),
    )


def _route(number: int, **match: Any) -> RouteFragment:
    target = Target(escalation_chain=f"bench/chain-{number}")
    return RouteFragment(namespace="bench", name=f"route-{number}", target=target, **match)


def flow_of(fragments: list[AnyFragment]) -> Flow:
    manifest, held = {}, {}
    for fragment in fragments:
        digest = digest_of(encode_fragment(fragment))
        manifest[fragment.identity] = digest
        held[digest] = fragment
    return Flow(manifest=manifest, fragments=held, digest=digest_of(repr(sorted(manifest.values())).encode()))


def changed(flow: Flow, fragment: AnyFragment) -> Flow:
    digest = digest_of(encode_fragment(fragment))
    return Flow(
        manifest={**flow.manifest, fragment.identity: digest},
        fragments={**flow.fragments, digest: fragment},
        digest=digest,
    )


def typical(size: int, make: RouteMaker) -> list[AnyFragment]:
    """One Alertmanager integration: five behaviour and display templates, two labels, `size` routes."""
    routes = [make(number) for number in range(size)]
    labels = LabelRuleFragment(
        namespace="bench",
        name="labels",
        static=(("cluster", "eu-1"),),
        dynamic=tuple((key, TemplateText(text=text)) for key, text in DYNAMIC.items()),
    )
    integration = IntegrationFragment(
        namespace="bench",
        name="it",
        type="alertmanager",
        templates={slot: TemplateText(text=text) for slot, text in TEMPLATES.items()},
        label_rules=("bench/labels",),
        routes=tuple(f"bench/{route.name}" for route in routes),
    )
    return [integration, labels, *routes]


def microseconds(call: Callable[[], object], number: int = 100, repeat: int = 200) -> float:
    """The best of many short rounds, so that other work on the machine does not count."""
    return min(timeit.repeat(call, number=number, repeat=repeat)) / number * 1e6


def seconds(call: Callable[[], Program], repeat: int = 1) -> tuple[float, Program]:
    """The best of `repeat` runs, and what the last one gave."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        program = call()
        best = min(best, time.perf_counter() - start)
    return best, program


def evaluation(kind: str, make: RouteMaker) -> None:
    print(f"routes by {kind}: the last one matches")
    first = None
    for size in SIZES:
        flow = flow_of(typical(size, make))
        took, program = seconds(lambda flow=flow: link(flow, types=load_types()))
        entry: IntegrationProgram = program.integrations[Identity("Integration", "bench", "it")]
        payload = PAYLOAD | {
            "commonLabels": {"severity": "critical", "job": f"job-{size - 1}", "team": f"team-{size - 1}"}
        }
        decision = entry.evaluate(payload, NOW)
        assert decision.route == f"bench/route-{size - 1}", decision
        assert not decision.outcome.errors
        whole = microseconds(lambda entry=entry, payload=payload: entry.evaluate(payload, NOW))
        first = first or whole
        again = changed(flow, make(0).__class__(namespace="bench", name="route-0", regex="changed"))
        relink, _ = seconds(
            lambda again=again, program=program: link(again, types=load_types(), previous=program)
        )
        print(
            f"  {size:>6} routes: {whole:6.1f} us per evaluate ({whole / first:.2f} of 10 routes), "
            f"link {took:6.2f} s, one changed route {relink * 1e3:5.1f} ms"
        )


def linking() -> None:
    count = 10_000
    fragments: list[AnyFragment] = []
    for number in range(count):
        fragments.append(
            IntegrationFragment(
                namespace=f"team-{number % 100}",
                name=f"it-{number}",
                type="alertmanager",
                templates={"groupingId": TemplateText(text=f"{{{{ payload.key{number % 50} }}}}")},
                routes=(f"team-{number % 100}/it-{number}",),
            )
        )
        text = TemplateText(text=f'{{{{ payload.commonLabels.team == "{number}" }}}}')
        fragments.append(RouteFragment(namespace=f"team-{number % 100}", name=f"it-{number}", template=text))
    flow = flow_of(fragments)
    took, program = seconds(lambda: link(flow, types=load_types()))
    print(f"{count} integrations with a route each: link {took:.2f} s")
    for fragment in (
        RouteFragment(namespace="team-7", name="it-7", regex="changed"),
        IntegrationFragment(namespace="team-7", name="it-7", type="webhook"),
    ):
        again = changed(flow, fragment)
        relink, _ = seconds(lambda again=again: link(again, types=load_types(), previous=program), 5)
        print(f"  one changed {fragment.identity.kind}: {relink * 1e3:.1f} ms")


if __name__ == "__main__":
    evaluation("template", by_template)
    evaluation("label", by_label)
    linking()
