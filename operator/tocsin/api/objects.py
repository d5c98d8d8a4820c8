"""From a manifest to a typed object: check, defaults, conversion."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

import msgspec

from tocsin.api.alertroute import AlertRoute
from tocsin.api.alerttemplate import AlertTemplate
from tocsin.api.check import complete
from tocsin.api.common import DEFAULT_NAMESPACE, Finding, Identity
from tocsin.api.conditions import Problem
from tocsin.api.escalationchain import EscalationChain
from tocsin.api.integration import Integration
from tocsin.api.labelrule import LabelRule
from tocsin.api.maintenancewindow import MaintenanceWindow
from tocsin.api.notificationchannel import NotificationChannel
from tocsin.api.oncallschedule import OnCallSchedule
from tocsin.api.outgoingwebhook import OutgoingWebhook
from tocsin.api.responder import Responder

AnyObject = (
    Integration
    | AlertRoute
    | AlertTemplate
    | LabelRule
    | MaintenanceWindow
    | EscalationChain
    | NotificationChannel
    | OutgoingWebhook
    | Responder
    | OnCallSchedule
)

KINDS: Mapping[str, type[AnyObject]] = {kind.__name__: kind for kind in get_args(AnyObject)}
"""The type of each kind."""


class InvalidObject(Exception):
    """The API server would refuse the manifest; `findings` say why."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("; ".join(f"{finding.field}: {finding.message}" for finding in findings))
        self.findings = findings


def parse_object(document: Mapping[str, Any], *, old: Mapping[str, Any] | None = None) -> AnyObject:
    """The typed object of a manifest, with defaults; `old` is the object that it replaces.

    Raises InvalidObject; leaves the manifest alone.
    """
    value, findings = complete(document, old=old)
    if findings:
        raise InvalidObject(findings)
    try:
        return msgspec.convert(value, KINDS[value["kind"]])
    except msgspec.ValidationError as error:  # metadata that only the API server writes, as `uid: 5`
        finding = Finding(field="metadata", reason=Problem.WRONG_TYPE, message=str(error))
        raise InvalidObject((finding,)) from None


def apply_defaults(document: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest as the API server would store it: with the schema's defaults, without nulls and status."""
    return complete(document)[0]


def identity_of(document: Mapping[str, Any]) -> Identity:
    """Kind, namespace and name of a manifest, valid or not; what is missing or no text is empty."""
    metadata = document.get("metadata")
    metadata = metadata if isinstance(metadata, Mapping) else {}
    kind, name, namespace = document.get("kind"), metadata.get("name"), metadata.get("namespace")
    return Identity(
        kind if isinstance(kind, str) else "",
        namespace if isinstance(namespace, str) and namespace else DEFAULT_NAMESPACE,
        name if isinstance(name, str) else "",
    )
