"""The templates of examples/senders on all collected payloads of these senders: the manifest's values come out."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from tocsin.api.common import Identity
from tocsin.flow.arrival import alerts_of, moment
from tocsin.flow.decision import Decision

PAYLOADS = Path(__file__).parents[1] / "payloads"
MANIFEST = json.loads((PAYLOADS / "manifest.json").read_text())["files"]
FILES = {
    "aws_sns": "aws-sns",
    "fabric_crashlytics": "crashlytics",
    "kubernetes_event_exporter": "kubernetes-events",
}
WITH_A_TYPE = {
    "alertmanager",
    "alertmanager_api_v2",
    "grafana_unified",
    "grafana_legacy",
    "zabbix",
    "generic_webhook",
}
WITH_A_TYPE |= {"elastalert", "kapacitor"}
CASES = [entry for entry in MANIFEST if entry["source"] not in WITH_A_TYPE and entry["kind"] != "malformed"]
NOW = moment("2026-03-02T12:00:00Z")


def decide(entry: dict[str, Any], load: Callable) -> Decision:
    """The one alert of a collected payload, through the sender's example."""
    program, _ = load("senders")
    name = FILES.get(entry["source"], entry["source"].replace("_", "-"))
    integration = program.integrations[Identity("Integration", "senders", name)]
    text = (PAYLOADS / entry["file"]).read_text(encoding="utf-8")
    form = entry["file"].endswith((".form.txt", ".query.txt"))
    body = dict(parse_qsl(text, keep_blank_values=True)) if form else json.loads(text)
    assert NOW is not None
    (payload,) = alerts_of(integration.type, body, NOW)
    return integration.evaluate(payload, NOW)


def state_of(decision: Decision) -> str:
    return "resolved" if decision.resolve else "acknowledged" if decision.acknowledge else "firing"


def test_every_collected_sender_has_a_type_or_an_example(load: Callable) -> None:
    """Of the collected senders none is left out, and no example is without payloads."""
    program, _ = load("senders")
    names = {FILES.get(e["source"], e["source"].replace("_", "-")) for e in CASES}
    assert {identity.name for identity in program.integrations} == names


@pytest.mark.parametrize("entry", CASES, ids=[entry["file"] for entry in CASES])
def test_a_senders_example_gives_the_manifests_values(entry: dict[str, Any], load: Callable) -> None:
    """Status, group key, title, severity and link as the manifest states them; no template fails.

    "none" is no value of a label (alert-flow R-LBL-7). A handshake is an alert like any other for the type `webhook`, which knows no sender's verification.
    """
    decision = decide(entry, load)
    expect = entry["expect"]
    assert not decision.outcome.errors
    assert not decision.outcome.notes
    assert decision.title
    if expect["status"] == "no_alert":
        return
    assert state_of(decision) == expect["status"]
    if expect["group_key"] is not None:
        assert decision.grouping_id == expect["group_key"]
    if expect["title"]:
        assert decision.title == expect["title"].strip()
    if expect["source_link"] is not None:
        assert decision.source_link == expect["source_link"]
    if expect["severity"] is not None:
        assert decision.labels.get("severity", "") == expect["severity"].replace("none", "")


def test_alerts_of_one_problem_share_a_grouping_key(load: Callable) -> None:
    """Firing, acknowledgement and recovery of each pair of the collection land on one grouping key."""
    keys: dict[str, set[bytes]] = defaultdict(set)
    for entry in CASES:
        if entry["pair"]:
            keys[entry["pair"]].add(decide(entry, load).grouping_key)
    assert {pair: len(found) for pair, found in keys.items() if len(found) != 1 or found == {b""}} == {}
