"""Credentials of the flow: which Secret values it needs, and the token of each endpoint."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection

from tocsin.api.common import Finding, Identity
from tocsin.api.conditions import Reason
from tocsin.api.integration import AuthMode
from tocsin.flow.model import Flow, IntegrationFragment, Micros, SecretKey
from tocsin.flow.secrets import secret_keys
from tocsin.store import credentials
from tocsin.store.credentials import GivenToken, SecretName
from tocsin.store.keys import KeyRing

MINIMUM_TOKEN_LENGTH = 20
_TOKEN_LENGTH = 25
_TOKEN_ALPHABET = string.ascii_lowercase + string.digits
"""Lower case only: some mail services change the case of addresses that hold a token."""

DELETED_GRACE = 3_600_000_000
"""How long a deleted Integration's URL answers into the dead letters, in microseconds (DESIGN section 4)."""


def new_token() -> str:
    """25 random letters and digits, some 129 bits (alert-flow R-ING-8)."""
    return "".join(secrets.choice(_TOKEN_ALPHABET) for _ in range(_TOKEN_LENGTH))


class Vault:
    """Puts what a flow needs into the store, within the transaction that publishes it."""

    def __init__(
        self,
        keys: KeyRing,
        values: Mapping[SecretName, bytes],
        *,
        kept: Mapping[Identity, str] | None = None,
    ) -> None:
        """`kept`: what stands in the endpoint Secrets of Integrations that refer to none; "" asks for a new token."""
        self._keys = keys
        self._values = values
        self._kept = kept or {}
        self._holders: Mapping[bytes, Identity] = {}

    def findings(self, flow: Flow) -> Mapping[Identity, Finding]:
        """What is wrong with given tokens: too short, or another Integration's."""
        found: dict[Identity, Finding] = {}
        owners = dict(self._holders)
        for identity, token in sorted(self._given(flow)):
            if len(token) < MINIMUM_TOKEN_LENGTH:
                message = f"the token has fewer than {MINIMUM_TOKEN_LENGTH} characters, so it is not used; use a longer random one"
            elif owners.setdefault(credentials.token_sha256(token), identity) != identity:
                message = f"the token is that of {owners[credentials.token_sha256(token)]}, so it is not used; give each Integration its own"
            else:
                continue
            found[identity] = Finding(
                field="" if identity in self._kept else "spec.auth.tokenSecretRef",
                reason=Reason.INVALID_TOKEN,
                message=message,
            )
        return found

    def store(self, connection: Connection, flow: Flow, now: Micros) -> None:
        """Writes changed secrets and tokens, entombs tokens of deleted Integrations, deletes what nothing refers to."""
        self._store_secrets(connection, flow, now)
        present = credentials.tokens(connection)
        # Whoever has a token keeps it: it cannot be taken away by writing it into another Secret.
        self._holders = {
            token.sha256: token.integration
            for token in present
            if token.entombed_until is None and token.integration in flow.manifest
        }
        refused = self.findings(flow)
        current = {token.integration: token for token in present if token.valid_until is None}
        given = {identity: token for identity, token in self._given(flow) if identity not in refused}
        known = {token.integration for token in present} | {token.sha256 for token in present}
        first: list[GivenToken] = []
        for identity, fragment in _integrations(flow):
            if fragment.auth.mode != AuthMode.TOKEN:
                continue
            token = given.get(identity)
            held = current.get(identity)
            if token is None and fragment.auth.token is None and (held is None or self._renewed(identity)):
                token = new_token()
            if (
                token is None
                and held is not None
                and held.entombed_until is not None
                and held.entombed_until > now
            ):
                token = credentials.reveal(connection, self._keys, identity)
            if token is None or _is_held(held, token):
                continue
            put = GivenToken(integration=identity, token=token, overlap=fragment.auth.rotation_overlap)
            if identity in known or credentials.token_sha256(token) in known:
                credentials.put_token(connection, self._keys, put, now)
            else:
                first.append(put)
        credentials.put_first_tokens(connection, self._keys, first, now)
        for token_of in {token.integration for token in present if token.entombed_until is None} - set(
            flow.manifest
        ):
            credentials.entomb(connection, token_of, Micros(now + DELETED_GRACE))

    def _store_secrets(self, connection: Connection, flow: Flow, now: Micros) -> None:
        wanted = {
            _name(key): key.digest for fragment in flow.fragments.values() for key in secret_keys(fragment)
        }
        stored = credentials.secret_digests(connection)
        changed = {
            name: (digest, self._values[name])
            for name, digest in wanted.items()
            if name in self._values and stored.get(name) != digest
        }
        credentials.put_secrets(connection, self._keys, changed, now)
        credentials.delete_unreferenced(connection, wanted.keys())

    def _renewed(self, identity: Identity) -> bool:
        return self._kept.get(identity) == ""

    def _given(self, flow: Flow) -> Iterable[tuple[Identity, str]]:
        """The tokens that Integrations name by reference, where the Secret is there, and those of endpoint Secrets."""
        for identity, fragment in _integrations(flow):
            key = fragment.auth.token
            if fragment.auth.mode != AuthMode.TOKEN:
                continue
            if key is None and self._kept.get(identity):
                yield identity, self._kept[identity]
            elif key is not None and _name(key) in self._values:
                yield identity, self._values[_name(key)].decode("utf-8", "replace").strip()


def _is_held(held: credentials.EndpointToken | None, token: str) -> bool:
    return held is not None and held.entombed_until is None and held.sha256 == credentials.token_sha256(token)


def _integrations(flow: Flow) -> Iterable[tuple[Identity, IntegrationFragment]]:
    for identity, digest in flow.manifest.items():
        fragment = flow.fragments[digest]
        if isinstance(fragment, IntegrationFragment):
            yield identity, fragment


def _name(key: SecretKey) -> SecretName:
    return (key.namespace, key.name, key.key)
