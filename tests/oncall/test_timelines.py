"""Declared schedules to their timelines: `golden/<case>.in.yaml` -> `<case>.out.yaml`, through the compiler."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from rotas import at, text_of

from tocsin.api.objects import parse_object
from tocsin.flow import oncall
from tocsin.flow.compiler import compile_flow
from tocsin.flow.inventory import Inventory
from tocsin.flow.program import link
from tocsin.sources import load_types

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))
TYPES = load_types()


def declared(kind: str, name: str, spec: dict) -> dict:
    return {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "ops"},
        "spec": spec,
    }


def timeline(case: dict) -> dict[str, list[str]]:
    """Shifts, gaps, and each handover as `next_handover` tells them one after the other."""
    objects = [declared("Responder", name, {}) for name in ("ann", "bob", "cat", "dan")]
    objects.append(declared("OnCallSchedule", "rota", case["spec"]))
    text = case.get("calendar", "")
    inventory = Inventory.of([parse_object(one) for one in objects]).with_config_map(
        "ops", "cal", {"a.ics": text}
    )
    start, end = at(case["from"].replace("Z", "+00:00")), at(case["to"].replace("Z", "+00:00"))
    targets = link(compile_flow(inventory, types=TYPES, now=start).flow, types=TYPES).targets
    schedule, people = targets.schedules["ops/rota"], targets.responders
    calendar = oncall.parse(text) if text else None
    names = ", ".join
    shifts = oncall.shifts(schedule, people, calendar, start, end)
    handovers, moment = [], start
    while (found := oncall.next_handover(schedule, people, calendar, moment)) and found.at < end:
        handovers.append(f"{text_of(found.at)} {names(found.responders) or 'nobody'}")
        moment = found.at
    return {
        "shifts": [f"{text_of(s.start)} {text_of(s.end)} {names(s.responders)}" for s in shifts],
        "gaps": [
            f"{text_of(a)} {text_of(b)}" for a, b in oncall.gaps(schedule, people, calendar, start, end)
        ],
        "handovers": handovers,
    }


@pytest.mark.parametrize("case", CASES)
def test_timeline(case: str, update_golden: bool) -> None:
    """Who is on call when, exactly as written down."""
    found = timeline(yaml.safe_load((GOLDEN / f"{case}.in.yaml").read_text()))
    path = GOLDEN / f"{case}.out.yaml"
    if update_golden:
        path.write_text(yaml.safe_dump(found, sort_keys=False, width=120))
    assert found == yaml.safe_load(path.read_text())
