"""The inventory: immutable, shared between versions, and clear about what is valid."""

from __future__ import annotations

from compiler_cases import inventory_of, manifest

from tocsin.api.common import Finding, Identity, Metadata
from tocsin.api.integration import Integration, IntegrationSpec
from tocsin.flow.inventory import Inventory, content_digest, identity_of

WEB = Identity("Integration", "default", "web")
FINDINGS = (Finding(field="spec.type", reason="Required", message="is required"),)


def integration(title: str = "", generation: int = 1, labels: dict[str, str] | None = None) -> Integration:
    return Integration(
        metadata=Metadata(
            name="web", generation=generation, labels=labels or {}, annotations={"seen": title}
        ),
        spec=IntegrationSpec(type="webhook", title=title),
    )


def test_updates_leave_the_old_inventory_alone() -> None:
    """Every change gives a new value; the old one is as it was, and unchanged parts are the same objects."""
    empty = Inventory()
    one = empty.with_object(integration())
    none = one.without_object(WEB)
    assert (dict(empty.integrations), dict(none.integrations)) == ({}, {})
    assert set(one.integrations) == {WEB}
    assert one.routes is empty.routes
    assert one.with_object(integration()) is one
    assert empty.without_object(WEB) is empty


def test_an_object_is_valid_or_invalid_and_never_both() -> None:
    """Breaking an object takes it out of force; mending it brings it back; dropping it leaves nothing behind."""
    broken = Inventory.of([integration()]).with_invalid(
        "Integration", Metadata(name="web", generation=2), FINDINGS
    )
    assert WEB not in broken.integrations
    assert broken.invalid[WEB] == FINDINGS
    assert broken.metadata[WEB].generation == 2
    mended = broken.with_object(integration())
    assert WEB in mended.integrations
    assert WEB not in mended.invalid
    dropped = broken.without_object(WEB)
    assert (dict(dropped.invalid), dict(dropped.metadata), dict(dropped.digests)) == ({}, {}, {})


def test_digest_covers_spec_and_labels_only() -> None:
    """Generation and annotations do not make an object new; labels do, because selectors read them."""
    assert content_digest(integration(generation=1)) == content_digest(integration(generation=9))
    assert content_digest(integration()) != content_digest(integration(labels={"tier": "gold"}))
    assert content_digest(integration("a")) != content_digest(integration("b"))
    assert identity_of(integration()) == WEB


def test_secrets_and_config_maps_are_replaced_as_a_whole() -> None:
    """A key that is gone from a Secret is gone from the inventory; other Secrets stay."""
    inventory = Inventory().with_secret("a", "s", {"x": "1", "y": "2"}).with_secret("a", "t", {"x": "3"})
    inventory = inventory.with_secret("a", "s", {"y": "4"})
    assert dict(inventory.secrets) == {("a", "s", "y"): "4", ("a", "t", "x"): "3"}
    assert dict(inventory.with_secret("a", "s", None).secrets) == {("a", "t", "x"): "3"}
    with_map = inventory.with_config_map("a", "m", {"k": "v"})
    assert dict(with_map.with_config_map("a", "m", None).config_maps) == {}


def test_a_namespace_has_its_name_as_label() -> None:
    """Also in a folder without Namespace objects, as in every cluster."""
    assert Inventory().namespace_labels("a") == {"kubernetes.io/metadata.name": "a"}
    assert Inventory().with_namespace("a", {"x": "y"}).namespace_labels("a")["x"] == "y"


def test_documents_that_break_their_schema_enter_as_invalid() -> None:
    """They are named with their findings and take part in nothing."""
    inventory = inventory_of(manifest("Integration", "web", "{typ: webhook}"))
    assert set(inventory.invalid) == {WEB}
    assert {finding.field for finding in inventory.invalid[WEB]} >= {"spec.typ"}
