"""Typed objects from manifests, and the small helpers of the API."""

from __future__ import annotations

import msgspec
import pytest

from tocsin.api.alertroute import AlertRouteStatus, RouteParentStatus
from tocsin.api.alerttemplate import AlertTemplateStatus
from tocsin.api.check import check_status, schema_for
from tocsin.api.common import Condition, ConditionStatus, Finding, Identity, Severity, SharingFrom
from tocsin.api.conditions import ConditionType, Problem, Reason
from tocsin.api.durations import DAY, HOUR, MINUTE, SECOND, format_duration, parse_duration
from tocsin.api.integration import AuthMode, HeartbeatStatus, Integration, IntegrationStatus
from tocsin.api.labelrule import LabelRuleStatus
from tocsin.api.maintenancewindow import MaintenanceWindowStatus
from tocsin.api.objects import InvalidObject, apply_defaults, identity_of, parse_object
from tocsin.api.paths import join, split

MANIFEST = {
    "apiVersion": "tocsin.dev/v1alpha1",
    "kind": "Integration",
    "metadata": {"name": "am", "namespace": "payments", "generation": 3, "finalizers": []},
    "spec": {"type": "alertmanager", "auth": {}, "sharing": {"namespaces": {"from": "All"}}},
    "status": {"path": "/x"},
}
NOON = "2026-11-25T12:00:00Z"
COMMON = {
    "observed_generation": 3,
    "conditions": (
        Condition(
            type=ConditionType.READY,
            status=ConditionStatus.TRUE,
            reason=Reason.READY,
            message="m",
            observed_generation=3,
            last_transition_time=NOON,
        ),
    ),
    "findings": (
        Finding(
            field="spec.x",
            reason=Problem.REQUIRED,
            message="m",
            severity=Severity.WARNING,
            line=1,
            column=2,
            file="f",
        ),
    ),
}
STATUSES = {
    "Integration": IntegrationStatus(
        **COMMON,
        path="/integrations/v1/webhook/",
        endpoint_secret="am-endpoint",
        attached_routes=1,
        last_alert=NOON,
        default_route_hits=1,
        heartbeat=HeartbeatStatus(state="Alive", last_seen=NOON, interval="5m"),
    ),
    "AlertRoute": AlertRouteStatus(
        **COMMON,
        parents=(RouteParentStatus(integration="a/b", position=1, accepted=True),),
        matched_last24h=5,
    ),
    "AlertTemplate": AlertTemplateStatus(**COMMON, used_by=1),
    "LabelRule": LabelRuleStatus(**COMMON, attached_integrations=1),
    "MaintenanceWindow": MaintenanceWindowStatus(
        **COMMON, attached_integrations=1, active=True, next_start=NOON, ends=NOON
    ),
}


def test_parse_object():
    """A good manifest becomes a frozen object with defaults."""
    parsed = parse_object(MANIFEST)
    assert isinstance(parsed, Integration)
    assert (parsed.metadata.name, parsed.metadata.generation) == ("am", 3)
    assert (parsed.spec.auth.mode, parsed.spec.auth.rotation_overlap) == (AuthMode.TOKEN, "24h")
    assert parsed.spec.sharing.namespaces.from_ is SharingFrom.ALL
    assert parsed.spec.delimiters == ("{{", "}}")


@pytest.mark.parametrize(
    ("change", "field"),
    [({"spec": {}}, "spec.type"), ({"metadata": {"name": "a", "generation": "x"}}, "metadata")],
)
def test_bad_manifests_raise(change, field):
    """The exception carries the findings and names the field."""
    with pytest.raises(InvalidObject, match=field) as caught:
        parse_object({**MANIFEST, **change})
    assert [finding.field for finding in caught.value.findings] == [field]


def test_apply_defaults():
    """The object as it would be stored, without its status; the manifest stays as it was."""
    stored = apply_defaults(MANIFEST)
    assert stored["spec"]["auth"] == {"mode": "Token", "rotationOverlap": "24h"}
    assert "status" not in stored
    assert MANIFEST["spec"]["auth"] == {}


@pytest.mark.parametrize(
    ("document", "identity"),
    [
        (MANIFEST, Identity("Integration", "payments", "am")),
        ({"kind": "X", "metadata": {"name": "a"}}, Identity("X", "default", "a")),
        ({"kind": 1, "metadata": {"name": 2, "namespace": ""}}, Identity("", "default", "")),
        ({"metadata": []}, Identity("", "default", "")),
    ],
)
def test_identity_of(document, identity):
    """Even a broken manifest has an identity to report on."""
    assert identity_of(document) == identity


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("0s", 0),
        ("90s", 90 * SECOND),
        ("1h30m", HOUR + 30 * MINUTE),
        ("30m1h", HOUR + 30 * MINUTE),
        ("7d", 7 * DAY),
        ("1m1m", 2 * MINUTE),
        ("9999d999999h999999m999999s", 9999 * DAY + 999_999 * (HOUR + MINUTE + SECOND)),
    ],
)
def test_parse_duration(text, micros):
    """Parts add up, in microseconds, and always fit 64 bits."""
    assert parse_duration(text) == micros < 2**63


@pytest.mark.parametrize(
    "text", ["", "5", "s", "1.5h", "-1s", "1w", "1h 30m", "1H", "１s", "10000d", "1s\n", "1s" * 17]
)
def test_no_durations(text):
    """Everything else is refused with the expected form."""
    with pytest.raises(ValueError, match="1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [(0, "0s"), (-5, "0s"), (SECOND - 1, "0s"), (90 * SECOND, "1m30s"), (DAY + HOUR + SECOND, "1d1h1s")],
)
def test_format_duration(micros, text):
    """The shortest text, in whole seconds, that reads back."""
    assert format_duration(micros) == text
    assert parse_duration(text) == max(micros, 0) // SECOND * SECOND


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ((), ""),
        (("spec", "static", 2, "key"), "spec.static[2].key"),
        (("metadata", "labels", "app.kubernetes.io/name"), "metadata.labels[app.kubernetes.io/name]"),
    ],
)
def test_paths(parts, text):
    """Paths read as people write them, and back."""
    assert join(parts) == text
    assert split(text) == tuple(map(str, parts))


@pytest.mark.parametrize("kind", STATUSES)
def test_status_types_mirror_the_schema(kind):
    """A status with every field set is one that the API server takes, and no field of the schema is missing."""
    written = msgspec.to_builtins(STATUSES[kind])
    assert set(written) == set(schema_for(kind).properties["status"].properties)
    assert check_status(kind, STATUSES[kind]) == ()


def test_status_parts_mirror_the_schema():
    """The same for conditions, findings, parents and heartbeat."""
    integration = schema_for("Integration").properties["status"].properties
    parents = schema_for("AlertRoute").properties["status"].properties["parents"]
    written = msgspec.to_builtins(STATUSES["Integration"])
    assert set(written["conditions"][0]) == set(integration["conditions"].items.properties)
    assert set(written["findings"][0]) == set(integration["findings"].items.properties)
    assert set(written["heartbeat"]) == set(integration["heartbeat"].properties)
    assert set(msgspec.to_builtins(STATUSES["AlertRoute"])["parents"][0]) == set(parents.items.properties)
