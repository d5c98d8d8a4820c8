"""Tokens and secrets in memory, so that no request waits for the database to learn who its sender is.

Tokens are known by their SHA-256 only. A secret that was replaced still counts for the Integration's rotation overlap; that is
remembered by this process, so after a restart only the current value counts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection

from tocsin.flow.model import Micros
from tocsin.flow.program import Program
from tocsin.flow.secrets import secret_keys
from tocsin.receive.environment import Environment
from tocsin.store import Store, StoreError, credentials
from tocsin.store.credentials import EndpointToken, SecretName

POLL = 5.0
"""Seconds between two looks at the store for changes that came without a new flow."""

_MOST_VALUES = 3


class HeldSecret(NamedTuple):
    """`replaced_at` None: this is the current value."""

    value: str
    replaced_at: Micros | None = None


Secrets = Mapping[SecretName, tuple[HeldSecret, ...]]


class Credentials:
    """What `store.credentials` holds, as of the last `refresh`. The mappings are replaced, never changed."""

    def __init__(self, store: Store, environment: Environment) -> None:
        self._store = store
        self._environment = environment
        self._refreshed_at = float("-inf")
        self._refreshing = asyncio.Lock()
        self._needed: frozenset[SecretName] = frozenset()
        self.tokens: Mapping[bytes, EndpointToken] = {}
        self.secrets: Secrets = {}

    async def refresh(self, coming: Program | None = None) -> None:
        """Reads anew what the Integrations of the flow need, and nothing that only who sends messages needs.

        Called with the flow that is about to take effect. Raises StoreError.
        """
        async with self._refreshing:
            if coming is not None:
                self._needed = await asyncio.to_thread(needed, coming)
            tokens, values = await self._store.read(self._load)
            self._refreshed_at = self._environment.seconds()
            by_digest = {token.sha256: token for token in tokens}
            if by_digest != self.tokens:
                self.tokens = by_digest
            held = _held(self.secrets, values, self._environment.now())
            if held != self.secrets:
                self.secrets = held

    async def refresh_if_older(self, seconds: float) -> bool:
        """Looks again for a token that is not known (yet), but not more often than that; whether it did."""
        if self._environment.seconds() - self._refreshed_at < seconds:
            return False
        try:
            await self.refresh()
        except StoreError:
            return False
        return True

    async def follow(self) -> None:
        """Refreshes until cancelled. While the store cannot be reached what is known stays in use."""
        while True:
            await asyncio.sleep(POLL)
            await self.refresh_if_older(POLL / 2)

    def _load(self, connection: Connection) -> tuple[list[EndpointToken], Mapping[SecretName, bytes]]:
        secrets = credentials.load_secrets(connection, self._store.keys, self._needed) if self._needed else {}
        return credentials.tokens(connection), secrets


def needed(program: Program) -> frozenset[SecretName]:
    """What its Integrations authenticate their senders with."""
    return frozenset(
        (key.namespace, key.name, key.key)
        for integration in program.integrations.values()
        for key in secret_keys(integration.fragment)
    )


def _held(before: Secrets, values: Mapping[SecretName, bytes], now: Micros) -> Secrets:
    held: dict[SecretName, tuple[HeldSecret, ...]] = {}
    for name, raw in values.items():
        current = HeldSecret(raw.decode("utf-8", "replace"))
        known = before.get(name, ())
        if known and known[0] == current:
            held[name] = known
            continue
        old = [secret if secret.replaced_at else HeldSecret(secret.value, now) for secret in known]
        held[name] = (current, *old[: _MOST_VALUES - 1])
    return held
