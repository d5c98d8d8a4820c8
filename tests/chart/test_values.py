"""Values are checked before anything is rendered, and each of them is explained."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from charting import CHART, refused

SCHEMA = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
VALUES = (CHART / "values.yaml").read_text(encoding="utf-8")


def walk(part: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, given in part.get("properties", {}).items():
        found = SCHEMA["$defs"][given["$ref"].rpartition("/")[2]] if "$ref" in given else given
        yield f"{path}{name}", found
        yield from walk(found, f"{path}{name}.")


FIELDS = dict(walk(SCHEMA))


def defaults(values: dict[str, Any], path: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{path}{name}"
        if isinstance(value, dict) and "properties" in FIELDS.get(f"{path}{name}", {}):
            yield from defaults(value, f"{path}{name}.")


def test_the_schema_is_a_valid_one() -> None:
    """By its own standard."""
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_value_is_described_and_has_a_default() -> None:
    """What the schema knows and what values.yaml sets are the same."""
    assert [path for path, field in FIELDS.items() if len(field.get("description", "")) < 5] == []
    assert set(defaults(yaml.safe_load(VALUES))) == FIELDS.keys() - {"global"}


def test_every_object_is_closed() -> None:
    """A misspelt value is an error, not a value without effect; maps that are Kubernetes' own are open."""
    objects = [field for field in FIELDS.values() if field.get("properties")]
    assert len(objects) > 30
    assert all(field["additionalProperties"] is False for field in (SCHEMA, *objects))


def test_every_group_of_values_is_explained_where_it_is_set() -> None:
    """Above each top-level value of values.yaml stands a comment, or above the first line within it."""
    lines = VALUES.splitlines()
    silent = [
        line
        for before, line, after in zip(["", *lines], lines, [*lines[1:], ""], strict=False)
        if line[:1].isalpha()
        and "#" not in before
        and "#" not in after
        and line.partition(":")[0]
        not in {"image", "log", "service", "networkPolicy", "metrics", "rbac", "crds"}
        and line.partition(":")[0] not in {"receiver", "dispatcher", "console"}
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"receivers": {}}, "additional properties 'receivers' not allowed"),
        ({"receiver": {"replcias": 3}}, "additional properties 'replcias' not allowed"),
        ({"mode": "ha"}, "/mode"),
        ({"mode": "scaled"}, "/database/existingSecret"),
        ({"receiving": {"bodyLimitMiB": 0}}, "/receiving/bodyLimitMiB"),
        ({"receiving": {"bodyLimitMiB": "16"}}, "/receiving/bodyLimitMiB"),
        ({"receiving": {"email": {"providers": ["mailgun"]}}}, "/receiving/email/domain"),
        ({"receiving": {"email": {"providers": ["sendmail"]}}}, "/receiving/email/providers/0"),
        ({"externalUrl": "alerts.example.org"}, "/externalUrl"),
        ({"image": {"digest": "latest"}}, "/image/digest"),
        ({"scope": {"cluster": True, "namespaces": ["a"]}}, "/scope/namespaces"),
        ({"scope": {"namespaces": ["Team A"]}}, "/scope/namespaces/0"),
        ({"ingress": {"enabled": True}}, "/ingress/hosts"),
        ({"ingress": {"enabled": True, "hosts": ["https://x.org"]}}, "/ingress/hosts/0"),
        ({"consoleIngress": {"enabled": True}}, "/consoleIngress/hosts"),
        ({"httpRoute": {"enabled": True}}, "/httpRoute/parentRefs"),
        ({"chatIngress": {"enabled": True}}, "/chatIngress/hosts"),
        ({"chatHttpRoute": {"enabled": True}}, "/chatHttpRoute/parentRefs"),
        ({"consoleUrl": "tocsin.example.org"}, "/consoleUrl"),
        ({"outgoing": {"allow": ["10.0.0.0/8 10.1.0.0/16"]}}, "/outgoing/allow/0"),
        ({"outgoing": {"proxy": {"url": "http://user:password@proxy:3128"}}}, "/outgoing/proxy/url"),
        ({"outgoing": {"proxy": {"url": "http://proxy:3128", "existingSecret": "p"}}}, "/outgoing/proxy/url"),
        ({"watchdog": {"url": "https://hc.example.org/x"}}, "additional properties 'url' not allowed"),
        ({"networkPolicy": {"egress": {"mailPorts": [70_000]}}}, "/networkPolicy/egress/mailPorts/0"),
        ({"test": {"channel": "Platform Alerts"}}, "/test/channel"),
        ({"admission": {"certificate": {"existingSecret": "c"}}}, "/admission/certificate/caBundle"),
        ({"admission": {"failurePolicy": "Fail"}}, "additional properties 'failurePolicy' not allowed"),
        ({"persistence": {"size": "big"}}, "/persistence/size"),
        ({"log": {"level": "trace"}}, "/log/level"),
        ({"networkPolicy": {"egress": {"databasePorts": [0]}}}, "/networkPolicy/egress/databasePorts/0"),
        ({"extraObjects": [7]}, "/extraObjects/0"),
    ],
)
def test_a_value_that_cannot_work_is_refused(values: dict[str, Any], says: str) -> None:
    """Before anything is installed, with the path of the value."""
    assert says in refused(values)
