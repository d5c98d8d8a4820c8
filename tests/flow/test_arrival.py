"""From a body to payloads."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from flows import NOW
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.flow.arrival import NotAnAlert, alerts_of, fingerprint, moment
from tocsin.flow.model import Micros
from tocsin.sources.model import Prepare, SourceType, Split

PLAIN = SourceType(slug="plain", title="", description="")
COUNTED = replace(PLAIN, prepare=(Prepare.COUNT_ALERTS,))
API = replace(PLAIN, prepare=(Prepare.API_ALERT,))
WRAPPED = replace(PLAIN, prepare=(Prepare.UNWRAP_STRING,))
SPLIT = replace(PLAIN, split=Split.ALERTS)
PAYLOADS = Path(__file__).parents[1] / "payloads"


@pytest.mark.parametrize("body", [{}, {"a": 1}])
def test_an_object_is_one_alert(body: dict) -> None:
    """Also an empty one."""
    assert alerts_of(PLAIN, body, NOW) == (body,)


def test_a_list_is_one_alert_per_element() -> None:
    """In order; an empty one is no alert."""
    assert alerts_of(PLAIN, [{"a": 1}, {"b": 2}], NOW) == ({"a": 1}, {"b": 2})
    assert alerts_of(PLAIN, [], NOW) == ()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (None, "null"),
        (True, "a boolean"),
        (42, "a number"),
        (1.5, "a number"),
        ("text", "a text"),
        ([{"a": 1}, 7], "element 1 of the list is a number"),
        ([[]], "element 0 of the list is a list"),
    ],
)
def test_bug_008_json_that_is_no_alert(body: Any, words: str) -> None:
    """Refused as a whole, in words that help the sender."""
    with pytest.raises(NotAnAlert, match=words):
        alerts_of(PLAIN, body, NOW)


def test_bug_004_a_body_that_was_encoded_twice() -> None:
    """One layer is taken off, for types that say so; DOWN and UP look alike then."""
    down = {"monitor": {"id": 7}, "heartbeat": {"status": 0}, "msg": "[ping] Down"}
    assert alerts_of(WRAPPED, json.dumps(down), NOW) == (down,)
    assert alerts_of(WRAPPED, down, NOW) == (down,)
    for body in ("not json", json.dumps(json.dumps(down)), "42", ""):
        with pytest.raises(NotAnAlert):
            alerts_of(WRAPPED, body, NOW)


@pytest.mark.parametrize("file", ["alerting.json", "no_data.json", "ok.json"])
def test_bug_019_wrong_types_are_taken_as_they_are(file: str) -> None:
    """Objects and null where a list is expected, absent fields: one alert, unchanged."""
    body = json.loads((PAYLOADS / "grafana_legacy" / file).read_text())
    assert alerts_of(SPLIT, body, NOW) == (body,)


@pytest.mark.parametrize("alerts", [[], None, {}, "x", [1], [{"a": 1}, None]])
def test_only_a_list_of_objects_is_split(alerts: Any) -> None:
    """Otherwise the body is the alert, so that nothing is lost."""
    assert alerts_of(SPLIT, {"alerts": alerts}, NOW) == ({"alerts": alerts},)


def test_old_grafana_alerts_are_split() -> None:
    """One alert per element."""
    assert alerts_of(SPLIT, {"alerts": [{"a": 1}, {"a": 2}], "x": 1}, NOW) == ({"a": 1}, {"a": 2})


@pytest.mark.parametrize(
    ("body", "counts"),
    [
        ({"alerts": [{"status": "firing"}, {"status": "resolved"}, {"status": "Firing"}, {}, 7]}, (1, 1)),
        ({"alerts": None}, (0, 0)),
        ({}, (0, 0)),
        ({"numFiring": None, "alerts": [{"status": "firing"}]}, (None, None)),
    ],
)
def test_counts_are_added_unless_they_are_there(body: dict, counts: tuple) -> None:
    """Exact spelling only; a sender that counts is believed in both."""
    before = copy.deepcopy(body)
    (payload,) = alerts_of(COUNTED, body, NOW)
    assert body == before
    assert (payload.get("numFiring"), payload.get("numResolved")) == counts


def test_bug_012_twenty_thousand_alerts_in_one_body() -> None:
    """They are counted and shared, not copied."""
    alerts = [{"status": "firing", "labels": {"i": str(number)}} for number in range(20_000)]
    (payload,) = alerts_of(COUNTED, {"groupKey": "k", "alerts": alerts}, NOW)
    assert (payload["numFiring"], payload["numResolved"]) == (20_000, 0)
    assert payload["alerts"] is alerts


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("2026-05-28T20:26:40Z", "resolved"),
        ("2026-05-28T22:26:40+02:00", "resolved"),
        ("2026-05-28T20:26:40.000000001Z", "resolved"),
        ("2026-05-28T20:26:41Z", "firing"),
        ("0001-01-01T00:00:00Z", "firing"),
        ("0001-01-01T00:00:00-05:00", "firing"),
        ("yesterday", "firing"),
        ("", "firing"),
        (None, "firing"),
        (5, "firing"),
    ],
)
def test_an_alert_of_the_api_is_over_at_its_end(end: Any, status: str) -> None:
    """BUG-080: Go's zero time and whatever is no time mean that it goes on."""
    body = [{"labels": {"b": "2", "a": "1"}, "endsAt": end}]
    (payload,) = alerts_of(API, body, NOW)
    assert payload["status"] == status
    assert payload["fingerprint"] == fingerprint({"labels": {"a": "1", "b": "2"}})
    assert "status" not in body[0]


def test_a_fingerprint_is_of_the_labels_alone() -> None:
    """Whatever their order; different labels never share one by concatenation."""
    assert fingerprint({"labels": {"a": "1", "b": "2"}, "x": 1}) == fingerprint(
        {"labels": {"b": "2", "a": "1"}}
    )
    assert fingerprint({"labels": {"a": "1b2"}}) != fingerprint({"labels": {"a": "1", "b": "2"}})
    assert len({fingerprint({"labels": labels}) for labels in (None, [], {"a": None}, {"a": 1})}) == 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T01:00:00.5+01:00", 500_000),
        ("1970-01-01 00:00:01Z", 1_000_000),
        ("2026-05-28T20:26:40Z", NOW),
        ("1970-01-01T00:00:00", None),
        ("1970-13-01T00:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        (0, None),
    ],
)
def test_moments(text: Any, expected: Micros | None) -> None:
    """RFC 3339 with a zone; everything else is no time, never an error."""
    assert moment(text) == expected


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    )
)
def test_any_json_is_taken_or_refused(body: Any) -> None:
    """For every type; nothing else is raised."""
    for source in (PLAIN, COUNTED, API, WRAPPED, SPLIT):
        try:
            payloads = alerts_of(source, body, NOW)
        except NotAnAlert:
            assert not isinstance(body, dict)
        else:
            assert all(isinstance(payload, dict) for payload in payloads)
