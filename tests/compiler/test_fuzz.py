"""A hundred bad manifests among good ones: the good ones do not notice, and each bad one says where it is bad."""

from __future__ import annotations

import copy
import random
from typing import Any

import msgspec
import pytest
from compiler_cases import NOW, inventory_of

from tocsin.api.common import Identity, Metadata
from tocsin.api.objects import InvalidObject, parse_object
from tocsin.flow.compiler import compile_flow
from tocsin.flow.inventory import Inventory
from tocsin.flow.status import PROGRAMMED, Circumstances, status_of
from tocsin.sources import load_types

SPECS: dict[str, dict[str, Any]] = {
    "Integration": {
        "type": "webhook",
        "templates": {"groupingId": "{{ payload.id }}", "appearance": {"web": {"title": "{{ payload.t }}"}}},
        "labels": [{"key": "tier", "value": "gold"}],
        "heartbeat": {"interval": "5m"},
        "redact": ["user.password"],
    },
    "AlertRoute": {
        "parentRefs": [{"name": "good"}],
        "match": {
            "template": "{{ payload.a }}",
            "labels": [{"key": "k", "operator": "=~", "value": "v.*"}],
            "regex": "disk.*full",
        },
    },
    "AlertTemplate": {"templates": {"resolve": "{{ payload.ok }}"}},
    "LabelRule": {
        "integrationRefs": [{"name": "good"}],
        "static": [{"key": "a", "value": "b"}],
        "dynamic": [{"key": "c", "template": "{{ payload.c }}"}],
    },
    "MaintenanceWindow": {
        "mode": "Debug",
        "integrationRefs": [{"name": "good"}],
        "schedule": {
            "start": "2026-08-01T10:00",
            "duration": "1h",
            "timeZone": "Europe/Berlin",
            "recurrence": "FREQ=DAILY",
        },
        "announce": {"atStart": True, "chatops": [{"channelRef": {"name": "sound"}}]},
    },
    "EscalationChain": {
        "steps": [
            {"notifyChannel": {"channelRef": {"name": "sound"}}},
            {"notifyOnCall": {"scheduleRef": {"name": "sound"}, "importance": "Important"}},
            {"wait": {"duration": "5m"}},
            {"continueInTimeWindow": {"from": "08:00", "to": "20:00", "timeZone": "Europe/Berlin"}},
            {"continueIfMoreAlerts": {"moreThan": 3, "within": "10m"}},
            {"notifyNextResponder": {"responderRefs": [{"name": "sound"}]}},
            {"notifyTeam": {"name": "sre"}},
            {"triggerWebhook": {"webhookRef": {"name": "sound"}}},
            {"repeat": {"times": 2}},
            {"resolve": {}},
        ],
        "team": "sre",
        "acknowledgeReminder": {"every": "1h", "unacknowledgeAfter": "15m"},
    },
    "NotificationChannel": {
        "email": {"host": "mail.example.com", "from": "a@example.com", "to": ["b@example.com"]},
        "fallbackRef": {"name": "last"},
    },
    "OutgoingWebhook": {
        "triggers": ["Resolve"],
        "url": "https://example.com/{{ alert_group_id }}",
        "headers": {"X-State": "{{ event.type }}"},
        "body": "{{ alert_payload | tojson }}",
        "condition": "{{ event.type == 'resolve' }}",
        "integrationRefs": [{"name": "good"}],
        "timeout": "10s",
    },
    "Responder": {
        "email": "ada@example.com",
        "timeZone": "Europe/Berlin",
        "teams": ["sre"],
        "contacts": [{"name": "mail", "channelRef": {"name": "sound"}}],
        "rules": {"default": [{"notify": "mail"}, {"wait": "5m"}, {"notify": "mail"}]},
    },
    "OnCallSchedule": {
        "timeZone": "Europe/Berlin",
        "layers": [
            {
                "name": "weekly",
                "start": "2026-01-05T09:00",
                "rotation": {"frequency": "Weekly", "interval": 1},
                "participants": [{"responderRefs": [{"name": "sound"}]}],
            }
        ],
        "overrides": [
            {
                "start": "2026-08-01T09:00",
                "end": "2026-08-02T09:00",
                "responderRefs": [{"name": "sound"}],
            }
        ],
    },
}
LAST = {"email": {"host": "mail.example.com", "from": "a@example.com", "to": ["c@example.com"]}}
"""The channel that the others fall back to."""
BAD_VALUES: tuple[Any, ...] = (
    None,
    7,
    -1,
    True,
    "",
    [],
    {},
    "{{ unclosed",
    "{% bad %}",
    "[",
    "(",
    "x" * 70_000,
    ["x"],
    {"x": 1},
)
"""None of these may stand anywhere in the specs above without being wrong; the test checks that each was reported."""


def manifest(kind: str, namespace: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": copy.deepcopy(spec),
    }


def good_manifests() -> list[dict[str, Any]]:
    made = [manifest("Integration", ns, "good", SPECS["Integration"]) for ns in ("a", "b")]
    made += [manifest("NotificationChannel", ns, "last", LAST) for ns in ("a", "b")]
    made += [
        manifest(kind, ns, "sound", SPECS[kind])
        for kind in SPECS
        if kind != "Integration"
        for ns in ("a", "b")
    ]
    return made


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a spec that a mutation can hit."""
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in items:
        found += places(child, (*path, key))
    return found


def mutated(random_: random.Random, number: int) -> dict[str, Any]:
    """A manifest with one field replaced, removed, or added."""
    kind = random_.choice(sorted(SPECS))
    made = manifest(kind, random_.choice("ab"), f"bad-{number}", SPECS[kind])
    at = random_.choice(places(made["spec"]))
    parent: Any = made["spec"]
    for step in at[:-1]:
        parent = parent[step]
    if random_.random() < 0.2:
        target = parent if isinstance(parent, dict) else made["spec"]
        target["unknownField"] = "x"
    else:
        parent[at[-1]] = random_.choice(BAD_VALUES)
    return made


def declare(manifests: list[dict[str, Any]]) -> Inventory:
    draft = Inventory().draft()
    for value in manifests:
        try:
            draft.put(parse_object(value))
        except InvalidObject as invalid:
            draft.refuse(value["kind"], msgspec.convert(value["metadata"], Metadata), invalid.findings)
    return draft.finish()


@pytest.mark.parametrize("seed", range(10))
def test_bad_manifests_harm_nobody_else(seed: int) -> None:
    """Fragments and readiness of good objects are the same with and without a hundred bad ones beside them."""
    random_ = random.Random(seed)
    good = good_manifests()
    alone = compile_flow(declare(good), types=load_types(), now=NOW)
    bad: list[dict[str, Any]] = []
    while len(bad) < 100:
        candidate = mutated(random_, len(bad))
        if is_bad(candidate):
            bad.append(candidate)
    mixed = good + bad
    random_.shuffle(mixed)
    together = compile_flow(declare(mixed), types=load_types(), now=NOW)

    for identity in alone.reports:
        assert ready(together, identity) == ready(alone, identity) == "True", identity
        assert without_attachments(together.flow.fragment(identity)) == without_attachments(
            alone.flow.fragment(identity)
        )
    for value in bad:
        identity = Identity(value["kind"], value["metadata"]["namespace"], value["metadata"]["name"])
        report = together.reports[identity]
        assert any(finding.field.startswith("spec") for finding in report.findings), (value, report)
        assert all(finding.message and finding.reason for finding in report.findings)


def is_bad(value: dict[str, Any]) -> bool:
    """Whether the mutation broke anything: some, such as an empty title, are as good as before."""
    inventory = declare([*good_manifests(), value])
    compiled = compile_flow(inventory, types=load_types(), now=NOW)
    identity = Identity(value["kind"], value["metadata"]["namespace"], value["metadata"]["name"])
    return ready(compiled, identity) != "True"


def ready(compiled, identity: Identity) -> str:
    status = status_of(compiled.reports[identity], Circumstances(now=NOW, programming=PROGRAMMED))
    return next(c.status.value for c in status.conditions if c.type == "Ready")


def without_attachments(fragment):
    """Bad objects that work in part are attached, too: their names are no harm to the fragment."""
    if fragment is None or not hasattr(fragment, "routes"):
        return fragment
    keep = lambda names: tuple(name for name in names if not name.split("/")[1].startswith("bad-"))  # noqa: E731
    return msgspec.structs.replace(
        fragment,
        routes=keep(fragment.routes),
        label_rules=keep(fragment.label_rules),
        windows=keep(fragment.windows),
    )


def test_one_bad_object_does_not_stop_changes_elsewhere() -> None:
    """A route with an unclosed template in b; a change to a route in a is compiled as if b were in order (BUG-054)."""
    good = """
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: web, namespace: a}
spec: {type: webhook}
---
apiVersion: tocsin.dev/v1alpha1
kind: AlertRoute
metadata: {name: all, namespace: a}
spec: {parentRefs: [{name: web}], match: {template: '{{ payload.kind == "%s" }}'}}
"""
    bad = """---
apiVersion: tocsin.dev/v1alpha1
kind: AlertRoute
metadata: {name: broken, namespace: b}
spec: {parentRefs: [{name: web}], match: {template: '{{ unclosed'}}
"""
    before = compile_flow(inventory_of(good % "x" + bad), types=load_types(), now=NOW)
    after = compile_flow(inventory_of(good % "y" + bad), types=load_types(), now=NOW, previous=before)
    alone = compile_flow(inventory_of(good % "y"), types=load_types(), now=NOW)
    for identity, digest in alone.flow.manifest.items():
        assert after.flow.manifest[identity] == digest
    assert after.changed == {Identity("AlertRoute", "a", "all")}
    broken = after.reports[Identity("AlertRoute", "b", "broken")]
    finding = next(f for f in broken.findings if f.reason == "InvalidTemplate")
    assert (finding.field, finding.line) == ("spec.match.template", 1)
