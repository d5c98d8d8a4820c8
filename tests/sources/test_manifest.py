"""The collected payloads of senders that have a type of their own, under nothing but that type's defaults."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MANIFEST = json.loads((Path(__file__).parents[1] / "payloads" / "manifest.json").read_text())["files"]
TYPES = {
    "alertmanager": ("alertmanager",),
    "alertmanager_api_v2": ("prometheus",),
    "grafana_unified": ("grafana_alerting", "alertmanager"),
    "grafana_legacy": ("grafana",),
    "zabbix": ("zabbix",),
    "generic_webhook": ("webhook", "formatted_webhook"),
    "elastalert": ("elastalert",),
    "kapacitor": ("kapacitor",),
}
CASES = [
    (slug, entry)
    for entry in MANIFEST
    for slug in TYPES.get(entry["source"], ())
    if entry["kind"] != "malformed"
]
BEFORE_ITS_END = "2026-03-01T16:28:00Z"
"""A moment at which the alerts of the Alertmanager API have not ended."""


@pytest.mark.parametrize(("slug", "entry"), CASES, ids=[f"{s}-{e['file']}" for s, e in CASES])
def test_a_collected_payload_gives_the_manifests_values(
    slug: str, entry: dict[str, Any], build: Callable, send: Callable, collected: Callable
) -> None:
    """Status, group key, title, severity and link as the manifest states them; no template fails.

    Kapacitor's title is its id (alert-flow R-TYP-KAP), and "none" is no value of a label (alert-flow R-LBL-7).
    """
    body = collected(entry["file"])
    alerts = send(build(slug), body, BEFORE_ITS_END)
    expect = entry["expect"]
    if expect["status"] == "no_alert":
        assert alerts == ()
        return
    assert len(alerts) == (len(body) if isinstance(body, list) else 1)
    first = alerts[0].decision
    assert {alert.state for alert in alerts} == {expect["status"]}
    assert not any(alert.decision.outcome.errors for alert in alerts)
    if expect["group_key"] is not None:
        assert first.grouping_id == expect["group_key"]
    if slug == "kapacitor":
        assert first.title == body["id"]
    elif expect["title"]:
        assert first.title == expect["title"]
    else:
        assert first.title  # nothing in the body: the type's substitute
    if expect["source_link"] is not None:
        assert first.source_link == expect["source_link"]
    assert first.labels.get("severity", "") == (expect["severity"] or "").replace("none", "")


def test_alerts_of_one_problem_share_a_grouping_key(
    build: Callable, send: Callable, collected: Callable
) -> None:
    """Firing, acknowledgement and recovery of a pair of the collection land on one grouping key."""
    keys: dict[tuple[str, str], set[bytes]] = defaultdict(set)
    states: dict[tuple[str, str], set[str]] = defaultdict(set)
    for slug, entry in CASES:
        if entry["pair"]:
            for alert in send(build(slug), collected(entry["file"])):
                keys[slug, entry["pair"]].add(alert.decision.grouping_key)
                states[slug, entry["pair"]].add(alert.state)
    assert {pair: found for pair, found in keys.items() if len(found) != 1 or found == {b""}} == {}
    assert all({"firing", "resolved"} <= found for found in states.values())
    assert "acknowledged" in states["zabbix", "zabbix:w"]


def test_alerts_of_an_array_are_told_apart_and_found_again(
    build: Callable, send: Callable, collected: Callable
) -> None:
    """Each alert of the Alertmanager API has its label set as identity; the recovery comes with a past end."""
    body = collected("alertmanager_api_v2/vmalert_array.json")
    program = build("prometheus")
    firing = send(program, body, BEFORE_ITS_END)
    assert [alert.state for alert in firing] == ["firing", "firing"]
    assert len({alert.decision.grouping_key for alert in firing}) == 2
    over = send(program, body, "2026-03-01T16:31:00Z")
    assert [alert.state for alert in over] == ["resolved", "resolved"]
    assert [a.decision.grouping_key for a in over] == [a.decision.grouping_key for a in firing]


def test_truncated_alerts_are_counted(build: Callable, send: Callable, collected: Callable) -> None:
    """Of a storm the message says how many there are, not only how many were sent along."""
    (alert,) = send(build("alertmanager"), collected("alertmanager/truncated_alerts.json"))
    assert "2 firing" in alert.message
    assert "19998 more cut by the sender (20000 in all)" in alert.message


def test_unresolved_macros_stay_text(build: Callable, send: Callable, collected: Callable) -> None:
    """Braces in a value are no template, and what Zabbix could not fill in is not shown as a fact."""
    (alert,) = send(build("zabbix"), collected("zabbix/webhook_recovery.json"))
    assert alert.payload["event_opdata"] == "{EVENT.OPDATA}"
    assert "Operational data" not in alert.message
    (typed,) = send(
        build("zabbix"), {"alert_uid": "1", "state": "alerting", "message": "{{ 7 * 7 }} {EVENT.OPDATA}"}
    )
    assert "{{ 7 * 7 }} {EVENT.OPDATA}" in typed.message
