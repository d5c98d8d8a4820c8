"""The keys that encrypt credentials in the database, in a Secret: made once, never changed by Tocsin."""

from __future__ import annotations

import asyncio
import base64
import secrets

from structlog.typing import FilteringBoundLogger

from tocsin.control.kubernetes.client import Api, ApiError
from tocsin.control.kubernetes.login import Login, LoginFailed, own_namespace
from tocsin.control.kubernetes.own_secrets import SecretApi, decoded, read_or_create, secret

ENTRY = "keys"
_RETRY = 2.0
_SELDOM = 30.0


class NoKeys(Exception):
    """The Secret is there, and there are no keys in it."""


async def read_keys(api: SecretApi, namespace: str, name: str, *, seed: str = "") -> str:
    """The entry `keys` of the Secret. If there is no such Secret it is made, with `seed` or one new random key.

    All replicas that ask get the same, whoever was first. Raises ApiError and NoKeys.
    """
    made = seed or base64.b64encode(secrets.token_bytes(32)).decode("ascii")
    stored = await read_or_create(
        api, namespace, name, lambda: secret(namespace, name, {ENTRY: made.encode()})
    )
    found = decoded(stored).get(ENTRY, b"").decode("utf-8", "replace").strip()
    if not found:
        raise NoKeys(
            f"Secret {name} in namespace {namespace} has no entry {ENTRY!r}: add it, or delete the Secret"
        )
    return found


async def wait_for_keys(login: Login, name: str, log: FilteringBoundLogger, *, seed: str = "") -> str:
    """Asks until there is an answer: without keys nothing can be stored. What it waits for is logged once."""
    said, pause = "", _RETRY
    async with Api(login) as api:
        while True:
            try:
                namespace = own_namespace(await asyncio.to_thread(login))
                return await read_keys(api, namespace, name, seed=seed)
            except (ApiError, LoginFailed, NoKeys) as error:
                reason = str(error)
            if reason != said:
                log.warning("waiting for the keys", secret_name=name, reason=reason)
                said = reason
            await asyncio.sleep(pause)
            pause = min(1.5 * pause, _SELDOM)
