"""The admission certificate: OpenSSL trusts it by its authority, and goes on doing so through renewals."""

from __future__ import annotations

import datetime as dt
import subprocess
from pathlib import Path

import pytest
from cryptography import x509

from tocsin.control.kubernetes.admission import certificate as made
from tocsin.control.kubernetes.admission.certificate import (
    AUTHORITY_LIFETIME,
    AUTHORITY_RENEW_BEFORE,
    LIFETIME,
    RENEW_BEFORE,
    Material,
    Unusable,
    issue,
    renew,
    why_renew,
)

HOSTS = ("tocsin-admission.tocsin.svc", "10.96.0.7")
NOW = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)


def trusted(material: Material, by: bytes, at: dt.datetime, folder: Path, *name: str) -> bool:
    """What OpenSSL says, strictly, for a TLS server."""
    (folder / "ca").write_bytes(by)
    (folder / "crt").write_bytes(material.certificate)
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "sslserver",
        "-attime",
        f"{at.timestamp():.0f}",
    ]
    done = subprocess.run(
        [*command, *name, "-CAfile", folder / "ca", folder / "crt"], check=False, capture_output=True
    )
    return done.returncode == 0


def test_it_is_trusted_for_its_names_only(tmp_path: Path) -> None:
    """Name and address of the Service; nothing is to be renewed."""
    material = issue(HOSTS, NOW)
    assert why_renew(material, HOSTS, NOW) == ""
    assert trusted(material, material.authority, NOW, tmp_path, "-verify_hostname", HOSTS[0])
    assert trusted(material, material.authority, NOW, tmp_path, "-verify_ip", HOSTS[1])
    assert not trusted(material, material.authority, NOW, tmp_path, "-verify_hostname", "other.svc")
    assert not trusted(material, issue(HOSTS, NOW).authority, NOW, tmp_path)
    assert trusted(material, material.authority, NOW - dt.timedelta(minutes=50), tmp_path), "a slow clock"


def test_it_is_renewed_in_time_by_the_same_authority(tmp_path: Path) -> None:
    """A month before its end; who trusted the old one trusts the new one."""
    first = issue(HOSTS, NOW)
    late = NOW + LIFETIME - RENEW_BEFORE
    assert why_renew(first, HOSTS, late) == ""
    assert "expires at 2026-09-29" in why_renew(first, HOSTS, late + DAY)
    second = renew(first, HOSTS, late + DAY)
    assert (second.authority, second.authority_key) == (first.authority, first.authority_key)
    assert second.key != first.key
    assert trusted(second, first.authority, NOW + LIFETIME + DAY, tmp_path)


def test_the_authority_itself_is_renewed_with_its_key(tmp_path: Path) -> None:
    """Years before its end: both editions vouch for the certificate, so nobody has to be quick."""
    first = issue(HOSTS, NOW)
    late = NOW + AUTHORITY_LIFETIME - AUTHORITY_RENEW_BEFORE + DAY
    second = renew(first, HOSTS, late)
    assert second.authority != first.authority
    assert second.authority_key == first.authority_key
    for edition in (first, second):
        assert trusted(second, edition.authority, late, tmp_path)
    assert why_renew(second, HOSTS, late) == ""


def test_other_names_are_a_reason() -> None:
    """After the Service got another name; fewer names are none."""
    material = issue(HOSTS, NOW)
    assert why_renew(material, (*HOSTS, "new.svc"), NOW) == "it is for other names"
    assert why_renew(material, HOSTS[:1], NOW) == ""
    assert made.names_of(x509.load_pem_x509_certificate(material.certificate)) == set(HOSTS)


def broken() -> list[tuple[str, Material]]:
    """Material in which one entry holds anything else."""
    good, other = issue(HOSTS, NOW).data(), issue(HOSTS, NOW).data()
    return [
        (entry, Material.of({**good, entry: text}))
        for entry in good
        for text in (b"nonsense", b"\xff", other[entry])
    ]


def test_what_is_broken_is_a_reason_and_no_error() -> None:
    """A missing entry, nonsense, or one of another certificate."""
    good = issue(HOSTS, NOW).data()
    for entry in good:
        with pytest.raises(Unusable, match=entry):
            Material.of({**good, entry: b""})
    for entry, material in broken():
        if entry != "ca.key":
            assert why_renew(material, HOSTS, NOW), entry
            continue
        with pytest.raises(Unusable):
            renew(material, HOSTS, NOW)


def test_keys_show_nowhere() -> None:
    """Not even in a traceback's repr."""
    material = issue(HOSTS, NOW)
    assert "PRIVATE" not in repr(material)
