"""The grouping id and the key that is made of it."""

from __future__ import annotations

import hashlib

import pytest
from flows import NOW, program
from hypothesis import given
from hypothesis import strategies as st

from tocsin.flow.decision import Grouping
from tocsin.flow.evaluator import FALLBACK_KEY


def decided(template, payload=None, **fields):
    templates = {} if template is None else {"groupingId": template}
    return program(templates=templates, **fields).evaluate(payload or {}, NOW)


def test_the_id_is_used_as_it_is() -> None:
    """Not trimmed, case-sensitive; the template sees payload and labels, not what appearance templates see.

    Rules: R-GRP-1
    """
    padded = decided(" {{ payload.a }}\t", {"a": "X"})
    assert padded.grouping_id == " X\t"
    keys = {decided("{{ payload.a }}", {"a": value}).grouping_key for value in ("x", "X", " x", "x ")}
    assert len(keys) == 4
    names = decided("[{{ source_link }}{{ integration_name }}]")
    assert names.grouping_id == "[]"


def test_the_key_is_the_sha256_of_the_whole_id() -> None:
    """As bytes of its UTF-8."""
    decision = decided("{{ payload.name }}", {"name": "CPU 90% é"})
    assert decision.grouping is Grouping.BY_ID
    assert decision.grouping_key == hashlib.sha256("CPU 90% é".encode()).digest()


@pytest.mark.parametrize("blank", [" ", "\n", "\t \n"])
def test_white_space_is_not_empty(blank: str) -> None:
    """All such alerts share a group.

    Rules: R-GRP-3
    """
    decision = decided("{{ payload.a }}", {"a": blank})
    assert decision.grouping is Grouping.BY_ID
    assert decision.grouping_key == hashlib.sha256(blank.encode()).digest()


def test_very_long_ids_are_cut_before_hashing() -> None:
    """At 50,000 characters, with two dots: alerts that differ only behind that coincide.

    Rules: R-GRP-5
    """
    linked = program(templates={"groupingId": "{{ payload.a }}"})
    first = linked.evaluate({"a": "x" * 50_000 + "1"}, NOW)
    second = linked.evaluate({"a": "x" * 50_000 + "2"}, NOW)
    assert first.grouping_id == "x" * 50_000 + ".."
    assert first.grouping_key == second.grouping_key
    assert linked.evaluate({"a": "x" * 49_999 + "1"}, NOW).grouping_key != first.grouping_key


@pytest.mark.parametrize("template", ["{{ payload.missing }}", "", None])
def test_an_empty_id_stands_alone(template: str | None) -> None:
    """A group per alert; its signals still act on it."""
    decision = decided(template)
    assert (decision.grouping, decision.grouping_id, decision.grouping_key) == (Grouping.ALONE, "", b"")


def test_a_type_without_default_and_a_type_with_one() -> None:
    """The user's template, if not empty, else the type's."""
    assert decided(None, {"uid": "x"}, type="typed").grouping_id == "x"
    assert decided("", {"uid": "x"}, type="typed").grouping_id == "x"
    assert decided("own", {"uid": "x"}, type="typed").grouping_id == "own"


@pytest.mark.parametrize("template", ["{{ unclosed", "{{ payload.uid / 0 }}", "{{ cycler(1) }}"])
def test_a_failed_template_gives_way_to_the_default_of_the_type(template: str) -> None:
    """And is recorded. Grouping goes on by the type's id, so that a mistake makes no storm of groups."""
    decision = decided(template, {"uid": 7, "state": "ok"}, type="typed")
    assert (decision.grouping, decision.grouping_id, decision.resolve) == (Grouping.BY_ID, "7", True)
    assert [error.slot for error in decision.outcome.errors] == ["groupingId"]


@pytest.mark.parametrize(
    ("slug", "payload"), [("bare", {"uid": 1, "state": "ok"}), ("typed", {"state": "ok"})]
)
def test_without_any_id_failed_alerts_share_one_group(slug: str, payload: dict) -> None:
    """One per route, with a constant key, and source signals have no effect on it."""
    decision = decided("{{ payload.state / 0 }}", payload, type=slug)
    assert decision.grouping is Grouping.FALLBACK
    assert decision.grouping_key == FALLBACK_KEY
    assert (decision.acknowledge, decision.resolve) == (False, False)


def test_a_broken_template_of_the_type_itself() -> None:
    """There is nothing left to group by: one group, no signals."""
    decision = decided(None, {"uid": object(), "state": "ok"}, type="typed")
    assert decision.grouping is Grouping.FALLBACK
    assert decision.resolve is False
    assert [error.slot for error in decision.outcome.errors] == ["groupingId"]


def test_a_demo_alert_stands_alone_and_signals_nothing() -> None:
    """It can neither join nor resolve a real group."""
    linked = program(type="typed")
    for state in ("ok", "ack", "alerting"):
        decision = linked.evaluate({"uid": "x", "state": state}, NOW, demo=True)
        assert (decision.grouping, decision.grouping_key) == (Grouping.ALONE, b"")
        assert (decision.acknowledge, decision.resolve) == (False, False)
        assert decision.outcome.grouping == "alone"


def test_bug_032_a_memory_address_is_never_a_key() -> None:
    """The address of an object differs in every process; the same text sent by a source is kept."""
    linked = program(templates={"groupingId": "{{ cycler(1) }}"})
    assert linked.evaluate({"a": 1}, NOW).grouping is Grouping.FALLBACK
    crash = "<function f at 0x7fdeadbeef00>"
    by_text = program(templates={"groupingId": "{{ payload.text }}"})
    assert by_text.evaluate({"text": crash}, NOW).grouping_id == crash


def test_bug_013_nul_and_lone_surrogates_are_replaced() -> None:
    """In grouping id, title, link and labels: databases and terminals refuse them."""
    linked = program(templates={"groupingId": "{{ payload.a }}", "appearance.web.title": "{{ payload.a }}"})
    decision = linked.evaluate({"a": "x\0y\ud800z"}, NOW)
    assert decision.grouping_id == decision.title == "x\ufffdy\ufffdz"


def test_bug_083_a_large_number_is_exact() -> None:
    """No detour over floating point."""
    assert decided("{{ payload.id }}", {"id": 4711000000000123456}).grouping_id == "4711000000000123456"


def test_bug_019_zero_is_no_empty_id() -> None:
    """0, "" and null are three things."""
    assert decided("{{ payload.ruleId }}", {"ruleId": 0}).grouping_id == "0"


@given(st.text(min_size=1))
def test_equal_ids_mean_equal_keys(value: str) -> None:
    """And a key can always be made, whatever the text."""
    linked = program(templates={"groupingId": "{{ payload.a }}"})
    first, second = (linked.evaluate({"a": value}, NOW) for _ in range(2))
    assert first == second
    assert len(first.grouping_key) == 32
