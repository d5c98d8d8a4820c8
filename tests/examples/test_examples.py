"""Every example does what it says: no finding, and each line of its expected.yaml comes out of the real evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from tocsin.api.common import Identity
from tocsin.flow.arrival import alerts_of, moment
from tocsin.flow.decision import Decision

EXAMPLES = Path(__file__).parents[2] / "examples"
FOLDERS = sorted(folder.parent.name for folder in EXAMPLES.glob("*/payloads"))


class Wanted(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """One alert as an example describes it; what is left out is not checked."""

    route: str | None = None
    title: str | None = None
    grouping_id: str | None = None
    source_link: str | None = None
    labels: dict[str, str] | None = None
    windows: list[str] | None = None
    state: Literal["firing", "acknowledged", "resolved"] = "firing"


class Case(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """A payload, or the alert of a missed heartbeat, and what it becomes."""

    integration: str
    alerts: list[Wanted]
    payload: str = ""
    heartbeat_missed: bool = False
    now: str = "2026-03-02T12:00:00Z"


CASES = [
    (folder, case)
    for folder in FOLDERS
    for case in msgspec.yaml.decode(
        (EXAMPLES / folder / "payloads" / "expected.yaml").read_bytes(), type=list[Case]
    )
]


def seen(decision: Decision, wanted: Wanted) -> Wanted:
    """The decision, reduced to what the example speaks of."""
    state = "resolved" if decision.resolve else "acknowledged" if decision.acknowledge else "firing"
    values: dict[str, Any] = {
        "route": decision.route,
        "title": decision.title,
        "grouping_id": decision.grouping_id,
        "source_link": decision.source_link,
        "labels": dict(decision.kept_labels),
        "windows": [window.window for window in decision.windows],
    }
    return Wanted(state=state, **{k: v for k, v in values.items() if getattr(wanted, k) is not None})


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_example_has_no_finding(folder: str, load: Callable) -> None:
    """What people copy is free of errors and of warnings, and says for which payloads it was made."""
    program, complaints = load(folder)
    assert complaints == ()
    assert program.integrations
    assert (EXAMPLES / folder / "README.md").is_file()
    used = {case.payload for name, case in CASES if name == folder if case.payload}
    assert used | {"expected.yaml"} == {file.name for file in (EXAMPLES / folder / "payloads").iterdir()}


@pytest.mark.parametrize(
    ("folder", "case"), CASES, ids=[f"{f}-{c.payload or 'heartbeat'}-{c.now}" for f, c in CASES]
)
def test_an_example_gives_what_it_says(folder: str, case: Case, load: Callable) -> None:
    """Route, title, grouping id, link, labels, windows and state are as written; no template fails."""
    program, _ = load(folder)
    now = moment(case.now)
    assert now is not None
    integration = program.integrations[Identity("Integration", *case.integration.split("/"))]
    if case.heartbeat_missed:
        decisions = [integration.heartbeat_missed(now, last_seen=None, outage="o1")[1]]
    else:
        body = json.loads((EXAMPLES / folder / "payloads" / case.payload).read_text(encoding="utf-8"))
        decisions = [integration.evaluate(alert, now) for alert in alerts_of(integration.type, body, now)]
    assert [seen(d, w) for d, w in zip(decisions, case.alerts, strict=True)] == case.alerts
    for decision in decisions:
        assert not decision.outcome.errors
        assert not decision.outcome.notes
        assert not [dropped for dropped in decision.outcome.dropped if dropped.reason != "empty"]
