"""SNS envelopes as pure functions: what is signed, by whom, and which payload the alert gets."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any
from urllib.parse import urlsplit

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

_AMAZON_HOST = re.compile(r"^sns\.[a-z0-9-]{3,30}\.amazonaws\.com(\.cn)?$")
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
    message: str
    subscribe_url: str
    certificate_url: str
    fields: dict[str, str]


def parse_envelope(body: Any) -> Envelope | None:
    """An SNS envelope, or None where the body is a raw delivery (the inner message alone).

    Raises InvalidEnvelope where an envelope names a certificate or confirmation URL outside Amazon's own hosts.
    """
    if not isinstance(body, dict) or body.get("Type") not in _SIGNED_KEYS or "Signature" not in body:
        return None
    fields = {key: value for key, value in body.items() if isinstance(value, str)}
    envelope = Envelope(
        type=fields["Type"],
        message=fields.get("Message", ""),
        subscribe_url=fields.get("SubscribeURL", ""),
        certificate_url=fields.get("SigningCertURL", ""),
        fields=fields,
    )
    _require_amazon("SigningCertURL", envelope.certificate_url)
    if envelope.type != "Notification":
        _require_amazon("SubscribeURL", envelope.subscribe_url)
    return envelope


def verify(envelope: Envelope, certificate_pem: bytes) -> None:
    """Checks the signature with the certificate found at `certificate_url`. Raises InvalidEnvelope."""
    try:
        key = x509.load_pem_x509_certificate(certificate_pem).public_key()
        signature = base64.b64decode(envelope.fields.get("Signature", ""), validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidEnvelope("Signature: certificate or signature cannot be read") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise InvalidEnvelope("SigningCertURL: the certificate holds no RSA key")
    # Version 1 is SHA-1 by definition of the protocol; SNS still sends it unless the topic asks for version 2.
    algorithm = SHA256() if envelope.fields.get("SignatureVersion") == "2" else SHA1()  # noqa: S303
    try:
        key.verify(signature, signed_text(envelope).encode(), padding.PKCS1v15(), algorithm)
    except InvalidSignature as error:
        raise InvalidEnvelope("Signature: does not match the message") from error


def signed_text(envelope: Envelope) -> str:
    """The canonical text that SNS signs: name and value of each present field, a line each."""
    return "".join(
        f"{key}\n{envelope.fields[key]}\n" for key in _SIGNED_KEYS[envelope.type] if key in envelope.fields
    )


def alert_payload(message: str) -> dict[str, Any]:
    """The stored payload: the inner JSON object of an alarm, else the text under `message` (alert-flow R-SNS-2, R-SNS-3)."""
    try:
        inner = json.loads(message)
    except (ValueError, RecursionError):
        inner = None
    return inner if isinstance(inner, dict) else {"message": message}


def _require_amazon(field: str, url: str) -> None:
    parts = urlsplit(url)
    genuine = (
        parts.scheme == "https"
        and _AMAZON_HOST.match(parts.hostname or "")
        and parts.port in {None, 443}
        and not parts.username
    )
    if not genuine:
        raise InvalidEnvelope(f"{field}: not an https address of Amazon SNS")
