"""Linking a flow, and linking it again after a change."""

from __future__ import annotations

from dataclasses import fields as fields_of
from dataclasses import replace as with_fields
from typing import Any

import pytest
from flows import NOW, TYPES, flow_of, route, rule, text, window
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tocsin.api.common import Identity, KeyRef
from tocsin.api.notificationchannel import ChannelTarget, DiscordChannel
from tocsin.flow.model import (
    EMPTY_FLOW,
    AnyFragment,
    ChainFragment,
    ChannelFragment,
    Flow,
    HeartbeatFragment,
    IntegrationFragment,
    ResponderFragment,
    ScheduleFragment,
    WebhookFragment,
)
from tocsin.flow.program import Program, link
from tocsin.flow.targets import NO_TARGETS, Targets


def entry(name: str, **fields: Any) -> IntegrationFragment:
    return IntegrationFragment(namespace="ns", name=name, type="typed", **fields)


def identity(name: str) -> Identity:
    return Identity("Integration", "ns", name)


def linked(*fragments: AnyFragment, previous: Program | None = None) -> Program:
    return link(flow_of(*fragments), types=TYPES, previous=previous)


def test_an_empty_flow() -> None:
    """Links to a program without integrations, of the same digest."""
    program = link(EMPTY_FLOW, types=TYPES)
    assert (program.digest, dict(program.integrations)) == (EMPTY_FLOW.digest, {})


def test_what_a_program_knows_of_an_integration() -> None:
    """Identity, fragment, type, public id."""
    program = linked(entry("it")).integrations[identity("it")]
    assert program.identity == identity("it")
    assert program.fragment == entry("it")
    assert program.type is TYPES["typed"]
    assert program.public_id.startswith("C")
    assert len(program.public_id) == 13


def test_a_changed_route_relinks_only_its_integrations() -> None:
    """Everything else is the same object."""
    parts = [route("r1", "false"), route("r2", "false"), route("r3", "true"), rule("l"), window("w")]
    a = entry("a", routes=("ns/r1", "ns/r3"), label_rules=("ns/l",))
    b = entry("b", routes=("ns/r2", "ns/r3"), windows=("ns/w",))
    before = linked(a, b, *parts)
    after = linked(a, b, route("r1", "true"), *parts[1:], previous=before)
    assert after.integrations[identity("b")] is before.integrations[identity("b")]
    assert before.integrations[identity("a")].evaluate({}, NOW).route == "ns/r3"
    assert after.integrations[identity("a")].evaluate({}, NOW).route == "ns/r1"
    old, new = (program.integrations[identity("a")].evaluator.routes.routes for program in (before, after))
    assert new[1] is old[1]


@pytest.mark.parametrize(
    "changed", [rule("l", static={"k": "new"}), window("w", mode="Debug"), route("hb", "true")]
)
def test_other_parts_relink_their_integrations(changed: AnyFragment) -> None:
    """Label rules, windows, and the route of a heartbeat; the route table stays."""
    parts = {
        part.identity: part for part in (rule("l"), window("w"), route("hb", "false"), route("r1", "true"))
    }
    beat = HeartbeatFragment(interval=60_000_000, route="ns/hb")
    it = entry("a", label_rules=("ns/l",), windows=("ns/w",), routes=("ns/r1",), heartbeat=beat)
    other = entry("b")
    before = linked(it, other, *parts.values())
    after = linked(it, other, *(parts | {changed.identity: changed}).values(), previous=before)
    old, new = before.integrations[identity("a")], after.integrations[identity("a")]
    assert new is not old
    assert new.evaluator.routes is old.evaluator.routes
    assert after.integrations[identity("b")] is before.integrations[identity("b")]


def test_an_object_that_goes_and_comes_back() -> None:
    """A dangling reference is left out; when the object is there again it counts again."""
    it = entry("a", routes=("ns/r1", "ns/r2"))
    first, second = route("r1", "true"), route("r2", "true")
    whole = linked(it, first, second)
    without = linked(it, second, previous=whole)
    again = linked(it, first, second, previous=without)
    routes = [
        program.integrations[identity("a")].evaluate({}, NOW).route for program in (whole, without, again)
    ]
    assert routes == ["ns/r1", "ns/r2", "ns/r1"]
    gone = linked(first, second, previous=again)
    assert dict(gone.integrations) == {}


def test_an_unknown_type_still_takes_alerts() -> None:
    """The compiler refuses it; if one slips through, nothing is lost."""
    program = linked(replace(entry("a"), type="nope"))
    assert program.integrations[identity("a")].evaluate({}, NOW).title == "Alert"


def test_other_types_relink_everything() -> None:
    """Defaults are looked up live, not copied into integrations."""
    before = linked(entry("a"))
    types = TYPES | {"typed": replace(TYPES["typed"], fallback_title="New")}
    after = link(flow_of(entry("a")), types=types, previous=before)
    assert after.integrations[identity("a")].evaluate({}, NOW).title == "New"


def test_equal_templates_are_parsed_once() -> None:
    """Thousands of integrations of one type share them."""
    own = {"groupingId": text("{{ payload.shared_by_all }}")}
    program = linked(*(entry(f"i{number}", templates=own) for number in range(3)))
    groupings = {id(p.evaluator.behaviour.grouping.render.__self__) for p in program.integrations.values()}
    assert len(groupings) == 1


def person(name: str, *teams: str, namespace: str = "ns", **fields: Any) -> ResponderFragment:
    return ResponderFragment(
        namespace=namespace, name=name, display_name=name, username=name, teams=teams, **fields
    )


def discord(name: str, **fields: Any) -> ChannelFragment:
    target = ChannelTarget(discord=DiscordChannel(url_secret_ref=KeyRef(name="s", key="url")))
    return ChannelFragment(namespace="ns", name=name, target=target, **fields)


def test_targets_of_a_program() -> None:
    """Whom the flow can tell, by `namespace/name`; teams are those of their namespace."""
    chain, channel = ChainFragment(namespace="ns", name="c"), discord("d")
    webhook = WebhookFragment(namespace="ns", name="w", triggers=("Escalation",))
    schedule = ScheduleFragment(namespace="ns", name="s")
    people = [person("eve", "sre"), person("ada", "sre", "db"), person("bob", "sre", namespace="other")]
    targets = linked(chain, channel, webhook, schedule, *people).targets
    assert dict(targets.chains) == {"ns/c": chain}
    assert dict(targets.channels) == {"ns/d": channel}
    assert dict(targets.webhooks) == {"ns/w": webhook}
    assert dict(targets.schedules) == {"ns/s": schedule}
    assert dict(targets.responders) == {f"{p.namespace}/{p.name}": p for p in people}
    assert dict(targets.teams) == {
        ("ns", "sre"): ("ns/ada", "ns/eve"),
        ("ns", "db"): ("ns/ada",),
        ("other", "sre"): ("other/bob",),
    }
    assert linked().targets is NO_TARGETS


def test_a_changed_responder_relinks_no_integration() -> None:
    """Nor does it copy what is of another kind; what was linked before keeps what it had."""
    it, chain = entry("a"), ChainFragment(namespace="ns", name="c")
    before = linked(it, chain, person("ada", "sre"), person("eve", "sre"))
    after = linked(it, chain, person("ada", "db"), person("eve", "sre"), previous=before)
    assert after.integrations[identity("a")] is before.integrations[identity("a")]
    assert after.targets.chains is before.targets.chains
    assert after.targets.responders["ns/eve"] is before.targets.responders["ns/eve"]
    assert dict(before.targets.teams) == {("ns", "sre"): ("ns/ada", "ns/eve")}
    assert dict(after.targets.teams) == {("ns", "sre"): ("ns/eve",), ("ns", "db"): ("ns/ada",)}
    other = linked(replace(it, title="New"), chain, person("ada", "db"), person("eve", "sre"), previous=after)
    assert other.targets is after.targets


NAMES = ("a", "b", "c")
fragments = st.lists(
    st.one_of(
        st.builds(
            route, st.sampled_from(NAMES), st.sampled_from(["true", "false", '{{ payload.x == "1" }}'])
        ),
        st.builds(
            lambda name, value: rule(name, static={"k": value}),
            st.sampled_from(NAMES),
            st.sampled_from(NAMES),
        ),
        st.builds(person, st.sampled_from(NAMES), st.sampled_from(NAMES), email=st.sampled_from(NAMES)),
        st.builds(discord, st.sampled_from(NAMES), send_resolved=st.booleans()),
        st.builds(window, st.sampled_from(NAMES), mode=st.sampled_from(["Debug", "Maintenance"])),
        st.builds(
            entry,
            st.sampled_from(NAMES),
            title=st.sampled_from(NAMES),
            routes=st.lists(st.sampled_from([f"ns/{name}" for name in NAMES]), unique=True).map(tuple),
            label_rules=st.lists(st.sampled_from([f"ns/{name}" for name in NAMES]), unique=True).map(tuple),
            windows=st.lists(st.sampled_from([f"ns/{name}" for name in NAMES]), unique=True).map(tuple),
        ),
    ),
    max_size=12,
    unique_by=lambda fragment: fragment.identity,
)


def told(targets: Targets) -> dict[str, Any]:
    return {field.name: dict(getattr(targets, field.name)) for field in fields_of(Targets)}


def decisions(program: Program) -> dict[Identity, Any]:
    return {
        identity: (entry.fragment, [entry.evaluate(payload, NOW) for payload in ({}, {"x": "1"}, {"x": [1]})])
        for identity, entry in program.integrations.items()
    }


@settings(deadline=None, max_examples=60)
@given(st.lists(fragments, min_size=2, max_size=4))
def test_linking_step_by_step_equals_linking_at_once(steps: list[list[AnyFragment]]) -> None:
    """Whatever is added, changed and removed in between."""
    previous: Program | None = None
    for step in steps:
        flow: Flow = flow_of(*step)
        previous = link(flow, types=TYPES, previous=previous)
        at_once = link(flow, types=TYPES)
        assert decisions(previous) == decisions(at_once)
        assert told(previous.targets) == told(at_once.targets)
        assert previous.digest == flow.digest


def test_an_older_program_is_not_changed_by_a_later_link() -> None:
    """Alerts in flight are decided by the program they started with."""
    it = entry("a", routes=("ns/r1",))
    before = linked(it, route("r1", "true"))
    held = before.integrations[identity("a")]
    linked(entry("b"), previous=linked(replace(it, routes=()), previous=before))
    assert before.integrations[identity("a")] is held
    assert held.evaluate({}, NOW).route == "ns/r1"
    assert with_fields(before, digest=before.digest).integrations is before.integrations
