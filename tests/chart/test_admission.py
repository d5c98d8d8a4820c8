"""Keys and certificate: who makes them, who may, and that the names of all sides are the same."""

from __future__ import annotations

from typing import Any

import pytest
from charting import CASES, Manifest, case, manifests, of_kind

SCALED = {"mode": "scaled", "database": {"existingSecret": "db"}}


def told(found: tuple[Manifest, ...], role: str) -> dict[str, Any]:
    """The environment of a role's pods; what comes from Secrets as it is written."""
    (deployment,) = [
        d for d in of_kind(found, "Deployment") if d["metadata"]["name"] in {"tocsin", f"tocsin-{role}"}
    ]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


def own_secrets(found: tuple[Manifest, ...]) -> set[tuple[str, str]]:
    """(Secret, verb) of the Role in the operator's own namespace; "" is any name."""
    (role,) = [r for r in of_kind(found, "Role") if r["metadata"]["name"].endswith("-own")]
    return {
        (name, verb)
        for rule in role["rules"]
        if "secrets" in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("values", [{}, SCALED])
def test_tocsin_makes_what_is_not_given(values: dict[str, Any]) -> None:
    """And may: create any, read its keys, read and renew its certificate. It starts before either is there."""
    found = manifests(values)
    operator = told(found, "operator")
    assert (operator["TOCSIN_KEYS_SECRET"], operator["TOCSIN_ADMISSION_SECRET"]) == (
        "tocsin-keys",
        "tocsin-admission",
    )
    assert operator["TOCSIN_SECRET_KEY"]["secretKeyRef"] == {
        "name": "tocsin-keys",
        "key": "keys",
        "optional": True,
    }
    assert own_secrets(found) == {
        ("", "create"),
        ("tocsin-keys", "get"),
        ("tocsin-admission", "get"),
        ("tocsin-admission", "update"),
    }


@pytest.mark.parametrize("role", ["receiver", "dispatcher", "console"])
def test_others_wait_for_the_keys(role: str) -> None:
    """Their containers are not created before the Secret is, and they cannot make one."""
    environment = told(manifests({**SCALED, "keys": {"key": "other"}}), role)
    assert environment["TOCSIN_SECRET_KEY"]["secretKeyRef"] == {"name": "tocsin-keys", "key": "keys"}
    assert not [name for name in environment if "ADMISSION" in name or name == "TOCSIN_KEYS_SECRET"]


def test_given_keys_are_taken_from_their_entry() -> None:
    """And nothing is made."""
    found = manifests({"keys": {"existingSecret": "mine", "key": "other"}})
    environment = told(found, "operator")
    assert environment["TOCSIN_SECRET_KEY"]["secretKeyRef"] == {"name": "mine", "key": "other"}
    assert "TOCSIN_KEYS_SECRET" not in environment
    assert ("tocsin-keys", "get") not in own_secrets(found)


@pytest.mark.parametrize(
    "certificate", [{"existingSecret": "tls", "caBundle": "x"}, {"certManager": {"enabled": True}}]
)
def test_a_given_certificate_is_mounted(certificate: dict[str, Any]) -> None:
    """Only certificate and key of it; the pod does not wait for it, because alerts must not."""
    found = manifests({"admission": {"certificate": certificate}})
    environment = told(found, "operator")
    assert environment["TOCSIN_ADMISSION_CERTIFICATE"] == "/etc/tocsin/admission/tls.crt"
    assert not {"TOCSIN_ADMISSION_SECRET", "TOCSIN_ADMISSION_WEBHOOK"} & environment.keys()
    (deployment,) = of_kind(found, "Deployment")
    (volume,) = [v for v in deployment["spec"]["template"]["spec"]["volumes"] if v["name"] == "admission"]
    assert volume["secret"]["optional"] is True
    assert [item["key"] for item in volume["secret"]["items"]] == ["tls.crt", "tls.key"]
    assert not [verb for name, verb in own_secrets(found) if name == volume["secret"]["secretName"]]


@pytest.mark.parametrize("name", CASES)
def test_the_certificate_is_for_the_name_that_the_api_server_calls(name: str) -> None:
    """Whoever makes it; and the webhook that shall trust it is the one of this release."""
    found = case(name)
    webhooks = of_kind(found, "ValidatingWebhookConfiguration")
    if not webhooks:
        return
    service = webhooks[0]["webhooks"][0]["clientConfig"]["service"]
    host = f"{service['name']}.{service['namespace']}.svc"
    environment = told(found, "operator")
    hosts = environment.get("TOCSIN_ADMISSION_HOST", "").split()
    for certificate in of_kind(found, "Certificate"):
        hosts += certificate["spec"]["dnsNames"]
    if hosts:
        assert hosts[:2] == [host, f"{host}.cluster.local"]
    if "TOCSIN_ADMISSION_WEBHOOK" in environment:
        assert environment["TOCSIN_ADMISSION_WEBHOOK"] == webhooks[0]["metadata"]["name"]


def test_without_admission_nobody_is_told_of_it() -> None:
    environment = told(manifests({"admission": {"enabled": False}}), "operator")
    assert not [name for name in environment if "ADMISSION" in name]
