"""From objects of the API server to the inventory that the compiler reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from structlog.typing import FilteringBoundLogger

from tocsin.api.common import API_VERSION, Finding, Identity, Metadata
from tocsin.api.conditions import Reason
from tocsin.api.objects import KINDS, AnyObject, InvalidObject, parse_object
from tocsin.flow.inventory import Draft

Parsed = AnyObject | tuple[Finding, ...] | None
"""The typed object, or why it is none, or None where it is gone."""


def parse_all(
    changes: Mapping[Identity, Mapping[str, Any] | None], log: FilteringBoundLogger
) -> Iterator[tuple[Identity, Metadata, Parsed]]:
    """Every changed object of Tocsin's kinds. Whatever is wrong with one of them is a finding about that one."""
    for identity, body in changes.items():
        if identity.kind not in KINDS:
            continue
        if body is None:
            yield identity, Metadata(name=identity.name, namespace=identity.namespace), None
            continue
        yield identity, _metadata(identity, body), _parse(identity, body, log)


def put(draft: Draft, identity: Identity, metadata: Metadata, parsed: Parsed) -> None:
    """Brings the inventory up to date with one object."""
    if parsed is None:
        draft.drop(identity)
    elif isinstance(parsed, tuple):
        draft.refuse(identity.kind, metadata, parsed)
    else:
        draft.put(parsed)


def _parse(identity: Identity, body: Mapping[str, Any], log: FilteringBoundLogger) -> Parsed:
    document = {
        "apiVersion": API_VERSION,
        "kind": identity.kind,
        "metadata": body["metadata"],
        "spec": body.get("spec"),
    }
    try:
        return parse_object({key: value for key, value in document.items() if value is not None})
    except InvalidObject as invalid:
        return invalid.findings
    except Exception:
        # A mistake of ours must not take everybody else's objects along.
        log.exception("an object could not be read", object=str(identity))
        message = "Tocsin could not read this object because of a mistake of its own; its log says more"
        return (Finding(field="", reason=Reason.INVALID, message=message),)


def _metadata(identity: Identity, body: Mapping[str, Any]) -> Metadata:
    try:
        return msgspec.convert(body["metadata"], Metadata, strict=False)
    except msgspec.ValidationError:
        return Metadata(name=identity.name, namespace=identity.namespace)
