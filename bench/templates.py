"""Microseconds that nine typical templates of one alert take: plain Jinja2, one shared context, Tocsin.

Run with `python -m bench.templates [PAYLOAD]`. The first two lines are what Jinja2 itself needs (its own sandbox, no budget);
the last two are Tocsin's sandbox alone and as it renders.
"""

from __future__ import annotations

import json
import sys
import timeit
from collections.abc import Callable
from pathlib import Path
from time import process_time

from jinja2.sandbox import ImmutableSandboxedEnvironment

from tocsin.flow.model import Micros, TemplateText
from tocsin.flow.templates import Variables, parse

NINE = {
    "grouping": "{{ payload.groupKey }}",
    "resolve": '{{ payload.status == "resolved" }}',
    "acknowledge": '{{ payload.status == "acknowledged" }}',
    "source link": "{{ payload.alerts[0].generatorURL }}",
    "title": "{{ payload.groupLabels.alertname or payload.commonLabels.alertname or payload.title or 'Alert' }}",
    "label severity": "{{ payload.commonLabels.severity }}",
    "label service": '{{ payload.commonLabels.get("service", "unknown") }}',
    "route": '{{ payload.commonLabels.severity == "critical" and "prod" in payload.commonLabels.cluster }}',
    "message": "{% if payload.status == 'resolved' %}Resolved{% else %}Firing{% endif %}: "
    "{{ payload.commonAnnotations.summary }} ({{ payload.alerts[0].labels.instance }})",
}

PAYLOAD = {
    "receiver": "tocsin",
    "status": "firing",
    "groupKey": '{}:{alertname="HighLatency"}',
    "groupLabels": {"alertname": "HighLatency"},
    "commonLabels": {
        "alertname": "HighLatency",
        "severity": "critical",
        "cluster": "prod-eu-1",
        "service": "shop",
    },
    "commonAnnotations": {"summary": "Latency of the shop is above 2 s"},
    "externalURL": "https://alertmanager.example.com",
    "alerts": [
        {
            "status": "firing",
            "labels": {"alertname": "HighLatency", "instance": "shop-1:8080"},
            "annotations": {},
            "startsAt": "2026-01-01T00:00:00Z",
            "generatorURL": "https://prometheus.example.com/graph?g0.expr=latency",
        }
    ],
}


def best(function: Callable[[], object], number: int = 2_000) -> float:
    """Microseconds of processor time of the best of seven runs."""
    return min(timeit.repeat(function, timer=process_time, number=number, repeat=7)) / number * 1e6


def measure(payload: object = PAYLOAD, number: int = 2_000) -> dict[str, float]:
    """Microseconds for the nine templates of one alert, by who renders them. All of them give the same texts."""
    environment = ImmutableSandboxedEnvironment()
    jinja = [environment.from_string(text) for text in NINE.values()]
    templates = [parse(TemplateText(text=text)) for text in NINE.values()]

    def plain() -> list[str]:
        return [template.render(payload=payload) for template in jinja]

    def shared() -> list[str]:
        context = jinja[0].new_context({"payload": payload})
        return ["".join(template.root_render_func(context)) for template in jinja]

    def sandboxed() -> list[str]:
        variables = Variables(payload=payload, now=Micros(0))
        return [template.render_sandboxed(variables) for template in templates]

    def tocsin() -> list[str]:
        variables = Variables(payload=payload, now=Micros(0))
        return [template.render(variables) for template in templates]

    assert plain() == shared() == sandboxed() == tocsin()
    assert all(template.is_specialised for template in templates)
    return {
        "jinja_one_by_one": best(plain, number),
        "jinja_shared_context": best(shared, number),
        "sandbox": best(sandboxed, number),
        "specialised": best(tocsin, number),
    }


def main() -> None:
    payload = json.loads(Path(sys.argv[1]).read_text()) if len(sys.argv) > 1 else PAYLOAD
    for name, taken in measure(payload).items():
        print(f"{name.replace('_', ' '):24}{taken:8.1f} us for {len(NINE)} templates")


if __name__ == "__main__":
    main()
