"""What is stored per alert stays below 4 KiB."""

from __future__ import annotations

import msgspec
from flows import NOW, program, route, rule
from hypothesis import given
from hypothesis import strategies as st

from tocsin.flow.decision import DroppedLabel, Outcome, TemplateError
from tocsin.flow.outcome import OUTCOME_LIMIT, TRUNCATED, bounded

nasty = st.text(alphabet=st.sampled_from('a\n\x01é\U0001f525"\\'), max_size=6000)
outcomes = st.builds(
    Outcome,
    route=st.just("ns/r"),
    title=nasty,
    grouping_id=nasty,
    source_link=nasty,
    errors=st.lists(
        st.builds(TemplateError, slot=st.just("title"), kind=st.just("type"), message=nasty), max_size=30
    ).map(tuple),
    dropped=st.lists(
        st.builds(DroppedLabel, key=nasty, source=st.just("dynamic ns/rule"), reason=st.just("limit")),
        max_size=100,
    ).map(tuple),
    windows=st.lists(st.just("ns/" + "w" * 253), max_size=40).map(tuple),
    notes=st.lists(nasty, max_size=30).map(tuple),
)


@given(outcomes)
def test_never_more_than_4_kib(outcome: Outcome) -> None:
    """Whatever the texts; route and signals are never touched, and what was cut says so."""
    result = bounded(outcome)
    assert len(msgspec.json.encode(result)) <= OUTCOME_LIMIT
    assert (result.route, result.resolve) == (outcome.route, outcome.resolve)
    assert (result == outcome) or TRUNCATED in result.notes


def test_the_longest_text_is_cut_first() -> None:
    """The others stay whole."""
    result = bounded(
        Outcome(
            route="default", title="t" * 400, grouping_id="g" * 50_000, source_link="https://x/" + "y" * 900
        )
    )
    assert (len(result.title), len(result.source_link)) == (400, 910)
    assert result.grouping_id.endswith("..")
    assert result.notes == (TRUNCATED,)


def test_a_link_is_left_out_rather_than_cut() -> None:
    """Half a link leads astray."""
    result = bounded(Outcome(route="default", source_link="https://x/" + "y" * 6000, title="é" * 400))
    assert result.source_link == ""


def test_a_decision_keeps_the_whole_grouping_id() -> None:
    """Only the stored outcome is cut."""
    decision = program(templates={"groupingId": "{{ payload | tojson }}"}).evaluate({"x": "y" * 20_000}, NOW)
    assert len(decision.grouping_id) > 20_000
    assert len(msgspec.json.encode(decision.outcome)) <= OUTCOME_LIMIT


def test_an_alert_full_of_mistakes_fits() -> None:
    """Twenty dropped labels are named and the rest counted."""
    extract = msgspec.json.encode({"k" * 190 + str(number): None for number in range(200)}).decode()
    decision = program(
        rule("l", extract=extract), *(route(f"r{number}", "{{ payload.a / 0 }}") for number in range(50))
    ).evaluate({"a": 1}, NOW)
    assert len(msgspec.json.encode(decision.outcome)) <= OUTCOME_LIMIT
    assert "180 more dropped labels" in decision.outcome.notes
