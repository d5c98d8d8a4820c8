"""What types declare about delivery: senders in pairs, alerts that end by themselves, handshakes, splitting."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tocsin.flow.arrival import NotAnAlert, alerts_of, duplicate_key, expires_at, moment
from tocsin.flow.model import TemplateText
from tocsin.flow.templates import Variables, is_true, parse
from tocsin.sources import load_types

TYPES = load_types()
NOW = moment("2026-03-02T12:00:00Z")
assert NOW is not None


@pytest.mark.parametrize("slug", ["alertmanager", "grafana_alerting"])
def test_the_other_half_of_a_pair_delivers_the_same_event(slug: str, collected: Callable) -> None:
    """Replicas send the same alerts in another order and with their own receiver and URL; a recovery is another event."""
    body = collected("alertmanager/multi_mixed_firing_and_resolved.json")
    other = {
        **body,
        "alerts": body["alerts"][::-1],
        "externalURL": "https://am-2.example.com",
        "receiver": "x",
    }
    key = duplicate_key(TYPES[slug], body)
    assert len(key) == 32
    assert duplicate_key(TYPES[slug], other) == key
    assert duplicate_key(TYPES[slug], collected("alertmanager/multi_all_resolved.json")) != key


def test_types_without_a_key_know_no_duplicates() -> None:
    """Two equal bodies to a webhook are two alerts: nobody knows whether the sender meant them so."""
    for slug in ("webhook", "formatted_webhook", "zabbix", "grafana"):
        assert duplicate_key(TYPES[slug], {"id": 1, "groupKey": "x", "fingerprint": "f"}) == b""


def test_only_alerts_of_the_api_end_by_themselves(collected: Callable) -> None:
    """Prometheus repeats what fires; an alert that is not repeated ends at its endsAt. Alertmanager says so itself."""
    (first, _) = alerts_of(
        TYPES["prometheus"],
        collected("alertmanager_api_v2/vmalert_array.json"),
        moment("2026-03-01T16:28:00Z"),
    )
    assert expires_at(TYPES["prometheus"], first, NOW) == moment("2026-03-01T16:31:00Z")
    assert expires_at(TYPES["alertmanager"], collected("alertmanager/firing.json"), NOW) is None
    assert [slug for slug, source in TYPES.items() if source.expires or source.api_v2] == ["prometheus"]


def test_a_handshake_of_sns_is_told_from_an_alert(collected: Callable) -> None:
    """Confirmations of a subscription make no alert, whatever URL they hold; notifications do."""
    verification = TYPES["amazon_sns"].verification
    assert verification is not None
    when = parse(TemplateText(text=verification.when))
    for name, handshake in (
        ("subscription_confirmation", True),
        ("subscription_confirmation_ssrf", True),
        ("cloudwatch_alarm", False),
        ("plain_text_message", False),
        ("raw_delivery", False),
    ):
        payload = collected(f"aws_sns/{name}.json")
        assert is_true(when.render(Variables(payload=payload, now=NOW))) is handshake, name


def test_envelope_and_raw_delivery_of_an_alarm_meet(
    build: Callable, send: Callable, collected: Callable
) -> None:
    """CloudWatch alarms are the same alarm with and without the envelope; lack of data resolves nothing."""
    program = build("amazon_sns")
    results = [
        send(program, collected(f"aws_sns/{name}.json"))[0]
        for name in ("cloudwatch_alarm", "raw_delivery", "cloudwatch_insufficient_data")
    ]
    assert len({alert.decision.grouping_key for alert in results}) == 1
    assert {alert.state for alert in results} == {"firing"}
    assert {alert.decision.title for alert in results} == {"bucketbytesAlarm"}
    assert not any("Unsubscribe" in alert.message for alert in results)


def test_a_body_that_was_encoded_twice_is_taken_as_it_was_meant() -> None:
    """Some senders of webhooks post a JSON text that holds JSON; types of senders that do not are strict."""
    body = json.dumps({"id": 1})
    assert alerts_of(TYPES["webhook"], body, NOW) == ({"id": 1},)
    with pytest.raises(NotAnAlert):
        alerts_of(TYPES["alertmanager"], body, NOW)


def test_several_alerts_of_old_grafana_end_one_by_one(build: Callable, send: Callable) -> None:
    """The recovery of one label set does not end the group of another."""
    program = build("grafana")
    both = [{"status": "firing", "labels": {"alertname": "A", "instance": i}} for i in ("x", "y")]
    first = send(program, {"alerts": both})
    second = send(program, {"alerts": [{**both[0], "status": "resolved"}]})
    assert first[0].decision.grouping_key == second[0].decision.grouping_key != first[1].decision.grouping_key
    assert [alert.state for alert in (*first, *second)] == ["firing", "firing", "resolved"]
