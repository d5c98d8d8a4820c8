"""The kinds that say who is told, on a real API server: what people type and what they see."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cluster_world import Operated, World, declared, until

from tocsin.api.crds import load_crds

Start = Callable[..., Operated]
EXAMPLE = Path(__file__).parents[2] / "examples" / "oncall"
TELLING = ("EscalationChain", "NotificationChannel", "OnCallSchedule", "OutgoingWebhook", "Responder")


def table(world: World, kind: str) -> dict[str, dict[str, str]]:
    """What `kubectl get` prints, as rows by name. No cell of these kinds holds two blanks."""
    head, *rows = world.kubectl("get", kind).splitlines()
    columns = head.split()
    starts = [head.index(column) for column in columns]
    cut = [[row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)] for row in rows]
    return {cells[0]: dict(zip(columns[1:], cells[1:], strict=True)) for cells in cut}


def some(row: dict[str, str], *columns: str) -> tuple[str, ...]:
    return tuple(row[column] for column in columns)


def test_the_example_is_ready_as_it_is(world: World, tocsin: Start) -> None:
    """One `kubectl apply -f`, in the order of file names; every object becomes ready and its columns say what it is."""
    tocsin()
    world.kubectl("apply", "-f", str(EXAMPLE))
    names = world.kubectl("get", "tocsin", "-o", "name").split()
    assert {name.partition(".")[0] for name in names} >= {kind.lower() for kind in TELLING}
    world.wait_ready(*names)
    assert some(table(world, "echain")["page-somebody"], "STEPS", "USED-BY", "READY") == ("8", "1", "True")
    assert some(table(world, "nchan")["platform-alerts"], "TYPE", "READY", "FAILING") == ("slack", "True", "")
    assert some(table(world, "nchan")["mail"], "TYPE", "READY") == ("email", "True")
    assert some(table(world, "resp")["ann"], "TEAMS", "CONTACTS", "READY") == ('["platform"]', "2", "True")
    assert some(table(world, "ohook")["ticket"], "METHOD", "STATUS", "READY") == ("POST", "", "True")
    schedule = table(world, "oncall")["platform"]
    assert schedule["ON-CALL"] in {f'["{world.namespace}/{name}"]' for name in ("ann", "bob")}
    assert schedule["NEXT-HANDOVER"].endswith("Z")


def test_a_reference_that_dangles_is_said_until_it_leads_somewhere(world: World, tocsin: Start) -> None:
    """Chain, responder, channel and Secret in the wrong order: each waits for what it names, and nothing is retried by hand."""
    tocsin()
    step = {"notifyResponders": {"responderRefs": [{"name": "ann"}]}}
    world.apply(declared("EscalationChain", "page", {"steps": [step]}))
    until(lambda: world.condition("echain", "page", "ResolvedRefs") == ("False", "RefNotFound"))
    contact: dict[str, Any] = {"name": "team", "channelRef": {"name": "team"}}
    world.apply(declared("Responder", "ann", {"contacts": [contact]}))
    world.wait_ready("escalationchain/page")
    until(lambda: world.condition("resp", "ann", "ResolvedRefs") == ("False", "RefNotFound"))
    channel = {"discord": {"urlSecretRef": {"name": "discord", "key": "url"}}}
    world.apply(declared("NotificationChannel", "team", channel))
    world.wait_ready("responder/ann")
    until(lambda: world.condition("nchan", "team", "ResolvedRefs") == ("False", "RefNotFound"))
    world.kubectl(
        "create", "secret", "generic", "discord", "--from-literal=url=https://discord.com/api/webhooks/1/x"
    )
    world.kubectl("label", "secret", "discord", "tocsin.dev/watch=true")
    world.wait_ready("notificationchannel/team")


@pytest.mark.parametrize("kind", TELLING)
def test_kubectl_explains_every_field(world: World, kind: str) -> None:
    """No field of a spec without a sentence."""
    crd = load_crds()[kind]
    told = world.kubectl("explain", f"{crd.plural}.spec")
    for name in crd.schema["properties"]["spec"]["properties"]:
        assert f"  {name}\t<" in told
    assert "<no description>" not in told
