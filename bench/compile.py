"""How long the compiler takes: 10,000 resources from nothing, and one changed resource after that.

Budgets of the design: 10 s and 50 ms. Run with `python -m bench.compile`; prints a line per measurement. Times are
those of the processor, so that other work on the machine does not count: the compiler waits for nothing.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from statistics import median

from tocsin.api.alertroute import AlertRoute, AlertRouteSpec, RouteMatch
from tocsin.api.alerttemplate import AlertTemplate, AlertTemplateSpec
from tocsin.api.common import KeyRef, Matcher, Metadata, ObjectRef, Selector, TemplateFrom, Templates
from tocsin.api.integration import Integration, IntegrationSpec
from tocsin.api.labelrule import DynamicLabel, LabelRule, LabelRuleSpec, StaticLabel
from tocsin.api.maintenancewindow import MaintenanceMode, MaintenanceWindow, MaintenanceWindowSpec, Schedule
from tocsin.flow.compiler import Compiled, compile_flow
from tocsin.flow.inventory import Declared, Inventory
from tocsin.flow.model import Micros
from tocsin.sources import load_types

NOW = Micros(1_795_000_000_000_000)
NAMESPACES = 100
COLD_BUDGET = 10.0
CHANGE_BUDGET = 0.050


def resources(namespaces: int = NAMESPACES) -> Iterator[Declared]:
    """100 objects a namespace: 10 Integrations with 6 routes each, templates, label rules and windows."""
    for number in range(namespaces):
        namespace = f"team-{number:03}"
        for index in range(10):
            yield from _around_one_integration(namespace, index)


def _around_one_integration(namespace: str, index: int) -> Iterator[Declared]:
    name = f"svc-{index}"
    yield integration(namespace, index)
    for route in range(6):
        yield alert_route(namespace, index, route)
    yield AlertTemplate(
        metadata=Metadata(name=name, namespace=namespace),
        spec=AlertTemplateSpec(
            templates=Templates(
                grouping_id=f"{{{{ payload.groupKey }}}}-{namespace}-{index}",
                resolve='{{ payload.status == "resolved" }}',
            ),
            templates_from=(
                TemplateFrom(
                    slot="appearance.web.title", config_map_key_ref=KeyRef(name="texts", key="title")
                ),
            ),
        ),
    )
    yield LabelRule(
        metadata=Metadata(name=name, namespace=namespace),
        spec=LabelRuleSpec(
            integration_selector=Selector(match_labels={"tier": str(index % 3)}),
            static=(StaticLabel(key="team", value=namespace),),
            dynamic=(DynamicLabel(key="sev", template=f"{{{{ payload.severity_{index} }}}}"),),
        ),
    )
    yield MaintenanceWindow(
        metadata=Metadata(name=name, namespace=namespace),
        spec=MaintenanceWindowSpec(
            mode=MaintenanceMode.DEBUG,
            schedule=Schedule(
                start="2026-01-04T02:00",
                duration="2h",
                time_zone="Europe/Berlin",
                recurrence="FREQ=MONTHLY;BYDAY=1SU",
            ),
            integration_refs=(ObjectRef(name=name),),
        ),
    )


def integration(namespace: str, index: int, title: str = "") -> Integration:
    return Integration(
        metadata=Metadata(name=f"svc-{index}", namespace=namespace, labels={"tier": str(index % 3)}),
        spec=IntegrationSpec(
            type="alertmanager",
            title=title or f"Service {index}",
            template_refs=(ObjectRef(name=f"svc-{index}"),),
            templates=Templates(source_link=f"{{{{ payload.externalURL }}}}/{namespace}"),
        ),
    )


def alert_route(namespace: str, index: int, route: int, parent: str = "", value: str = "") -> AlertRoute:
    severity = value or f"{namespace}-{index}-{route}"
    return AlertRoute(
        metadata=Metadata(name=f"svc-{index}-{route}", namespace=namespace),
        spec=AlertRouteSpec(
            parent_refs=(ObjectRef(name=parent or f"svc-{index}"),),
            priority=route,
            match=RouteMatch(
                template=f'{{{{ payload.commonLabels.severity == "{severity}" }}}}',
                labels=(Matcher(key="cluster", value="prod"),),
            ),
        ),
    )


def filled(objects: Iterator[Declared], namespaces: int = NAMESPACES) -> Inventory:
    draft = Inventory.of(objects).draft()
    for number in range(namespaces):
        draft.config_map(f"team-{number:03}", "texts", {"title": "{{ payload.commonLabels.alertname }}"})
    return draft.finish()


def seconds_of_cold(inventory: Inventory) -> tuple[float, Compiled]:
    gc.collect()
    started = time.process_time()
    compiled = compile_flow(inventory, types=load_types(), now=NOW)
    return time.process_time() - started, compiled


def seconds_of_changes(inventory: Inventory, compiled: Compiled, changes: list[Declared]) -> list[float]:
    """Each change is one object replaced: the time from the object to the new flow."""
    taken = []
    for changed in changes:
        started = time.process_time()
        inventory = inventory.with_object(changed)
        compiled = compile_flow(inventory, types=load_types(), now=NOW, previous=compiled)
        taken.append(time.process_time() - started)
    return taken


def measure(namespaces: int = NAMESPACES) -> dict[str, float]:
    """Seconds: cold compile, and median and worst of 60 single changes of routes and Integrations."""
    inventory = filled(resources(namespaces), namespaces)
    cold, compiled = seconds_of_cold(inventory)
    changes: list[Declared] = []
    for turn in range(30):
        namespace = f"team-{turn % namespaces:03}"
        changes.append(alert_route(namespace, turn % 10, turn % 6, value=f"changed-{turn}"))
        changes.append(integration(namespace, turn % 10, title=f"changed {turn}"))
    taken = seconds_of_changes(inventory, compiled, changes)
    return {
        "resources": float(len(inventory.digests)),
        "cold_seconds": cold,
        "change_median_seconds": median(taken),
        "change_worst_seconds": max(taken),
    }


def measure_one_integration(routes: int = 10_000) -> dict[str, float]:
    """The same with all routes on one Integration, the worst shape for order and shadowing."""
    first = "team-000"
    objects: list[Declared] = [integration(first, 0)]
    objects += [alert_route(first, 0, number, parent="svc-0") for number in range(routes)]
    inventory = filled(iter(objects), 1)
    cold, compiled = seconds_of_cold(inventory)
    changes: list[Declared] = [
        alert_route(first, 0, number * 7 % routes, parent="svc-0", value=f"changed-{number}")
        for number in range(10)
    ]
    taken = seconds_of_changes(inventory, compiled, changes)
    return {
        "resources": float(len(inventory.digests)),
        "cold_seconds": cold,
        "change_median_seconds": median(taken),
        "change_worst_seconds": max(taken),
    }


def main() -> None:
    for title, figures in (
        ("spread over 100 namespaces", measure()),
        ("all routes on one Integration (no budget)", measure_one_integration()),
    ):
        cold = figures["cold_seconds"]
        change, worst = figures["change_median_seconds"] * 1000, figures["change_worst_seconds"] * 1000
        print(f"{title}: {figures['resources']:.0f} resources")
        print(f"  compile from nothing  {cold:8.2f} s   (budget {COLD_BUDGET:.0f} s)")
        print(
            f"  one changed resource  {change:8.1f} ms  (worst {worst:.1f} ms, budget {CHANGE_BUDGET * 1000:.0f} ms)"
        )


if __name__ == "__main__":
    main()
