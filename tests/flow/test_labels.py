"""Where labels come from, which are dropped, and the fifteen that a group gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from flows import NOW, program, rule

from tocsin.flow.decision import DroppedLabel

FALCO = Path(__file__).parents[1] / "payloads/falco/error.json"


def labelled(*rules, payload=None, **fields):
    return program(*rules, **fields).evaluate(payload or {}, NOW)


def test_later_sources_override_earlier_ones() -> None:
    """Integration, static, dynamic of the type, dynamic, extraction; names compare exactly.

    Rules: R-LBL-3
    """
    keys = ("a", "b", "service_name", "d", "e")
    rules = (
        rule("one", static=dict.fromkeys(keys[1:], "static"), dynamic=(("d", "first"), ("d", "second"))),
        rule("two", dynamic={"e": "dynamic"}, extract='{"e": "extracted", "E": "other"}'),
    )
    decision = labelled(
        *rules,
        inherited_labels=tuple((key, "integration") for key in keys),
        type="typed",
        payload={"service": "type"},
    )
    assert decision.labels == {
        "a": "integration",
        "b": "static",
        "service_name": "type",
        "d": "second",
        "e": "extracted",
        "E": "other",
    }


def test_static_labels_of_all_rules_come_before_dynamic_ones() -> None:
    """A static label never hides a templated one, whatever the order of the rules."""
    decision = labelled(rule("one", dynamic={"k": "dynamic"}), rule("two", static={"k": "static"}))
    assert decision.labels == {"k": "dynamic"}


def test_an_inherited_label_reaches_the_group_and_a_kept_back_one_does_not() -> None:
    """`labels` are the integration's own, `inherited_labels` those that it passes down."""
    decision = labelled(labels=(("own", "1"), ("down", "2")), inherited_labels=(("down", "2"),))
    assert decision.kept_labels == (("down", "2"),)


def test_a_dynamic_label_sees_only_the_payload() -> None:
    """Not the labels computed before it.

    Rules: R-LBL-5
    """
    decision = labelled(
        rule("l", static={"a": "x"}, dynamic={"b": "{{ payload.p }}", "c": "{{ labels.a }}"}),
        payload={"p": 1},
    )
    assert decision.labels == {"a": "x", "b": "1"}
    assert decision.outcome.dropped == (DroppedLabel(key="c", source="dynamic ns/l", reason="empty"),)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{{ payload.a / 0 }}", "template-error"),
        ("{{ payload.missing }}", "empty"),
        ("{{ payload.null }}", "none"),
        (" NonE\n", "none"),
        ("{{ payload.long }}", "too-long"),
        ("{{ payload.long[:200] }}", ""),
        (" kept ", ""),
        ("nonesuch", ""),
    ],
)
def test_values_that_are_dropped(template: str, reason: str) -> None:
    """Error, empty, `none`, longer than 200; what is kept is kept as rendered, not trimmed.

    Rules: R-LBL-7
    """
    payload = {"a": 1, "null": None, "long": "x" * 201}
    decision = labelled(rule("l", dynamic={"k": template, "other": "stays"}), payload=payload)
    assert decision.labels["other"] == "stays"
    assert ("k" in decision.labels) == (not reason)
    assert [drop.reason for drop in decision.outcome.dropped] == ([reason] if reason else [])
    assert [error.slot for error in decision.outcome.errors] == (
        ["label k"] if reason == "template-error" else []
    )
    if template == " kept ":
        assert decision.labels["k"] == " kept "


def test_bug_049_fifteen_labels_by_sorted_key() -> None:
    """Whatever the order of rules and keys; capitals come first; every dropped one is named.

    Rules: R-LBL-12
    """
    names = [f"l{number:02}" for number in range(1, 20)]
    shuffled = names[::2] + names[1::2][::-1]
    for order in (shuffled, names[::-1]):
        decision = labelled(
            rule("dynamic", dynamic=dict.fromkeys(order[:10], "x")),
            rule("extracted", extract=json.dumps(dict.fromkeys(order[10:], "x") | {"Zone": "x"})),
        )
        assert [key for key, _ in decision.kept_labels] == ["Zone", *names[:14]]
        assert [(drop.key, drop.reason) for drop in decision.outcome.dropped] == [
            (key, "limit") for key in names[14:]
        ]


def test_the_limit_does_not_ask_for_the_source() -> None:
    """A label of the integration loses against fifteen extracted ones that sort earlier.

    Rules: R-LBL-13
    """
    extracted = {f"a{number:02}": "x" for number in range(15)}
    decision = labelled(rule("l", extract=json.dumps(extracted)), inherited_labels=(("zone", "eu"),))
    assert "zone" not in dict(decision.kept_labels)
    fixed = labelled(rule("l", static=extracted), inherited_labels=(("zone", "eu"),))
    assert fixed.kept_labels == decision.kept_labels
    assert fixed.outcome.dropped == (DroppedLabel(key="zone", source="", reason="limit"),)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ('"text"', "text"),
        ("5", "5"),
        ("-0", "0"),
        ("1.5", "1.5"),
        ("true", "True"),
        ("false", "False"),
        ("4711000000000123456789012345", "4711000000000123456789012345"),
        ("9223372036854775807", "9223372036854775807"),
        ('"\\u0000x\\ud800"', "\ufffdx\ufffd"),
        ("null", None),
        ("[]", None),
        ("{}", None),
        ("NaN", None),
        ('""', None),
        ('"None"', None),
        ('"' + "x" * 201 + '"', None),
        ("1" * 201, None),
        ("1" * 5000, None),
    ],
)
def test_values_of_an_extraction(value: str, kept: str | None) -> None:
    """Text, integers, floats and booleans become text as Python writes it; one bad pair harms no other.

    Rules: R-LBL-10
    """
    decision = labelled(
        rule("l", extract=f'{{"k": {value}, "other": "stays", "": "no", "{"y" * 201}": "no"}}')
    )
    assert decision.labels.get("k") == kept
    assert decision.labels["other"] == "stays"
    assert set(decision.labels) <= {"k", "other"}
    assert {drop.reason for drop in decision.outcome.dropped} >= {"empty-key", "too-long"}


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("[1]", "not-an-object"),
        ("5", "not-an-object"),
        ('"text"', "not-an-object"),
        ("null", "not-an-object"),
        ("{# nothing #}", "not-an-object"),
        ("{'single': 'quotes'}", "not-an-object"),
        ("{{ payload.deep }}", "not-an-object"),
        ("{{ payload.x / 0 }}", "template-error"),
        ("{{ unclosed", "template-error"),
    ],
)
def test_an_extraction_that_gives_no_object(template: str, reason: str) -> None:
    """No labels from this rule, the others stay, and the alert says so."""
    decision = labelled(
        rule("bad", extract=template),
        rule("good", extract='{"a": "b"}'),
        payload={"x": 1, "deep": '{"a":' * 5000},
    )
    assert decision.labels == {"a": "b"}
    assert decision.outcome.dropped == (DroppedLabel(key="", source="extract ns/bad", reason=reason),)


def test_a_key_that_occurs_twice() -> None:
    """The last value counts, as in every JSON reader."""
    assert labelled(rule("l", extract='{"k": 1, "k": 2}')).labels == {"k": "2"}


def test_bug_051_label_names_that_others_refuse() -> None:
    """Brackets and dots stay, null is dropped, a 19-digit integer is exact; the alert is never lost."""
    payload = json.loads(FALCO.read_text())
    decision = labelled(rule("l", extract="{{ payload.output_fields | tojson }}"), payload=payload)
    fields = payload["output_fields"]
    assert decision.labels == {
        key: str(value) for key, value in fields.items() if value is not None and len(str(value)) <= 200
    }
    assert any("[" in key for key in decision.labels)
    assert any(value.isdigit() and len(value) == 19 for value in decision.labels.values())


def test_labels_that_nobody_asked_for_are_not_missed() -> None:
    """A type's own label that comes out empty is no loss worth recording."""
    decision = labelled(type="typed", payload={"uid": "x"})
    assert decision.labels == {}
    assert decision.outcome.dropped == ()


def test_demo_alerts_are_labelled_like_others() -> None:
    """The same rules apply."""
    linked = program(rule("l", dynamic={"k": "{{ payload.v }}"}))
    assert linked.evaluate({"v": 1}, NOW, demo=True).labels == {"k": "1"}
