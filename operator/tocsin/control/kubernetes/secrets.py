"""The endpoint Secret of each Integration: token and URLs, owned by the Integration, read and rewritten by people's leave.

The Secret is kept as the store has it. Two edits are wishes and are obeyed: another token of at least 20 characters
becomes the token, and an empty one asks for a new one; the old token stays valid for `spec.auth.rotationOverlap`. A
Secret that was deleted comes back with the same token. One of that name that is not Tocsin's is never touched.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from tocsin.api.common import API_GROUP, API_VERSION, Identity
from tocsin.control.kubernetes.client import Api, ApiError, Object
from tocsin.control.kubernetes.limiter import Limiter
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.references import Held, References, endpoint_secret
from tocsin.control.kubernetes.resources import SECRETS, WATCH_LABEL
from tocsin.control.kubernetes.statuses import MANAGER
from tocsin.control.vault import MINIMUM_TOKEN_LENGTH
from tocsin.flow.model import Flow, IntegrationFragment
from tocsin.store import credentials
from tocsin.store.keys import KeyRing

_BEING_WRITTEN = "its endpoint Secret is being written"
_RATE = 50.0
_TOGETHER = 8
_MANAGED = "app.kubernetes.io/managed-by"
_KEYS = ("token", "url", "externalUrl", "heartbeatUrl", "externalHeartbeatUrl")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bases:
    """What URLs begin with. `internal`: inside the cluster; `external` may be empty."""

    internal: str = ""
    external: str = ""


class Endpoints:
    """Writes endpoint Secrets, and tells what people wrote into them. Belongs to one event loop."""

    def __init__(self, api: Api, references: References, bases: Bases, signals: Signals) -> None:
        self._api = api
        self._references = references
        self._bases = bases
        self._problems = signals.problems
        self._figures = signals.figures
        self._limiter = Limiter(_RATE, burst=20)
        self._obeyed: set[tuple[Identity, str]] = set()
        self._due: set[Identity] = set()
        self._more = asyncio.Event()
        self.trouble: dict[Identity, str] = {}
        """Integrations whose Secret is not as it should be (yet), and why."""

    def kept(self, integrations: Mapping[Identity, str]) -> Mapping[Identity, str]:
        """Integration (with its uid) -> the token in its Secret; "" asks for a new one. Those without are left out."""
        found: dict[Identity, str] = {}
        for integration, uid in integrations.items():
            held = self._references.held(endpoint_secret(integration))
            if held is None or not _is_ours(held, integration):
                continue
            token = _token(held)
            if len(token) >= MINIMUM_TOKEN_LENGTH or (
                "token" in held.data and not token and (integration, _edition(held, uid)) not in self._obeyed
            ):
                found[integration] = token
        return found

    def obey(self, integrations: Mapping[Identity, str]) -> None:
        """The wishes that `kept` told are published: they are not wishes any more."""
        for integration, uid in integrations.items():
            held = self._references.held(endpoint_secret(integration))
            if held is not None:
                self._obeyed.add((integration, _edition(held, uid)))

    def ensure(self, integrations: Iterable[Identity]) -> None:
        """Their Secrets are looked at soon; until then those that hold no token count as not written."""
        for integration in integrations:
            self._due.add(integration)
            held = self._references.held(endpoint_secret(integration))
            # One that is there is not in doubt while it is compared: a new leader compares all of them.
            if held is None or not _is_ours(held, integration) or len(_token(held)) < MINIMUM_TOKEN_LENGTH:
                self.trouble.setdefault(integration, _BEING_WRITTEN)
        self._more.set()

    @property
    def busy(self) -> bool:
        """Whether Secrets are about to be written."""
        return any(trouble == _BEING_WRITTEN for trouble in self.trouble.values())

    def forget(self, integration: Identity) -> None:
        self._due.discard(integration)
        self.trouble.pop(integration, None)

    def take(self) -> list[Identity]:
        """What is due now."""
        due, self._due = sorted(self._due), set()
        self._more.clear()
        return due

    async def wait(self) -> None:
        await self._more.wait()

    async def write(self, wanted: Mapping[Identity, Wanted]) -> set[Identity]:
        """Brings the Secrets of these Integrations up to date; those of which something else is to be said now."""
        limit = asyncio.Semaphore(_TOGETHER)
        changed: set[Identity] = set()

        async def write(integration: Identity, what: Wanted) -> None:
            async with limit:
                before = self.trouble.get(integration)
                await self._write(integration, what)
                if self.trouble.get(integration) != before:
                    changed.add(integration)

        await asyncio.gather(*(write(integration, what) for integration, what in wanted.items()))
        return changed

    async def _write(self, integration: Identity, what: Wanted) -> None:
        identity = endpoint_secret(integration)
        desired = what.secret(identity, self._bases)
        held = self._references.held(identity)
        if held is not None and not _is_ours(held, integration):
            self.trouble[integration] = (
                f"Secret {identity.name} exists and is not Tocsin's: rename it, or name it under spec.auth.tokenSecretRef"
            )
            return
        if held is not None and _says(held, desired):
            self.trouble.pop(integration, None)
            return
        if held is not None and _token(held) != what.token and len(_token(held)) >= MINIMUM_TOKEN_LENGTH:
            # Somebody's wish that is not published yet must not be overwritten.
            self.trouble[integration] = f"the token in Secret {identity.name} is not in use (yet)"
            return
        await self._limiter.wait()
        try:
            answer = await self._api.apply(
                SECRETS.path(identity.namespace, identity.name), desired, manager=MANAGER
            )
        except ApiError as error:
            self._failed(integration, identity, error)
            return
        self._figures.count("secret", "ok")
        self._problems.solve("write secrets")
        self._references.watched(identity, answer)
        self.trouble.pop(integration, None)

    def _failed(self, integration: Identity, identity: Identity, error: ApiError) -> None:
        self._figures.count("secret", error.reason or str(error.status))
        self.trouble[integration] = f"Secret {identity.name} cannot be written: {error}"
        if error.status == 403:
            self._problems.report("write secrets", "Forbidden", self.trouble[integration])
        self._limiter.pause(error.retry_after or (1.0 if error.temporary else 0.0))
        if error.status != 404:  # the namespace is gone, and the Integration with it
            asyncio.get_running_loop().call_later(
                2.0 if error.temporary or error.status == 409 else 30.0, self._again, integration
            )

    def _again(self, integration: Identity) -> None:
        if integration in self.trouble:
            self._due.add(integration)
            self._more.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What an endpoint Secret is made from."""

    uid: str
    type: str
    token: str
    heartbeat: bool

    def secret(self, identity: Identity, bases: Bases) -> Object:
        """The body of a server-side apply."""
        integration = identity.name.removesuffix("-endpoint")
        path = f"/integrations/v1/{self.type}/{self.token}/"
        values = {"token": self.token}
        for key, base in (("url", bases.internal), ("externalUrl", bases.external)):
            if base:
                values[key] = base.rstrip("/") + path
        if self.heartbeat:
            urls = (("heartbeatUrl", "url"), ("externalHeartbeatUrl", "externalUrl"))
            values |= {key: f"{values[of]}heartbeat/" for key, of in urls if of in values}
        owner = {
            "apiVersion": API_VERSION,
            "kind": "Integration",
            "name": integration,
            "uid": self.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": identity.name,
                "namespace": identity.namespace,
                "labels": {_MANAGED: "tocsin", WATCH_LABEL: "true"},
                "ownerReferences": [owner],
            },
            "type": "Opaque",
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()},
        }


def wanted_by(
    connection: Connection, keys: KeyRing, flow: Flow, integrations: Mapping[Identity, str]
) -> dict[Identity, Wanted]:
    """What the Secrets of these Integrations (with their uids) should hold. Raises DecryptionFailed."""
    found = {}
    for integration, uid in integrations.items():
        fragment = flow.fragment(integration)
        token = credentials.reveal(connection, keys, integration)
        if isinstance(fragment, IntegrationFragment) and token is not None:
            found[integration] = Wanted(
                uid=uid, type=fragment.type, token=token, heartbeat=fragment.heartbeat is not None
            )
    return found


def _is_ours(held: Held, integration: Identity) -> bool:
    return any(owner.get("name") == integration.name for owner in _owners(held))


def _owners(held: Held) -> Iterator[Mapping[str, Any]]:
    for owner in held.body.get("ownerReferences") or ():
        group = str(owner.get("apiVersion", "")).partition("/")[0]
        if group == API_GROUP and owner.get("kind") == "Integration":
            yield owner


def _token(held: Held) -> str:
    return held.data.get("token", b"").decode("utf-8", "replace").strip()


def _edition(held: Held, uid: str) -> str:
    """Tells an empty token from the next empty token, written after the first wish was fulfilled."""
    return f"{uid} {held.version}"


def _says(held: Held, desired: Object) -> bool:
    data = {key: base64.b64encode(value).decode() for key, value in held.data.items()}
    metadata = desired["metadata"]
    labels = held.body.get("labels") or {}
    owners = {owner.get("uid") for owner in _owners(held)}
    return (
        all(data.get(key) == desired["data"].get(key) for key in _KEYS)
        and all(labels.get(key) == value for key, value in metadata["labels"].items())
        and metadata["ownerReferences"][0]["uid"] in owners
    )
