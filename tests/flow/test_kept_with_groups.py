"""Decisions on a real store: what a group keeps of its first alert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from flows import NOW, TYPES, flow_of, integration, route, rule

from tocsin.flow.model import Flow
from tocsin.flow.program import IntegrationProgram, link
from tocsin.store import KeyRing, Store, groups, revisions
from tocsin.store.arrivals import Arrival, Stored


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/groups.db", keys=KeyRing((b"k" * 32,)))
    yield opened
    await opened.close()


async def published(store: Store, flow: Flow) -> IntegrationProgram:
    await store.write(lambda connection: revisions.publish(connection, flow, 1))
    (linked,) = link(flow, types=TYPES).integrations.values()
    return linked


async def sent(store: Store, flow: Flow, payload: dict) -> Stored:
    linked = await published(store, flow)
    arrival = Arrival(
        integration=linked.identity,
        decision=linked.evaluate(payload, NOW),
        payload=b"{}",
        received_at=NOW,
        now=NOW,
        manifest=flow.digest,
    )
    (stored,) = await store.ingest((arrival,))
    return stored


async def group_of(store: Store, stored: Stored) -> groups.AlertGroup:
    found = await store.read(lambda connection: groups.get(connection, stored.number))
    assert found is not None
    return found


def declared(*attached) -> Flow:
    fragment, parts = integration(*attached, templates={"groupingId": "{{ payload.id }}"})
    return flow_of(fragment, *parts)


async def test_labels_come_from_the_first_alert(store: Store) -> None:
    """Later alerts of the group change none and add none.

    Rules: R-LBL-14
    """
    flow = declared(
        rule("l", dynamic={"severity": "{{ payload.severity }}"}, extract="{{ payload.labels | tojson }}")
    )
    first = await sent(store, flow, {"id": "x", "severity": "warning", "labels": {"a": "1"}})
    second = await sent(store, flow, {"id": "x", "severity": "critical", "labels": {"z1": "2"}})
    assert second.alert_group_id == first.alert_group_id
    assert (await group_of(store, first)).labels == (("a", "1"), ("severity", "warning"))


async def test_labels_are_history(store: Store) -> None:
    """Renaming or deleting a label later changes no group that has it.

    Rules: R-LBL-15
    """
    first = await sent(store, declared(rule("l", static={"team": "core"})), {"id": "x"})
    renamed = await sent(store, declared(rule("l", static={"squad": "core"})), {"id": "y"})
    await sent(store, declared(), {"id": "x"})
    assert (await group_of(store, first)).labels == (("team", "core"),)
    assert (await group_of(store, renamed)).labels == (("squad", "core"),)


async def test_a_group_keeps_its_route(store: Store) -> None:
    """Editing the route moves no group; deleting it leaves the group with the route's name."""
    first = await sent(store, declared(route("r", "true")), {"id": "x"})
    for flow in (declared(route("r", "false")), declared()):
        later = await sent(store, flow, {"id": "x"})
        assert later.alert_group_id != first.alert_group_id
        assert (await group_of(store, first)).route == "ns/r"
        assert (await group_of(store, later)).route == "default"
