"""The alerts that a missed heartbeat and its return make."""

from __future__ import annotations

import pytest
from flows import NOW, flow_of, integration, matcher, program, route, rule, text, window

from tocsin.flow.decision import Grouping
from tocsin.flow.heartbeat import interval_text, moment_text
from tocsin.flow.model import HeartbeatFragment, Micros, Target
from tocsin.flow.program import link

LAST = Micros(NOW - 130_000_000)
MINUTE = HeartbeatFragment(interval=60_000_000)
BROKEN = {
    "groupingId": "{{ payload.nope / 0 }}",
    "resolve": "{{ false }}",
    "acknowledge": "{{ true }}",
    "appearance.web.title": "{{ payload.nope / 0 }}",
    "sourceLink": "https://x/",
}


def beating(*attached, heartbeat=MINUTE, **fields):
    return program(*attached, heartbeat=heartbeat, **fields)


def test_bug_074_one_group_per_outage() -> None:
    """Its return resolves exactly the group of that outage, although the templates know nothing of heartbeats."""
    linked = beating(templates=BROKEN)
    _, missed = linked.heartbeat_missed(NOW, last_seen=LAST, outage=1)
    _, returned = linked.heartbeat_returned(NOW, last_seen=LAST, outage=1)
    _, again = linked.heartbeat_missed(NOW, last_seen=NOW, outage=2)
    assert (missed.grouping, missed.resolve, missed.acknowledge) == (Grouping.BY_ID, False, False)
    assert (returned.resolve, returned.outcome.resolve) == (True, True)
    assert returned.grouping_key == missed.grouping_key != again.grouping_key
    assert missed.source_link == ""
    assert missed.outcome.errors == ()


def test_a_source_that_may_not_resolve_does_not_keep_the_outage_open() -> None:
    """The heartbeat is Tocsin's own signal."""
    _, returned = beating(source_resolve=False).heartbeat_returned(NOW, last_seen=LAST, outage=1)
    assert returned.resolve is True


def test_an_alert_cannot_pose_as_a_heartbeat() -> None:
    """The grouping key of an outage is none that a template can make."""
    linked = beating(templates={"groupingId": "heartbeat 1"})
    _, missed = linked.heartbeat_missed(NOW, last_seen=LAST, outage=1)
    spoofed = linked.evaluate({}, NOW)
    assert spoofed.grouping_id == missed.grouping_id
    assert spoofed.grouping_key != missed.grouping_key


@pytest.mark.parametrize(("last_seen", "words"), [(LAST, "2026-05-28T20:24:30Z"), (None, "never")])
def test_bug_077_the_text_says_who_is_silent(last_seen: Micros | None, words: str) -> None:
    """Namespace and name, the last signal, the interval; the return has words of its own."""
    payload, decision = beating().heartbeat_missed(NOW, last_seen=last_seen, outage=1)
    assert payload["title"] == decision.title == "Heartbeat of ns/it is missing"
    assert "ns/it" in payload["message"]
    assert words in payload["message"]
    assert "1m" in payload["message"]
    back, returned = beating().heartbeat_returned(NOW, last_seen=last_seen, outage=1)
    assert returned.title == "Heartbeat of ns/it is back"
    assert "again" in back["message"]


def test_texts_are_templates() -> None:
    """With heartbeat.last_seen, heartbeat.interval and integration_name; the return does not use them."""
    beat = HeartbeatFragment(
        interval=5_400_000_000,
        title=text("{{ integration_name }} is silent"),
        message=text(
            "since {{ heartbeat.last_seen }}, every {{ heartbeat.interval }}, {{ heartbeat.integration }}"
        ),
    )
    linked = beating(heartbeat=beat, title="Shop")
    payload, decision = linked.heartbeat_missed(NOW, last_seen=LAST, outage=1)
    assert decision.title == "Shop is silent"
    assert payload["message"] == "since 2026-05-28T20:24:30Z, every 1h30m, ns/it"
    _, returned = linked.heartbeat_returned(NOW, last_seen=LAST, outage=1)
    assert returned.title == "Heartbeat of ns/it is back"


def test_a_failed_text_is_replaced() -> None:
    """By the words that it would have had without, and recorded."""
    beat = HeartbeatFragment(interval=60_000_000, title=text("{{ unclosed"), message=text("{{ 1 / 0 }}"))
    payload, decision = beating(heartbeat=beat).heartbeat_missed(NOW, last_seen=LAST, outage=1)
    assert decision.title == "Heartbeat of ns/it is missing"
    assert "ns/it" in payload["message"]
    assert [error.slot for error in decision.outcome.errors] == ["heartbeat.title", "heartbeat.message"]


def test_the_payload_for_routes() -> None:
    """What is documented is there, in both alerts."""
    payload, _ = beating().heartbeat_missed(NOW, last_seen=LAST, outage=7)
    assert payload == {
        "alert_uid": "heartbeat 7",
        "title": payload["title"],
        "message": payload["message"],
        "state": "alerting",
        "status": "firing",
        "is_oncall_heartbeat": True,
        "is_oncall_heartbeat_restored": False,
        "heartbeat": {
            "integration": "ns/it",
            "interval": "1m",
            "interval_seconds": 60,
            "last_seen": "2026-05-28T20:24:30Z",
        },
    }
    back, _ = beating().heartbeat_returned(NOW, last_seen=None, outage=7)
    assert (back["state"], back["status"], back["is_oncall_heartbeat_restored"]) == ("ok", "resolved", True)
    assert back["heartbeat"]["last_seen"] is None


def test_routing() -> None:
    """Through the integration's routes, or to the one that the heartbeat names, attached or not."""
    by_flag = route("by-flag", "{{ payload.is_oncall_heartbeat }}")
    assert beating(by_flag).heartbeat_missed(NOW, last_seen=LAST, outage=1)[1].route == "ns/by-flag"
    assert (
        beating(route("other", "false")).heartbeat_missed(NOW, last_seen=LAST, outage=1)[1].route == "default"
    )
    fragment, parts = integration(by_flag, heartbeat=HeartbeatFragment(interval=60_000_000, route="ns/own"))
    flow = flow_of(fragment, *parts, route("own", "false"))
    _, decision = (
        link(flow, types={}).integrations[fragment.identity].heartbeat_missed(NOW, last_seen=LAST, outage=1)
    )
    assert (decision.route, decision.target) == ("ns/own", Target(escalation_chain="ns/chain-own"))
    dangling = HeartbeatFragment(interval=60_000_000, route="ns/gone")
    assert (
        beating(by_flag, heartbeat=dangling).heartbeat_missed(NOW, last_seen=LAST, outage=1)[1].route
        == "ns/by-flag"
    )


def test_labels() -> None:
    """The fixed ones of the integration and the heartbeat's own; those made from payloads are not asked for."""
    beat = HeartbeatFragment(interval=60_000_000, labels=(("team", "ops"), ("kind", "heartbeat")))
    linked = beating(
        rule("l", static={"team": "core", "tier": "1"}, dynamic={"d": "{{ payload.title }}"}),
        heartbeat=beat,
        inherited_labels=(("env", "prod"),),
    )
    _, decision = linked.heartbeat_missed(NOW, last_seen=LAST, outage=1)
    assert decision.kept_labels == (("env", "prod"), ("kind", "heartbeat"), ("team", "ops"), ("tier", "1"))


def test_maintenance_covers_heartbeats() -> None:
    """As any other alert, by their labels."""
    beat = HeartbeatFragment(interval=60_000_000, labels=(("kind", "heartbeat"),))
    linked = beating(window("w", matchers=(matcher("kind=heartbeat"),)), heartbeat=beat)
    assert linked.heartbeat_missed(NOW, last_seen=LAST, outage=1)[1].maintenance is not None


@pytest.mark.parametrize(
    ("micros", "written"),
    [(0, "0s"), (90_000_000, "1m30s"), (86_400_000_000, "1d"), (93_784_000_000, "1d2h3m4s")],
)
def test_intervals_are_written_as_in_yaml(micros: int, written: str) -> None:
    """Largest unit first."""
    assert interval_text(micros) == written
    assert moment_text(Micros(micros)).endswith("Z")
