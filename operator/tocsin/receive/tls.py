"""Certificates that may change while the process runs: read again from their files, used for new connections."""

from __future__ import annotations

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Certificate(Protocol):
    """What a listener needs of a certificate, wherever it comes from."""

    def context(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError included) if it cannot be used."""
        ...

    def fingerprint(self) -> bytes:
        """Changes with the certificate. Raises OSError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files. With `client_ca` senders must show a certificate that this authority signed."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Raises OSError (ssl.SSLError included) if a file is missing, broken, or certificate and key do not fit."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca is not None:
            context.load_verify_locations(cafile=str(self.client_ca))
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def fingerprint(self) -> bytes:
        """Changes when one of the files does. Raises OSError."""
        digest = hashlib.sha256()
        for path in (self.certificate, self.key, self.client_ca):
            if path is not None:
                data = path.read_bytes()
                digest.update(len(data).to_bytes(8) + data)
        return digest.digest()
