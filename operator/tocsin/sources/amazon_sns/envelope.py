"""SNS envelopes as pure functions: what is signed, by whom, and which payload the alert gets."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

_HOST = r"https://sns\.[a-z]{2,4}(?:-[a-z]{2,12}){1,2}-[0-9]{1,2}\.amazonaws\.com(?:\.cn)?(?::443)?"
_CERTIFICATE_URL = re.compile(_HOST + r"/SimpleNotificationService-[A-Za-z0-9]{1,64}\.pem")
_CONFIRMATION_URL = re.compile(_HOST + r"/\?[A-Za-z0-9&=:%._~+*-]{1,4096}")
"""Whole URLs, not only hosts: other paths of these hosts answer with texts that anyone can choose."""

_PEM = b"-----BEGIN CERTIFICATE-----"
_ALGORITHMS = {"1": SHA1(), "2": SHA256()}  # noqa: S303 -- version 1 is SHA-1 by definition of the protocol
_SIGNED_KEYS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
    "UnsubscribeConfirmation": (
        "Message",
        "MessageId",
        "SubscribeURL",
        "Timestamp",
        "Token",
        "TopicArn",
        "Type",
    ),
}


class InvalidEnvelope(Exception):
    """The envelope is not a genuine one; the message says which field and why."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of an SNS message that matter; `fields` are all text fields as signed."""

    type: str
    topic: str
    message: str
    subscribe_url: str
    certificate_url: str
    fields: dict[str, str]


def parse_envelope(body: Any) -> Envelope | None:
    """An SNS envelope, or None where the body is a raw delivery (the inner message alone).

    Raises InvalidEnvelope where an envelope is not signed, or names a certificate or confirmation URL other than Amazon's own.
    """
    if not isinstance(body, dict) or "TopicArn" not in body or "MessageId" not in body:
        return None
    kind = body.get("Type")
    if not isinstance(kind, str) or kind not in _SIGNED_KEYS:
        return None
    fields = {key: value for key, value in body.items() if isinstance(value, str)}
    envelope = Envelope(
        type=kind,
        topic=fields.get("TopicArn", ""),
        message=fields.get("Message", ""),
        subscribe_url=fields.get("SubscribeURL", ""),
        certificate_url=fields.get("SigningCertURL", ""),
        fields=fields,
    )
    if not fields.get("Signature"):
        raise InvalidEnvelope("Signature: missing")
    _require(_CERTIFICATE_URL, "SigningCertURL", envelope.certificate_url)
    if envelope.type != "Notification":
        _require(_CONFIRMATION_URL, "SubscribeURL", envelope.subscribe_url)
    return envelope


def signing_key(certificate_pem: bytes) -> rsa.RSAPublicKey:
    """The key of the certificate found at `certificate_url`. Raises InvalidEnvelope."""
    try:
        if not certificate_pem.startswith(_PEM):
            raise InvalidEnvelope("SigningCertURL: no certificate is found there")
        key = x509.load_pem_x509_certificate(certificate_pem).public_key()
    except ValueError as error:
        raise InvalidEnvelope("SigningCertURL: the certificate cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidEnvelope("SigningCertURL: the certificate holds no RSA key")
    return key


def verify(envelope: Envelope, key: rsa.RSAPublicKey) -> None:
    """Checks the signature with the key of the envelope's certificate. Raises InvalidEnvelope."""
    try:
        signature = base64.b64decode(envelope.fields.get("Signature", ""), validate=True)
    except ValueError as error:
        raise InvalidEnvelope("Signature: cannot be read") from error
    algorithm = _ALGORITHMS.get(envelope.fields.get("SignatureVersion", ""))
    if algorithm is None:
        raise InvalidEnvelope("SignatureVersion: neither 1 nor 2")
    try:
        key.verify(signature, signed_text(envelope).encode(errors="replace"), padding.PKCS1v15(), algorithm)
    except InvalidSignature as error:
        raise InvalidEnvelope("Signature: does not match the message") from error


def signed_text(envelope: Envelope) -> str:
    """The canonical text that SNS signs: name and value of each present field, a line each."""
    return "".join(
        f"{key}\n{envelope.fields[key]}\n" for key in _SIGNED_KEYS[envelope.type] if key in envelope.fields
    )


def alert_payload(message: str, parse: Callable[[str], Any] = json.loads) -> dict[str, Any]:
    """The stored payload: the inner JSON object of an alarm, else the text under `message` (alert-flow R-SNS-2, R-SNS-3).

    `parse` reads JSON and raises ValueError where there is none.
    """
    try:
        inner = parse(message)
    except (ValueError, RecursionError):
        inner = None
    return inner if isinstance(inner, dict) else {"message": message}


def _require(pattern: re.Pattern[str], field: str, url: str) -> None:
    if pattern.fullmatch(url) is None:
        raise InvalidEnvelope(f"{field}: not the address of Amazon SNS for this")
