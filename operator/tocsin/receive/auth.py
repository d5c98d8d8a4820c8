"""Who a sender is, on URLs that hold no secret: Basic, Bearer, or an HMAC signature of the raw body.

Pure functions over values in memory. Comparisons take the same time whether they succeed or not.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping, Sequence

from tocsin.api.integration import AuthMode
from tocsin.flow.model import AuthFragment, SecretKey
from tocsin.problems import Problem

REALM = "tocsin"

Lookup = Mapping[tuple[str, str, str], Sequence[str]]
"""(namespace, Secret, key) -> the values that count now: the current one, and the old one during a rotation."""


def wants_body(auth: AuthFragment) -> bool:
    """Whether the sender can only be known once the whole body is there."""
    return auth.mode == AuthMode.HMAC


def is_authentic(auth: AuthFragment, secrets: Lookup, headers: Mapping[str, str], raw: bytes) -> bool:
    """Whether the request proves itself. `raw` is the body as sent (still compressed), read only for HMAC.

    A credential that is not there (a Secret that does not exist) fits nothing.
    """
    match auth.mode:
        case AuthMode.BASIC:
            given = _basic(headers.get("Authorization", ""))
            return given is not None and (
                _fits(given[0], _values(secrets, auth.username))
                & _fits(given[1], _values(secrets, auth.password))
            )
        case AuthMode.BEARER:
            scheme, _, token = headers.get("Authorization", "").partition(" ")
            return scheme.lower() == "bearer" and _fits(token.strip(), _values(secrets, auth.secret))
        case AuthMode.HMAC:
            signature = _signature(auth, headers.get(auth.hmac_header, ""))
            return signature is not None and any(
                hmac.compare_digest(
                    hmac.digest(secret.encode(), raw, auth.hmac_algorithm or "sha256"), signature
                )
                for secret in _values(secrets, auth.secret)
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


def _values(secrets: Lookup, key: SecretKey | None) -> Sequence[str]:
    if key is None:
        return ()
    return [value for value in secrets.get((key.namespace, key.name, key.key), ()) if value]


def _fits(given: str, expected: Sequence[str]) -> bool:
    fits = False
    for value in expected:
        fits |= hmac.compare_digest(given.encode(), value.encode())
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
