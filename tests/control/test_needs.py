"""What is read for an object, and which credentials its fragment names, are the same."""

from __future__ import annotations

from typing import Any

import pytest

from tocsin.api.common import Identity
from tocsin.api.objects import parse_object
from tocsin.control.needs import needs_of
from tocsin.flow.compiler import compile_flow
from tocsin.flow.inventory import Inventory, identity_of
from tocsin.flow.model import Micros
from tocsin.flow.secrets import secret_keys
from tocsin.sources import load_types


def ref(name: str) -> dict[str, str]:
    return {"name": name, "key": "k"}


SPECS: dict[str, tuple[str, dict[str, Any], set[str]]] = {
    "basic authentication": (
        "Integration",
        {
            "type": "webhook",
            "auth": {
                "mode": "Basic",
                "basic": {"usernameSecretRef": ref("u"), "passwordSecretRef": ref("p")},
            },
        },
        {"u", "p"},
    ),
    "slack": (
        "NotificationChannel",
        {"slack": {"tokenSecretRef": ref("t"), "signingSecretRef": ref("s"), "channel": "#a"}},
        {"t", "s"},
    ),
    "webhook channel": (
        "NotificationChannel",
        {"webhook": {"urlSecretRef": ref("u"), "bearerSecretRef": ref("b"), "hmacSecretRef": ref("h")}},
        {"u", "b", "h"},
    ),
    "outgoing webhook": (
        "OutgoingWebhook",
        {
            "triggers": ["Resolve"],
            "urlSecretRef": ref("u"),
            "secretHeaders": [{"name": "Authorization", "valueSecretRef": ref("a")}],
            "basicAuth": {"usernameSecretRef": ref("n"), "passwordSecretRef": ref("p")},
        },
        {"u", "a", "n", "p"},
    ),
    "responder": (
        "Responder",
        {"contacts": [{"name": "phone", "channelRef": {"name": "c"}, "addressSecretRef": ref("number")}]},
        {"number"},
    ),
    "calendar": ("OnCallSchedule", {"ical": {"urlSecretRef": ref("cal")}}, {"cal"}),
}


@pytest.mark.parametrize("case", SPECS)
def test_secrets_that_are_read_are_those_that_the_fragment_names(case: str) -> None:
    kind, spec, names = SPECS[case]
    manifest = {"apiVersion": "tocsin.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}, "spec": spec}
    declared = parse_object(manifest)
    identity = identity_of(declared)
    assert needs_of(identity, declared) == {Identity("Secret", "default", name) for name in names}
    flow = compile_flow(Inventory.of([declared]), types=load_types(), now=Micros(0)).flow
    (fragment,) = flow.fragments.values()
    assert {(key.namespace, key.name, key.key) for key in secret_keys(fragment)} == {
        ("default", name, "k") for name in names
    }


def test_config_maps_are_told_from_secrets() -> None:
    """Templates and calendars come from ConfigMaps."""
    template = {"templatesFrom": [{"slot": "resolve", "configMapKeyRef": ref("texts")}]}
    calendar = {"ical": {"configMapKeyRef": ref("calendar")}}
    for kind, spec, name in (("AlertTemplate", template, "texts"), ("OnCallSchedule", calendar, "calendar")):
        manifest = {
            "apiVersion": "tocsin.dev/v1alpha1",
            "kind": kind,
            "metadata": {"name": "x"},
            "spec": spec,
        }
        declared = parse_object(manifest)
        assert needs_of(identity_of(declared), declared) == {Identity("ConfigMap", "default", name)}


def test_the_token_of_a_url_is_read_but_no_credential_of_the_flow() -> None:
    """It is kept by its hash, with its own life."""
    spec = {"type": "webhook", "auth": {"tokenSecretRef": ref("token")}}
    manifest = {
        "apiVersion": "tocsin.dev/v1alpha1",
        "kind": "Integration",
        "metadata": {"name": "x"},
        "spec": spec,
    }
    declared = parse_object(manifest)
    assert needs_of(identity_of(declared), declared) == {Identity("Secret", "default", "token")}
    flow = compile_flow(Inventory.of([declared]), types=load_types(), now=Micros(0)).flow
    assert [secret_keys(fragment) for fragment in flow.fragments.values()] == [()]
