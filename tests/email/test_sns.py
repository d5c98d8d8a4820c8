"""SNS envelopes: only genuine ones count, and the alert is what is inside."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from tocsin.sources.amazon_sns.envelope import (
    InvalidEnvelope,
    alert_payload,
    parse_envelope,
    signed_text,
    signing_key,
    verify,
)

CERTIFICATE_URL = "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-x.pem"


@pytest.fixture(scope="module")
def signer() -> tuple[rsa.RSAPrivateKey, bytes]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns")])
    now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
    )
    certificate = (
        builder.not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=9999))
        .sign(key, hashes.SHA256())
    )
    return key, certificate.public_bytes(serialization.Encoding.PEM)


def envelope_body(**changes: str) -> dict[str, str]:
    body = {
        "Type": "Notification",
        "MessageId": "m-1",
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms",
        "Subject": "ALARM",
        "Message": json.dumps({"AlarmName": "cpu", "NewStateValue": "ALARM"}),
        "Timestamp": "2026-03-02T08:14:32.000Z",
        "SignatureVersion": "2",
        "SigningCertURL": CERTIFICATE_URL,
        "Signature": "x",
    }
    return {**body, **changes}


def sign(body: dict[str, str], key: rsa.RSAPrivateKey) -> dict[str, str]:
    envelope = parse_envelope(body)
    assert envelope is not None
    algorithm = hashes.SHA256() if body["SignatureVersion"] == "2" else hashes.SHA1()
    signature = key.sign(signed_text(envelope).encode(), padding.PKCS1v15(), algorithm)
    return {**body, "Signature": base64.b64encode(signature).decode()}


@pytest.mark.parametrize("version", ["1", "2"])
def test_genuine_signatures_of_both_versions_pass(
    signer: tuple[rsa.RSAPrivateKey, bytes], version: str
) -> None:
    key, certificate = signer
    envelope = parse_envelope(sign(envelope_body(SignatureVersion=version), key))
    assert envelope is not None
    verify(envelope, signing_key(certificate))


@pytest.mark.parametrize(
    "change",
    [
        {"Message": "{}"},
        {"TopicArn": "arn:other"},
        {"Subject": "x"},
        {"Signature": "AAAA"},
        {"Signature": "%"},
    ],
)
def test_any_change_after_signing_is_refused(
    signer: tuple[rsa.RSAPrivateKey, bytes], change: dict[str, str]
) -> None:
    key, certificate = signer
    envelope = parse_envelope({**sign(envelope_body(), key), **change})
    assert envelope is not None
    with pytest.raises(InvalidEnvelope):
        verify(envelope, signing_key(certificate))


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.eu-central-1.amazonaws.com/x.pem",
        "https://sns.eu-central-1.amazonaws.com.evil.example/x.pem",
        "https://evil.example/sns.eu-central-1.amazonaws.com/x.pem",
        "https://user@sns.eu-central-1.amazonaws.com/x.pem",
        "https://sns.eu-central-1.amazonaws.com:8443/x.pem",
        "https://169.254.169.254/x.pem",
        "https://sns.s3-eu-central-1.amazonaws.com/SimpleNotificationService-x.pem",
        "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-x.pem?Action=GetTopicAttributes",
        "https://sns.eu-central-1.amazonaws.com/other.pem",
        "https://sns.eu-central-1.amazonaws.com\\@evil.example/SimpleNotificationService-x.pem",
        "https://sns.eu-central-1.amazonaws.com/SimpleNotificationService-x.pem\n",
        "HTTPS://SNS.EU-CENTRAL-1.AMAZONAWS.COM/SimpleNotificationService-x.pem",
        "",
    ],
)
def test_only_amazon_hosts_are_ever_asked(url: str) -> None:
    """Neither the certificate nor the confirmation is fetched from anywhere but SNS itself."""
    with pytest.raises(InvalidEnvelope, match="SigningCertURL"):
        parse_envelope(envelope_body(SigningCertURL=url))
    with pytest.raises(InvalidEnvelope, match="SubscribeURL"):
        parse_envelope(envelope_body(Type="SubscriptionConfirmation", Token="t", SubscribeURL=url))


@pytest.mark.parametrize(
    "url",
    [
        "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
        "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0a1b.pem",
        "https://sns.ap-southeast-2.amazonaws.com:443/SimpleNotificationService-0a1b.pem",
    ],
)
def test_all_regions_of_amazon_are_known(url: str) -> None:
    assert parse_envelope(envelope_body(SigningCertURL=url)) is not None


def test_a_confirmation_is_asked_of_amazon_with_its_token() -> None:
    url = "https://sns.eu-central-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=arn:aws:sns:eu-central-1:1:a&Token=2f"
    envelope = parse_envelope(envelope_body(Type="SubscriptionConfirmation", Token="2f", SubscribeURL=url))
    assert envelope is not None
    assert envelope.subscribe_url == url


def test_an_envelope_without_its_signature_is_no_raw_delivery() -> None:
    """Leaving the signature out is no way around it."""
    for changes in ({"Signature": ""}, {"Signature": None}):
        with pytest.raises(InvalidEnvelope, match="Signature"):
            parse_envelope({**envelope_body(), **changes})


def test_unknown_versions_of_the_signature_are_refused(signer: tuple[rsa.RSAPrivateKey, bytes]) -> None:
    key, certificate = signer
    for version in ("3", ""):
        envelope = parse_envelope(sign(envelope_body(SignatureVersion=version), key))
        assert envelope is not None
        with pytest.raises(InvalidEnvelope, match="SignatureVersion"):
            verify(envelope, signing_key(certificate))


@pytest.mark.parametrize(
    "found", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_only_a_certificate_is_one(signer: tuple[rsa.RSAPrivateKey, bytes], found: bytes) -> None:
    """Nor is one that stands somewhere in another text."""
    for pem in (found, b"<xml>" + signer[1]):
        with pytest.raises(InvalidEnvelope, match="SigningCertURL"):
            signing_key(pem)


def test_raw_deliveries_are_no_envelopes() -> None:
    for body in ({"AlarmName": "cpu"}, [1], {"Type": "Notification"}, {"Type": ["Notification"]}, None):
        assert parse_envelope(body) is None
    assert parse_envelope({**envelope_body(), "Type": ["Notification"]}) is None


def test_alarm_is_the_inner_object() -> None:
    """Rules: R-SNS-2"""
    assert alert_payload('{"AlarmName": "cpu"}') == {"AlarmName": "cpu"}


@pytest.mark.parametrize("text", ["plain words", "[1, 2]", "17", "", "[" * 100_000])
def test_other_messages_are_kept_as_text(text: str) -> None:
    """Rules: R-SNS-3"""
    assert alert_payload(text) == {"message": text}
