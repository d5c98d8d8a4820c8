"""Who a sender is, on URLs that hold no secret: Basic, Bearer, or an HMAC signature of the raw body.

Pure functions over values in memory. Comparisons take the same time whether they succeed or not.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tocsin.api.integration import AuthMode
from tocsin.flow.model import AuthFragment, Micros, SecretKey
from tocsin.problems import Problem
from tocsin.receive.credentials import HeldSecret, Secrets

REALM = "tocsin"


def wants_body(auth: AuthFragment) -> bool:
    """Whether the sender can only be known once the whole body is there."""
    return auth.mode == AuthMode.HMAC


class Proof(NamedTuple):
    """What a request shows of its sender. `raw` is the body as sent (still compressed), read only for HMAC."""

    headers: Mapping[str, str]
    raw: bytes = b""


def is_authentic(auth: AuthFragment, secrets: Secrets, proof: Proof, now: Micros) -> bool:
    """Whether the sender is who it should be. A credential that is not there (a missing Secret) fits nothing."""

    def values(key: SecretKey | None) -> list[str]:
        held = () if key is None else secrets.get((key.namespace, key.name, key.key), ())
        return [one.value for one in held if one.value and _counts(one, auth, now)]

    headers = proof.headers
    match auth.mode:
        case AuthMode.BASIC:
            given = _basic(headers.get("Authorization", ""))
            return given is not None and (
                _fits(given[0], values(auth.username)) & _fits(given[1], values(auth.password))
            )
        case AuthMode.BEARER:
            scheme, _, token = headers.get("Authorization", "").partition(" ")
            return scheme.lower() == "bearer" and _fits(token.strip(), values(auth.secret))
        case AuthMode.HMAC:
            signature = _signature(auth, headers.get(auth.hmac_header, ""))
            return signature is not None and any(
                hmac.compare_digest(
                    hmac.digest(secret.encode(), proof.raw, auth.hmac_algorithm or "sha256"), signature
                )
                for secret in values(auth.secret)
            )
        case _:
            return False


def refusal(auth: AuthFragment) -> Problem:
    """401 that says which proof is expected, never which part of it was wrong."""
    challenge = f'{auth.mode if auth.mode != AuthMode.TOKEN else "Bearer"} realm="{REALM}"'
    expected = {
        AuthMode.BASIC: "user name and password in the header Authorization (Basic)",
        AuthMode.BEARER: "a token in the header Authorization (Bearer)",
    }.get(
        AuthMode(auth.mode),
        f"an {auth.hmac_algorithm or 'sha256'} signature of the body in the header {auth.hmac_header}",
    )
    return Problem(
        status=401,
        kind="not-authenticated",
        detail="the credentials are missing or wrong",
        field=f"header {auth.hmac_header}" if auth.mode == AuthMode.HMAC else "header Authorization",
        action=f"send {expected}, as in the Secret that the Integration names under spec.auth",
        headers=(("WWW-Authenticate", challenge),),
    )


def bearer_matches(header: str, expected: str) -> bool:
    """Whether an Authorization header carries this one token."""
    scheme, _, token = header.partition(" ")
    return scheme.lower() == "bearer" and _fits(token.strip(), (expected,))


def _counts(secret: HeldSecret, auth: AuthFragment, now: Micros) -> bool:
    return secret.replaced_at is None or now < secret.replaced_at + auth.rotation_overlap


def _fits(given: str, expected: Sequence[str]) -> bool:
    fits = False
    for value in expected:
        fits |= hmac.compare_digest(given.encode("utf-8", "surrogateescape"), value.encode())
    return fits


def _basic(header: str) -> tuple[str, str] | None:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    user, separator, password = text.partition(":")
    return (user, password) if separator else None


def _signature(auth: AuthFragment, header: str) -> bytes | None:
    value = header.strip()
    if not value or not value.startswith(auth.hmac_prefix):
        return None
    value = value.removeprefix(auth.hmac_prefix)
    try:
        if auth.hmac_encoding == "Base64":
            return base64.b64decode(value, validate=True)
        return bytes.fromhex(value)
    except (binascii.Error, ValueError):
        return None
