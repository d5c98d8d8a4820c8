"""Secrets that the flow refers to, and the tokens of endpoint URLs: both encrypted, tokens also findable by SHA-256."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, delete, or_, select, tuple_, update

from tocsin.api.common import Identity
from tocsin.flow.model import Micros
from tocsin.store import dialects, identities
from tocsin.store.errors import DecryptionFailed
from tocsin.store.keys import KeyRing
from tocsin.store.tables import credential, endpoint_token, identity

SecretName = tuple[str, str, str]
"""Namespace, name of the Secret, key."""


class EndpointToken(msgspec.Struct, frozen=True, kw_only=True):
    """One token that a URL may hold. `valid_until`: it was rotated and ends then. `entombed_until`: its Integration
    is deleted, and until then what arrives goes into the dead letters.
    """

    integration: Identity
    sha256: bytes
    created_at: Micros
    valid_until: Micros | None
    entombed_until: Micros | None


class GivenToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token as the operator made or read it. `overlap`: microseconds that the one before stays valid."""

    integration: Identity
    token: str
    overlap: int = 0


# --- secrets --------------------------------------------------------------------------------------------------------


def put_secrets(
    connection: Connection, keys: KeyRing, secrets: Mapping[SecretName, tuple[str, bytes]], now: Micros
) -> None:
    """Store or replace: name -> (keyed digest as in the flow, value)."""
    rows = [
        {
            "namespace": name[0],
            "name": name[1],
            "key": name[2],
            "digest": digest,
            "ciphertext": keys.encrypt(value, _secret_context(name)),
            "updated_at": now,
        }
        for name, (digest, value) in sorted(secrets.items())
    ]
    dialects.upsert(connection, credential, rows, key=["namespace", "name", "key"])


def put_secret(
    connection: Connection, keys: KeyRing, name: SecretName, secret: tuple[str, bytes], now: Micros
) -> None:
    """One of `put_secrets`."""
    put_secrets(connection, keys, {name: secret}, now)


def secret_digests(connection: Connection) -> Mapping[SecretName, str]:
    """What is stored, without decrypting: for writing only what changed."""
    rows = connection.execute(
        select(credential.c.namespace, credential.c.name, credential.c.key, credential.c.digest)
    )
    return {(row.namespace, row.name, row.key): row.digest for row in rows}


def load_secrets(
    connection: Connection, keys: KeyRing, names: Collection[SecretName] | None = None
) -> Mapping[SecretName, bytes]:
    """Decrypted values of all, or of `names`. Raises DecryptionFailed."""
    wanted = select(credential)
    if names is not None:
        where = tuple_(credential.c.namespace, credential.c.name, credential.c.key)
        wanted = wanted.where(where.in_([tuple(name) for name in names]))
    found: dict[SecretName, bytes] = {}
    for row in connection.execute(wanted):
        name = (row.namespace, row.name, row.key)
        found[name] = keys.decrypt(bytes(row.ciphertext), _secret_context(name))
    return found


def load_texts(
    connection: Connection, keys: KeyRing, names: Collection[SecretName]
) -> Mapping[SecretName, str]:
    """These secrets as text, as far as they are there; without white space around them, which files tend to have."""
    if not names:
        return {}
    found = load_secrets(connection, keys, names)
    return {name: value.decode("utf-8", "replace").strip() for name, value in found.items()}


def delete_unreferenced(connection: Connection, referenced: Collection[SecretName]) -> int:
    """Delete every secret that the flow no longer refers to; how many."""
    gone = secret_digests(connection).keys() - set(referenced)
    for namespace, name, key in sorted(gone):
        connection.execute(
            delete(credential).where(
                credential.c.namespace == namespace, credential.c.name == name, credential.c.key == key
            )
        )
    return len(gone)


# --- endpoint tokens ------------------------------------------------------------------------------------------------


def put_token(connection: Connection, keys: KeyRing, given: GivenToken, now: Micros) -> None:
    """Make this the token of its Integration; others it has stay valid for the overlap.

    Giving the current token again changes nothing, except that it revives a deleted Integration's.
    """
    integration, token, overlap = given.integration, given.token, given.overlap
    number = identities.ensure(connection, integration)
    digest = token_sha256(token)
    others = endpoint_token.c.integration_id == number, endpoint_token.c.sha256 != digest
    ends = now + overlap
    connection.execute(
        update(endpoint_token)
        .where(*others, or_(endpoint_token.c.valid_until.is_(None), endpoint_token.c.valid_until > ends))
        .values(valid_until=ends)
    )
    connection.execute(update(endpoint_token).where(*others).values(entombed_until=None))
    row = {
        "integration_id": number,
        "sha256": digest,
        "ciphertext": keys.encrypt(token.encode(), _token_context(integration)),
        "created_at": now,
        "valid_until": None,
        "entombed_until": None,
    }
    present = connection.execute(select(endpoint_token).where(endpoint_token.c.sha256 == digest)).first()
    if present is None:
        connection.execute(endpoint_token.insert().values(row))
        return
    if present.integration_id == number and keys.is_current(bytes(present.ciphertext)):
        row = {"valid_until": None, "entombed_until": None}
    connection.execute(update(endpoint_token).where(endpoint_token.c.id == present.id).values(row))


def put_first_tokens(connection: Connection, keys: KeyRing, given: Sequence[GivenToken], now: Micros) -> None:
    """The tokens of Integrations that never had one, none of them stored already: few statements for any number."""
    numbers = identities.ensure_all(connection, [one.integration for one in given])
    rows = [
        {
            "integration_id": numbers[one.integration],
            "sha256": token_sha256(one.token),
            "ciphertext": keys.encrypt(one.token.encode(), _token_context(one.integration)),
            "created_at": now,
            "valid_until": None,
            "entombed_until": None,
        }
        for one in given
    ]
    if rows:
        connection.execute(endpoint_token.insert(), rows)


def tokens(connection: Connection, *, now: Micros | None = None) -> list[EndpointToken]:
    """All tokens that a receiver must know; with `now` only those that still count then."""
    rows = connection.execute(_tokens().order_by(endpoint_token.c.id))
    found = [_token(row) for row in rows]
    return found if now is None else [token for token in found if counts(token, now)]


def counts(token: EndpointToken, now: Micros) -> bool:
    """Whether an URL with this token is answered at all."""
    if token.entombed_until is not None:
        return token.entombed_until > now
    return token.valid_until is None or token.valid_until > now


def reveal(connection: Connection, keys: KeyRing, integration: Identity) -> str | None:
    """The current token in clear, also of a deleted Integration in its grace period. Raises DecryptionFailed."""
    number = identities.find(connection, integration)
    if number is None:
        return None
    ciphertext = connection.scalar(
        select(endpoint_token.c.ciphertext)
        .where(endpoint_token.c.integration_id == number, endpoint_token.c.valid_until.is_(None))
        .order_by(endpoint_token.c.id.desc())
        .limit(1)
    )
    return (
        None if ciphertext is None else keys.decrypt(bytes(ciphertext), _token_context(integration)).decode()
    )


def entomb(connection: Connection, integration: Identity, until: Micros) -> None:
    """The Integration is deleted: what arrives until then goes into the dead letters, after that the URL is unknown."""
    number = identities.find(connection, integration)
    if number is not None:
        connection.execute(
            update(endpoint_token)
            .where(endpoint_token.c.integration_id == number, endpoint_token.c.entombed_until.is_(None))
            .values(entombed_until=until)
        )


def remove_expired(connection: Connection, now: Micros) -> int:
    """Delete tokens past their overlap or grace; how many."""
    done = connection.execute(
        delete(endpoint_token).where(
            or_(endpoint_token.c.valid_until <= now, endpoint_token.c.entombed_until <= now)
        )
    )
    return done.rowcount


def reencrypt(connection: Connection, keys: KeyRing) -> int:
    """Rewrite everything that an older key encrypted, so that the key can be dropped from the list; how many.

    What no key opens stays as it is: the right key may come back.
    """
    done = 0
    for row in connection.execute(select(credential)).all():
        fresh = _renewed(keys, row.ciphertext, _secret_context((row.namespace, row.name, row.key)))
        if fresh is not None:
            connection.execute(
                update(credential)
                .where(
                    credential.c.namespace == row.namespace,
                    credential.c.name == row.name,
                    credential.c.key == row.key,
                )
                .values(ciphertext=fresh)
            )
            done += 1
    for row in connection.execute(
        _tokens().add_columns(endpoint_token.c.id, endpoint_token.c.ciphertext)
    ).all():
        fresh = _renewed(keys, row.ciphertext, _token_context(Identity(row.kind, row.namespace, row.name)))
        if fresh is not None:
            connection.execute(
                update(endpoint_token).where(endpoint_token.c.id == row.id).values(ciphertext=fresh)
            )
            done += 1
    return done


def _renewed(keys: KeyRing, ciphertext: bytes, context: str) -> bytes | None:
    """The same under the first key; None if it is already, or if no key opens it."""
    sealed = bytes(ciphertext)
    if keys.is_current(sealed):
        return None
    try:
        return keys.encrypt(keys.decrypt(sealed, context), context)
    except DecryptionFailed:
        return None


def token_sha256(token: str) -> bytes:
    """What a token is looked up by."""
    return hashlib.sha256(token.encode()).digest()


def _tokens() -> Select[Any]:
    return select(
        endpoint_token.c.sha256,
        endpoint_token.c.created_at,
        endpoint_token.c.valid_until,
        endpoint_token.c.entombed_until,
        identity.c.kind,
        identity.c.namespace,
        identity.c.name,
    ).join(identity, identity.c.id == endpoint_token.c.integration_id)


def _token(row: Row[Any]) -> EndpointToken:
    return EndpointToken(
        integration=Identity(row.kind, row.namespace, row.name),
        sha256=bytes(row.sha256),
        created_at=row.created_at,
        valid_until=row.valid_until,
        entombed_until=row.entombed_until,
    )


def _secret_context(name: SecretName) -> str:
    return f"secret {name[0]}/{name[1]} key {name[2]}"


def _token_context(integration: Identity) -> str:
    return f"endpoint token of {integration.namespace}/{integration.name}"
