"""The admission server's certificate: an authority of its own that outlives many renewals of what it signs. Pure.

Whoever trusts the authority need not be told of a renewal. Its key stays in the Secret for that; when the authority
itself grows old it is issued anew with the same key and name, so that both editions vouch for the same certificates.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE, KEY, AUTHORITY, AUTHORITY_KEY = "tls.crt", "tls.key", "ca.crt", "ca.key"
"""Entries of the Secret; the first three as cert-manager names them."""

LIFETIME = dt.timedelta(days=90)
RENEW_BEFORE = dt.timedelta(days=30)
AUTHORITY_LIFETIME = dt.timedelta(days=3650)
AUTHORITY_RENEW_BEFORE = dt.timedelta(days=730)
_SKEW = dt.timedelta(hours=1)
"""Clocks of API servers may be behind."""


class Unusable(Exception):
    """A Secret holds no certificate of ours that could be renewed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """All of it, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    authority: bytes
    authority_key: bytes = field(repr=False)

    @classmethod
    def of(cls, data: Mapping[str, bytes]) -> Material:
        """Raises Unusable if an entry is missing."""
        missing = [name for name in (CERTIFICATE, KEY, AUTHORITY, AUTHORITY_KEY) if not data.get(name)]
        if missing:
            raise Unusable(f"it has no {', '.join(missing)}")
        return cls(
            certificate=data[CERTIFICATE],
            key=data[KEY],
            authority=data[AUTHORITY],
            authority_key=data[AUTHORITY_KEY],
        )

    def data(self) -> dict[str, bytes]:
        return {
            CERTIFICATE: self.certificate,
            KEY: self.key,
            AUTHORITY: self.authority,
            AUTHORITY_KEY: self.authority_key,
        }


def issue(hosts: Iterable[str], now: dt.datetime) -> Material:
    """A new authority and a certificate for these names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    return _sign(_authority(key, now), key, hosts, now)


def renew(material: Material, hosts: Iterable[str], now: dt.datetime) -> Material:
    """A new certificate by the same authority. Raises Unusable."""
    try:
        authority = x509.load_pem_x509_certificate(material.authority)
        key = serialization.load_pem_private_key(material.authority_key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Unusable(f"its authority cannot be read ({type(error).__name__})") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != authority.public_key():
        raise Unusable("its ca.key does not belong to its ca.crt")
    if authority.not_valid_after_utc - now < AUTHORITY_RENEW_BEFORE:
        authority = _authority(key, now)
    return _sign(authority, key, hosts, now)


def why_renew(material: Material, hosts: Iterable[str], now: dt.datetime) -> str:
    """Why it has to be renewed, in words; "" while it is good."""
    try:
        certificate = x509.load_pem_x509_certificate(material.certificate)
        authority = x509.load_pem_x509_certificate(material.authority)
        key = serialization.load_pem_private_key(material.key, password=None)
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        return f"it cannot be used ({type(error).__name__})"
    if key.public_key() != certificate.public_key():
        return "its key is another one's"
    if not set(hosts) <= names_of(certificate):
        return "it is for other names"
    if certificate.not_valid_after_utc - now < RENEW_BEFORE:
        return f"it expires at {certificate.not_valid_after_utc:%Y-%m-%d}"
    if authority.not_valid_after_utc - now < AUTHORITY_RENEW_BEFORE:
        return f"its authority expires at {authority.not_valid_after_utc:%Y-%m-%d}"
    return ""


def expiry(certificate: bytes) -> dt.datetime | None:
    """When the first certificate of a PEM text ends; None if there is none that can be read."""
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        return None


def names_of(certificate: x509.Certificate) -> set[str]:
    """The names and addresses that it is for."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *(str(address) for address in addresses)}


def _authority(key: ec.EllipticCurvePrivateKey, now: dt.datetime) -> x509.Certificate:
    name = _name("tocsin admission authority")
    public = key.public_key()
    usage = _usage(signs_certificates=True)
    return (
        _builder(name, name, public, now, AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _sign(
    authority: x509.Certificate, by: ec.EllipticCurvePrivateKey, hosts: Iterable[str], now: dt.datetime
) -> Material:
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key()
    certificate = (
        _builder(_name("tocsin admission"), authority.subject, public, now, LIFETIME)
        .add_extension(x509.SubjectAlternativeName([_general_name(host) for host in hosts]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(by.public_key()), critical=False)
        .sign(by, hashes.SHA256())
    )
    return Material(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=_pem(key),
        authority=authority.public_bytes(serialization.Encoding.PEM),
        authority_key=_pem(by),
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: dt.datetime,
    lifetime: dt.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + lifetime)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
