"""From a parsed body to payloads: splitting, preparing, duplicate keys and end times, chosen by the source type.

No field of a payload is ever required or checked against a model: wrong types are taken as absent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import msgspec
import orjson

from tocsin.flow.model import Micros
from tocsin.sources.model import DuplicateKey, Prepare, SourceType, Split

Payload = dict[str, Any]
"""One alert: a JSON object. Its content is free-form by contract."""

RESOLVE_TIMEOUT = 5 * 60 * 1_000_000
"""Microseconds after which a firing alert that states no end has ended (as Alertmanager's resolve_timeout)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class NotAnAlert(ValueError):
    """The body is JSON but no alert can be made of it (alert-flow R-ING: 400). The message is for the sender."""


def alerts_of(source: SourceType, body: Any, now: Micros) -> tuple[Payload, ...]:
    """The payloads of one body in order; each is one alert.

    A top-level list is one alert per element, all or none. A type that splits makes one alert per element of
    `alerts`, unless that is empty or no list of objects: then the body is one alert and nothing is lost. An empty
    list is no alert: (). Raises NotAnAlert on anything else that is no object. Never changes `body`.
    """
    if isinstance(body, str) and Prepare.UNWRAP_STRING in source.prepare:
        body = _unwrapped(body)
    if isinstance(body, dict):
        if source.split is Split.NONE:
            return (prepared(source, body, now),)
        elements = _split(source, body)
    elif isinstance(body, list):
        elements = body
        for position, element in enumerate(elements):
            if not isinstance(element, dict):
                raise NotAnAlert(
                    f"element {position} of the list is {_kind(element)}: send a list of JSON objects, one per alert"
                )
    else:
        raise NotAnAlert(f"the body is {_kind(body)}: send a JSON object, or a list of objects")
    if not source.prepare:
        return tuple(elements)
    return tuple(prepared(source, element, now) for element in elements)


def prepared(source: SourceType, payload: Payload, now: Micros) -> Payload:
    """The payload as the type's templates expect it. The given one is not changed."""
    for step in source.prepare:
        match step:
            case Prepare.COUNT_ALERTS:
                payload = _with_counts(payload)
            case Prepare.API_ALERT:
                payload = _with_state(payload, now)
            case Prepare.UNWRAP_STRING:
                pass
    return payload


def duplicate_key(source: SourceType, payload: Payload) -> bytes:
    """32 bytes that are equal for two deliveries of the same event to one integration; b"" if that cannot be told.

    Integration and time window are the store's part of the key (DESIGN section 5, senders in HA pairs).
    """
    match source.duplicates:
        case DuplicateKey.GROUP_KEY:
            return _group_delivery(payload)
        case DuplicateKey.FINGERPRINT:
            identity = _text(payload.get("fingerprint")) or fingerprint(payload)
            return _digest([identity, _text(payload.get("status")), _text(payload.get("startsAt"))])
        case _:
            return b""


def expires_at(source: SourceType, payload: Payload, now: Micros) -> Micros | None:
    """When a firing alert of an expiring type ends unless it is sent again; None if it does not end by itself."""
    if not source.expires or payload.get("status") == "resolved":
        return None
    end = moment(payload.get("endsAt"))
    return Micros(now + RESOLVE_TIMEOUT) if end is None else end


def fingerprint(payload: Payload) -> str:
    """Identity of an alert by its labels: 16 hexadecimal digits of the SHA-256 of the sorted pairs."""
    labels = payload.get("labels")
    pairs = sorted((str(k), _text(v)) for k, v in labels.items()) if isinstance(labels, dict) else []
    return _digest(pairs).hex()[:16]


def moment(value: Any) -> Micros | None:
    """An RFC 3339 time in microseconds; None for other values, for times without a zone, and for Go's zero time."""
    if not isinstance(value, str) or value.startswith("0001-01-01"):
        return None
    try:
        parsed = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    if parsed.tzinfo is None:
        return None
    return Micros((parsed - _EPOCH) // _MICROSECOND)


def _unwrapped(body: str) -> Any:
    """Some senders encode their JSON twice. Only one layer is taken off, and only if it holds a container."""
    try:
        inner = orjson.loads(body)
    except orjson.JSONDecodeError:
        inner = None
    if isinstance(inner, dict | list):
        return inner
    raise NotAnAlert("the body is a JSON text that holds no JSON object: send the object itself")


def _split(source: SourceType, body: Payload) -> list[Payload]:
    if source.split is Split.ALERTS:
        alerts = body.get("alerts")
        if isinstance(alerts, list) and alerts and all(isinstance(alert, dict) for alert in alerts):
            return cast("list[Payload]", alerts)
    return [body]


def _with_counts(payload: Payload) -> Payload:
    """Alertmanager does not send the counts; a sender that does is believed (alert-flow R-TYP-ALM)."""
    if "numFiring" in payload:
        return payload
    firing = resolved = 0
    for alert in _alerts(payload):
        status = alert.get("status")
        if status == "firing":
            firing += 1
        elif status == "resolved":
            resolved += 1
    return {**payload, "numFiring": firing, "numResolved": resolved}


def _with_state(payload: Payload, now: Micros) -> Payload:
    """An alert of Alertmanager's v2 API says by `endsAt` alone whether it is over."""
    added: Payload = {}
    if not isinstance(payload.get("status"), str):
        end = moment(payload.get("endsAt"))
        added["status"] = "resolved" if end is not None and end <= now else "firing"
    if not isinstance(payload.get("fingerprint"), str):
        added["fingerprint"] = fingerprint(payload)
    return {**payload, **added} if added else payload


def _group_delivery(payload: Payload) -> bytes:
    """Integration + groupKey + sorted (fingerprint, status, startsAt, and endsAt if resolved).

    The group key is opaque: it may be a number (old Alertmanagers) and changes when the sender is reconfigured.
    """
    key = payload.get("groupKey")
    alerts = _alerts(payload)
    if key in (None, "") or not alerts:
        return b""
    events = []
    for alert in alerts:
        status = _text(alert.get("status"))
        end = _text(alert.get("endsAt")) if status == "resolved" else ""
        identity = alert.get("fingerprint")
        identity = identity if isinstance(identity, str) and identity else fingerprint(alert)
        events.append((identity, status, _text(alert.get("startsAt")), end))
    events.sort()
    return _digest([_text(key), events])


def _alerts(payload: Payload) -> list[Payload]:
    alerts = payload.get("alerts")
    return [alert for alert in alerts if isinstance(alert, dict)] if isinstance(alerts, list) else []


def _text(value: Any) -> str:
    """Any value as text; containers that are nested too deeply all look alike."""
    if isinstance(value, str):
        return value
    try:
        return "" if value is None else str(value)
    except RecursionError:
        return "..."


def _digest(texts: Any) -> bytes:
    """SHA-256 of an unambiguous encoding of nested lists of texts (a separator could occur in a label)."""
    try:
        encoded = msgspec.msgpack.encode(texts)
    except UnicodeEncodeError:
        encoded = repr(texts).encode("utf-8", "backslashreplace")
    return hashlib.sha256(encoded).digest()


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case Mapping():
            return "an object"
        case _:
            return "a list"
