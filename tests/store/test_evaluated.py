"""From payload to group: conditions as the evaluator reads them, and what the store makes of them."""

from __future__ import annotations

from typing import Any

import pytest
from storing import all_groups, at, flow, group, kinds

from tocsin.flow.groups import Action, State, Verb
from tocsin.flow.model import Flow, IntegrationFragment, TemplateText, digest_of, encode_fragment
from tocsin.flow.program import IntegrationProgram, link
from tocsin.sources.model import SourceType
from tocsin.store import Arrival, Store, Stored, actions

TYPES = {"webhook": SourceType(slug="webhook", title="Webhook", description="", fallback_title="Alert")}


def linked(*, source_resolve: bool = True) -> IntegrationProgram:
    """An Integration whose payloads say everything themselves."""
    templates = {
        slot: TemplateText(text=f"{{{{ payload.{key} }}}}")
        for slot, key in (
            ("groupingId", "id"),
            ("acknowledge", "ack"),
            ("resolve", "ok"),
            ("appearance.web.title", "t"),
        )
    }
    fragment = IntegrationFragment(
        namespace="shop", name="web", type="webhook", templates=templates, source_resolve=source_resolve
    )
    digest = digest_of(encode_fragment(fragment))
    made = Flow(manifest={fragment.identity: digest}, fragments={digest: fragment}, digest=flow("web").digest)
    return link(made, types=TYPES).integrations[fragment.identity]


async def receive(store: Store, program: IntegrationProgram, seconds: float, **payload: Any) -> Stored:
    now = at(seconds)
    decision = program.evaluate({"id": "cpu", "t": "CPU", "ack": "", "ok": "", **payload}, now)
    arrival = Arrival(
        integration=program.identity,
        decision=decision,
        payload=b"{}",
        received_at=now,
        now=now,
        manifest=flow("web").digest,
    )
    (stored,) = await store.ingest((arrival,))
    return stored


@pytest.mark.parametrize(
    ("text", "holds"),
    [("True", True), ("1", True), (" OK\n", True), ("tRuE", True), ("yes", False), ("0", False), ("", False)],
)
async def test_what_counts_as_a_signal(sqlite_store: Store, text: str, holds: bool) -> None:
    """`true`, `1` and `ok`, trimmed and in any case; a condition that fails is false.

    Rules: R-SIG-1
    """
    program = linked()
    await receive(sqlite_store, program, 0)
    acknowledged = await receive(sqlite_store, program, 1, ack=text)
    assert acknowledged.state is (State.ACKNOWLEDGED if holds else State.FIRING)
    resolved = await receive(sqlite_store, program, 2, ok=text)
    assert (resolved.state is State.RESOLVED) == holds
    failing = IntegrationFragment(
        namespace="shop",
        name="broken",
        type="webhook",
        templates={"resolve": TemplateText(text="{{ payload.id + 1 }}")},
    )
    digest = digest_of(encode_fragment(failing))
    broken = Flow(manifest={failing.identity: digest}, fragments={digest: failing}, digest=digest)
    stored = await receive(sqlite_store, link(broken, types=TYPES).integrations[failing.identity], 3)
    assert stored.state is State.FIRING


async def test_an_integration_that_ignores_its_source(store: Store) -> None:
    """The condition is evaluated and kept, but resolves nothing; after a manual resolve it opens a firing group.

    Rules: R-GRP-10
    """
    program = linked(source_resolve=False)
    first = await receive(store, program, 0)
    assert (await receive(store, program, 1, ok="1")).state is State.FIRING
    by_hand = Action(verb=Verb.RESOLVE, at=at(2))
    await store.write(lambda c: actions.act(c, first.number, by_hand))
    again = await receive(store, program, 3, ok="1")
    assert (again.created, again.state) == (True, State.FIRING)
    assert await kinds(store, again.number) == ["REGISTERED", "ROUTE_ASSIGNED"]


async def test_a_resolve_without_a_title_leaves_the_group_its_own(store: Store) -> None:
    """Title and labels stay those of the opening alert (BUG-047)."""
    program = linked()
    first = await receive(store, program, 0, t="Disk full")
    await receive(store, program, 1, t="", ok="true")
    found = await group(store, first.number)
    assert (found.title, found.state) == ("Disk full", State.RESOLVED)


async def test_keys_are_opaque(store: Store) -> None:
    """Two spellings of one sender's key are two groups; the stale one shows when it was last heard of (BUG-034)."""
    program = linked()
    await receive(store, program, 0, id='{}/{a="1",b="2"}:{alertname="X"}')
    await receive(store, program, 60, id='{}/{b="2",a="1"}:{alertname="X"}')
    await receive(store, program, 120, id='{}/{b="2",a="1"}:{alertname="X"}', ok="true")
    groups = await all_groups(store)
    assert [(one.state, one.last_alert_at) for one in groups] == [
        (State.FIRING, at(0)),
        (State.RESOLVED, at(120)),
    ]
