"""What an object's status should say, and whether it says so already."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tocsin.api.check import schema_for
from tocsin.api.common import Condition, Identity, Status
from tocsin.api.conditions import ConditionType
from tocsin.api.schema import Report as SchemaReport
from tocsin.flow.compiler import Report
from tocsin.flow.status import Circumstances, status_of

Document = Mapping[str, Any]

_OURS = frozenset(kind.value for kind in ConditionType)


def desired_status(report: Report, circumstances: Circumstances, present: Document) -> Document:
    """The status as the API server will store it. Transition times of `present` stay where nothing turned."""
    status = status_of(report, circumstances, previous_conditions(present))
    return stored_form(report.identity.kind, status)


def stored_form(kind: str, status: Status) -> Document:
    """With the defaults that the CRD's schema fills in, so that it compares equal to what is read back."""
    plain = msgspec.json.decode(msgspec.json.encode(status))
    completed: Document = schema_for(kind).properties["status"].complete(plain, SchemaReport(), ("status",))
    return completed


def previous_conditions(status: Document) -> tuple[Condition, ...]:
    """Our conditions in a status as read; what does not look like a condition is left out."""
    found = []
    for entry in _conditions(status):
        try:
            condition = msgspec.convert(entry, Condition)
        except msgspec.ValidationError:
            continue
        if condition.type in _OURS:
            found.append(condition)
    return tuple(found)


def same(present: Document, desired: Document) -> bool:
    """Whether writing `desired` would change nothing. Conditions that others added do not count."""
    return _comparable(present) == _comparable(desired)


def condition(status: Document, kind: ConditionType) -> Condition | None:
    return next((c for c in previous_conditions(status) if c.type == kind), None)


def is_programmed(status: Document, generation: int) -> bool:
    """Whether the status says that this very generation is loaded by the receivers."""
    found = condition(status, ConditionType.PROGRAMMED)
    return found is not None and found.status == "True" and found.observed_generation == generation


def application(api_version: str, identity: Identity, uid: str, status: Document) -> dict[str, Any]:
    """The body of a server-side apply. With `uid` it can only meet the object that it was made for."""
    metadata = {"name": identity.name, "namespace": identity.namespace, "uid": uid}
    return {"apiVersion": api_version, "kind": identity.kind, "metadata": metadata, "status": dict(status)}


def _comparable(status: Document) -> Document:
    ours = {entry["type"]: entry for entry in _conditions(status) if entry.get("type") in _OURS}
    return {**status, "conditions": ours}


def _conditions(status: Document) -> list[dict[str, Any]]:
    conditions = status.get("conditions")
    return [c for c in conditions if isinstance(c, dict)] if isinstance(conditions, list) else []
