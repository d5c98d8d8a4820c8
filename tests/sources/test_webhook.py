"""The generic webhook takes anything: nothing fails, everything has a title, and what belongs together meets."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

MANIFEST = json.loads((Path(__file__).parents[1] / "payloads" / "manifest.json").read_text())["files"]
ANY_SENDER = [entry for entry in MANIFEST if entry["kind"] != "malformed"]

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)
KEYS = (
    "id",
    "alert_uid",
    "title",
    "subject",
    "state",
    "status",
    "host",
    "message",
    "url",
    "severity",
    "incident",
)


@pytest.mark.parametrize("entry", ANY_SENDER, ids=[entry["file"] for entry in ANY_SENDER])
def test_any_sender_can_post_to_a_webhook(
    entry: dict[str, Any], build: Callable, send: Callable, collected: Callable
) -> None:
    """If no type fits, `webhook` does: an alert with a title and a grouping id, and no failed template.

    Rules: R-TYP-6
    """
    for alert in send(build("webhook"), collected(entry["file"])):
        assert alert.decision.title.strip()
        assert alert.decision.grouping_id
        assert not alert.decision.outcome.errors
        assert alert.message


@given(payload=st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), ANYTHING, max_size=8))
def test_no_object_breaks_the_defaults(payload: dict[str, Any], build: Callable, send: Callable) -> None:
    """Fields may have any type: the defaults never fail on what a sender may put there."""
    (alert,) = send(build("webhook"), payload)
    assert alert.decision.title
    assert not alert.decision.outcome.errors


@pytest.mark.parametrize(
    ("firing", "over"),
    [
        (
            {"alert_uid": "u1", "state": "alerting", "message": "no report"},
            {"alert_uid": "u1", "state": "ok"},
        ),
        (
            {"fingerprint": "f", "status": "firing", "n": 1},
            {"fingerprint": "f", "status": "resolved", "n": 2},
        ),
        ({"groupKey": "g", "status": "firing"}, {"groupKey": "g", "status": "RESOLVED"}),
        ({"id": 7, "state": "open"}, {"id": 7, "state": "closed"}),
        ({"uid": "x", "current_state": "DOWN"}, {"uid": "x", "current_state": " Up "}),
        ({"dedup_key": "d", "event_action": "trigger"}, {"dedup_key": "d", "event_action": "resolve"}),
        ({"key": "k", "status": "down"}, {"status": "up", "key": "k"}),
        ({"title": "[Triggered] Disk"}, {"title": "[Recovered] Disk"}),
        ({"title": "PROBLEM: Disk", "hostname": "a"}, {"title": "RESOLVED: Disk", "hostname": "a"}),
        ({"name": "job", "status": "failed", "time": 1}, {"name": "job", "status": "OK", "time": 2}),
        ({"a": {"b": 1}, "status": "bad", "time": 1}, {"time": 2, "status": "ok", "a": {"b": 1}}),
    ],
)
def test_a_problem_and_its_recovery_meet_by_default(
    firing: dict[str, Any], over: dict[str, Any], build: Callable, send: Callable
) -> None:
    """Without a template of one's own the recovery joins the group that the problem opened, and resolves it."""
    (first,), (second,) = send(build("webhook"), firing), send(build("webhook"), over)
    assert first.state == "firing"
    assert second.state == "resolved"
    assert first.decision.grouping_key == second.decision.grouping_key


@pytest.mark.parametrize(
    ("one", "another"),
    [
        ({"alert_uid": "u1", "title": "x"}, {"alert_uid": "u2", "title": "x"}),
        ({"title": "Disk", "host": "a"}, {"title": "Disk", "host": "b"}),
        ({"id": 0, "title": "x"}, {"id": 1, "title": "x"}),
        ({"sensor": "a", "value": 1}, {"sensor": "b", "value": 1}),
    ],
)
def test_different_problems_stay_apart_by_default(
    one: dict[str, Any], another: dict[str, Any], build: Callable, send: Callable
) -> None:
    """What differs in the id, in title or host, or in content is another problem."""
    (first,), (second,) = send(build("webhook"), one), send(build("webhook"), another)
    assert first.decision.grouping_key != second.decision.grouping_key


@pytest.mark.parametrize(
    "payload",
    [
        {"status": "okay-ish", "title": "x"},
        {"status": 200, "title": "x"},
        {"state": "alerting", "status": "ok"},  # the more telling field comes first
        {"title": "OK computer"},
        {"status": {"code": "ok"}},
    ],
)
def test_what_is_no_word_for_an_end_resolves_nothing(
    payload: dict[str, Any], build: Callable, send: Callable
) -> None:
    """Resolving by mistake hides a problem: only whole words in the fields meant for a state count."""
    (alert,) = send(build("webhook"), payload)
    assert alert.state == "firing"


def test_formatted_webhook_takes_six_fields_all_optional(build: Callable, send: Callable) -> None:
    """`alert_uid` groups, empty means a group of its own; `state` ok in any case resolves; the rest is shown.

    Rules: R-TYP-FWH
    """
    program = build("formatted_webhook")
    (full,) = send(
        program,
        {
            "alert_uid": "u1",
            "title": "T",
            "image_url": "https://img.example.com/i.png",
            "state": "alerting",
            "link_to_upstream_details": "https://example.com/d",
            "message": "M",
        },
    )
    assert (full.decision.grouping_id, full.decision.title, full.message) == ("u1", "T", "M")
    assert full.decision.source_link == "https://example.com/d"
    assert full.image_url == "https://img.example.com/i.png"
    assert full.state == "firing"
    for word in ("ok", "OK", "Ok"):
        assert send(program, {"alert_uid": "u1", "state": word})[0].state == "resolved"
    (empty,) = send(program, {})
    assert empty.decision.grouping_key == b""
    assert empty.decision.title == "Alert without a title"


def test_zabbix_takes_the_fields_of_a_formatted_webhook(build: Callable, send: Callable) -> None:
    """The script on Zabbix' side posts the same six fields; without a uid nothing groups.

    Rules: R-TYP-ZBX
    """
    program = build("zabbix")
    body = {
        "alert_uid": "9",
        "title": "PROBLEM: x",
        "state": "alerting",
        "message": "M",
        "image_url": "https://i.example.com/i",
    }
    (firing,) = send(program, body)
    (over,) = send(program, {**body, "state": "OK"})
    assert (firing.decision.grouping_id, firing.decision.title, firing.message) == ("9", "PROBLEM: x", "M")
    assert firing.image_url == "https://i.example.com/i"
    assert (firing.state, over.state) == ("firing", "resolved")
    assert over.decision.grouping_key == firing.decision.grouping_key
    assert send(program, {**body, "alert_uid": ""})[0].decision.grouping_key == b""


def test_kapacitor_groups_by_id_and_resolves_on_ok(build: Callable, send: Callable) -> None:
    """Grouping id and title are the alert's id; a level that begins with OK resolves; the body is shown as JSON.

    Rules: R-TYP-KAP
    """
    program = build("kapacitor")
    (firing,) = send(program, {"id": "cpu", "level": "CRITICAL"})
    assert (firing.decision.grouping_id, firing.decision.title, firing.state) == ("cpu", "cpu", "firing")
    assert firing.decision.source_link == ""
    assert '"level": "CRITICAL"' in firing.message
    for level, state in (
        ("OK", "resolved"),
        ("OK (was CRITICAL)", "resolved"),
        ("ok", "firing"),
        ("INFO", "firing"),
    ):
        assert send(program, {"id": "cpu", "level": level})[0].state == state
