"""How deliveries of one event by several senders are recognised, and when alerts end by themselves."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from flows import NOW
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.flow.arrival import RESOLVE_TIMEOUT, duplicate_key, expires_at
from tocsin.sources.model import DuplicateKey, SourceType

PLAIN = SourceType(slug="plain", title="", description="")
GROUPED = replace(PLAIN, duplicates=DuplicateKey.GROUP_KEY)
SINGLE = replace(PLAIN, duplicates=DuplicateKey.FINGERPRINT, expires=True)

ALERT = {"fingerprint": "f1", "status": "firing", "startsAt": "t1", "endsAt": "0001-01-01T00:00:00Z"}
BODY: dict[str, Any] = {
    "groupKey": '{}/{a="1",b="2"}:{alertname="X"}',
    "externalURL": "http://am-1",
    "alerts": [ALERT, ALERT | {"fingerprint": "f2", "status": "resolved", "endsAt": "t2"}],
}


def changed(**alert: Any) -> dict[str, Any]:
    body = copy.deepcopy(BODY)
    body["alerts"][0].update(alert)
    return body


def test_two_senders_of_a_pair_give_one_key() -> None:
    """Order of alerts, the sender's own address and the end of what still fires do not matter."""
    other = copy.deepcopy(BODY) | {"externalURL": "http://am-2"}
    other["alerts"].reverse()
    other["alerts"][1]["endsAt"] = "t9"
    assert duplicate_key(GROUPED, other) == duplicate_key(GROUPED, BODY)
    assert len(duplicate_key(GROUPED, BODY)) == 32


@pytest.mark.parametrize("alert", [{"fingerprint": "f3"}, {"status": "resolved"}, {"startsAt": "t5"}])
def test_another_event_has_another_key(alert: dict) -> None:
    """Fingerprint, status and start tell events apart, and the end of what is over."""
    assert duplicate_key(GROUPED, changed(**alert)) != duplicate_key(GROUPED, BODY)
    ended = copy.deepcopy(BODY)
    ended["alerts"][1]["endsAt"] = "t3"
    assert duplicate_key(GROUPED, ended) != duplicate_key(GROUPED, BODY)


def test_bug_034_the_group_key_is_opaque() -> None:
    """The same matchers in another order are another key; a number is a key, too."""
    other = BODY | {"groupKey": '{}/{b="2",a="1"}:{alertname="X"}'}
    assert duplicate_key(GROUPED, other) != duplicate_key(GROUPED, BODY)
    number = BODY | {"groupKey": 5615590933959184469}
    assert len(duplicate_key(GROUPED, number)) == 32
    assert duplicate_key(GROUPED, number) != duplicate_key(GROUPED, BODY | {"groupKey": 5615590933959184470})


@pytest.mark.parametrize(
    "missing", [{"groupKey": None}, {"groupKey": ""}, {"alerts": []}, {"alerts": {}}, {"alerts": [1]}]
)
def test_without_identity_nothing_is_a_duplicate(missing: dict) -> None:
    """Better two alerts than a lost one."""
    assert duplicate_key(GROUPED, BODY | missing) == b""
    assert duplicate_key(PLAIN, BODY) == b""


def test_an_old_sender_without_fingerprints() -> None:
    """The labels stand for it."""

    def body(job: str) -> dict[str, Any]:
        return {"groupKey": "k", "alerts": [{"status": "firing", "labels": {"job": job}}]}

    assert duplicate_key(GROUPED, body("a")) == duplicate_key(GROUPED, body("a"))
    assert duplicate_key(GROUPED, body("a")) != duplicate_key(GROUPED, body("b"))


def test_a_single_alert_is_known_by_fingerprint_status_and_start() -> None:
    """A re-send with a later end is a duplicate; being over is another event."""
    assert duplicate_key(SINGLE, ALERT | {"endsAt": "later"}) == duplicate_key(SINGLE, ALERT)
    assert duplicate_key(SINGLE, ALERT | {"status": "resolved"}) != duplicate_key(SINGLE, ALERT)
    assert duplicate_key(SINGLE, ALERT | {"startsAt": "t2"}) != duplicate_key(SINGLE, ALERT)
    assert duplicate_key(SINGLE, {"labels": {"a": "1"}}) != duplicate_key(SINGLE, {"labels": {"a": "2"}})


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        ({"status": "firing", "endsAt": "2026-05-28T20:30:40Z"}, NOW + 240_000_000),
        ({"status": "firing", "endsAt": "0001-01-01T00:00:00Z"}, NOW + RESOLVE_TIMEOUT),
        ({"status": "firing"}, NOW + RESOLVE_TIMEOUT),
        ({"status": "firing", "endsAt": "nonsense"}, NOW + RESOLVE_TIMEOUT),
        ({"status": "resolved", "endsAt": "2026-05-28T20:30:40Z"}, None),
    ],
)
def test_when_a_firing_alert_ends_by_itself(payload: dict, expected: int | None) -> None:
    """At its end, or five minutes from now if it states none; what is over does not end again."""
    assert expires_at(SINGLE, payload, NOW) == expected
    assert expires_at(PLAIN, payload, NOW) is None


@given(
    st.dictionaries(
        st.sampled_from(["groupKey", "alerts", "labels", "fingerprint", "status", "startsAt", "endsAt"]),
        st.recursive(
            st.none() | st.integers() | st.floats() | st.text(),
            lambda x: st.lists(x) | st.dictionaries(st.text(), x),
        ),
    )
)
def test_any_payload_has_a_key_or_none(payload: dict) -> None:
    """Free-form content never raises."""
    assert len(duplicate_key(GROUPED, payload)) in (0, 32)
    assert len(duplicate_key(SINGLE, payload)) == 32
    expires_at(SINGLE, payload, NOW)


def test_values_that_are_nested_very_deeply() -> None:
    """Where a text is expected: still a key, never an error."""
    deep: Any = "x"
    for _ in range(5000):
        deep = [deep]
    assert len(duplicate_key(GROUPED, changed(fingerprint=deep, startsAt=deep) | {"groupKey": deep})) == 32
    assert len(duplicate_key(SINGLE, {"labels": {"a": deep}, "status": deep})) == 32
