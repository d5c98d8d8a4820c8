"""The keys that encrypt credentials at rest: AES-256-GCM, a list of which the first encrypts and all decrypt."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tocsin.store.errors import DecryptionFailed

_NONCE = 12
_ID = 4
_MINIMUM = 32


class KeyRing:
    """Encrypts with the first key, decrypts with any.

    A ciphertext is: version byte 1, four bytes that name the key, nonce, AES-GCM output. `context` is authenticated
    with it, so that a row moved to another place does not decrypt.
    """

    __slots__ = ("_ciphers", "_first", "_first_derived")

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        """`keys`: secrets of at least 32 bytes each, the encrypting one first. Raises ValueError."""
        if not keys:
            raise ValueError("no secret key given: set TOCSIN_SECRET_KEY")
        for at, key in enumerate(keys, start=1):
            if len(key) < _MINIMUM:
                raise ValueError(
                    f"TOCSIN_SECRET_KEY: key {at} has {len(key)} bytes, at least {_MINIMUM} are needed"
                )
        derived = [hashlib.sha256(b"tocsin credentials\n" + key).digest() for key in keys]
        self._first_derived = hashlib.sha256(b"tocsin digests\n" + keys[0]).digest()
        self._ciphers = {hashlib.sha256(key).digest()[:_ID]: AESGCM(key) for key in derived}
        self._first = hashlib.sha256(derived[0]).digest()[:_ID]

    @classmethod
    def from_environment(cls, value: str) -> KeyRing:
        """`value`: keys separated by commas or white space, each base64 or plain text of 32 bytes or more."""
        return cls(tuple(_decode(part) for part in value.replace(",", " ").split()))

    @classmethod
    def from_file(cls, path: Path) -> KeyRing:
        """Reads the key file, creating it with mode 0600 and one random key if it is missing."""
        try:
            text = path.read_text(encoding="ascii")
        except FileNotFoundError:
            text = base64.b64encode(secrets.token_bytes(32)).decode("ascii") + "\n"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        return cls.from_environment(text)

    def digest(self, secret: bytes) -> str:
        """A keyed digest that says whether two secrets are equal and nothing else; it changes with the first key."""
        return hmac.new(self._first_derived, secret, hashlib.sha256).hexdigest()[:32]

    def encrypt(self, secret: bytes, context: str) -> bytes:
        nonce = secrets.token_bytes(_NONCE)
        sealed = self._ciphers[self._first].encrypt(nonce, secret, context.encode())
        return b"\x01" + self._first + nonce + sealed

    def decrypt(self, ciphertext: bytes, context: str) -> bytes:
        """Raises DecryptionFailed if no key fits, or if the text was changed or moved."""
        name, nonce, sealed = (
            ciphertext[1 : 1 + _ID],
            ciphertext[1 + _ID : 1 + _ID + _NONCE],
            ciphertext[1 + _ID + _NONCE :],
        )
        cipher = self._ciphers.get(name) if ciphertext[:1] == b"\x01" else None
        if cipher is None:
            raise DecryptionFailed(
                f"{context} was encrypted with a key that is not in TOCSIN_SECRET_KEY: add the old key at the end of the list"
            )
        try:
            return cipher.decrypt(nonce, sealed, context.encode())
        except InvalidTag as error:
            raise DecryptionFailed(f"{context}: the ciphertext was changed or belongs elsewhere") from error

    def is_current(self, ciphertext: bytes) -> bool:
        """Whether the first key made it; what is not current is re-encrypted at the next write."""
        return ciphertext[: 1 + _ID] == b"\x01" + self._first


def _decode(text: str) -> bytes:
    """Base64 that yields 32 bytes or more is taken as such, anything else as the key itself."""
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return text.encode()
    return decoded if len(decoded) >= _MINIMUM else text.encode()
