"""What declared objects refer to outside of Tocsin's kinds: Secrets, ConfigMaps, labels of Namespaces.

Secrets and ConfigMaps with the label tocsin.dev/watch=true are watched; the others are read one by one when an object
first refers to them, and again every minute. Values stay in this process's memory and in the store, encrypted; the
flow gets keyed digests.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tocsin.api.common import Identity, Sharing, SharingFrom
from tocsin.api.integration import AuthMode, Integration
from tocsin.api.objects import AnyObject
from tocsin.control.kubernetes.client import Api, ApiError
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.resources import CONFIG_MAPS, NAMESPACES, SECRETS, Resource, Scope
from tocsin.control.needs import needs_of
from tocsin.flow.inventory import Draft, SecretId

REFRESH_EVERY = 60.0
_TOGETHER = 16

_RESOURCES: Mapping[str, Resource] = {r.kind: r for r in (SECRETS, CONFIG_MAPS, NAMESPACES)}


class Held(NamedTuple):
    """An object as last read. `data`: decoded values of a Secret or ConfigMap. `body`: some of its metadata."""

    data: Mapping[str, bytes]
    body: Mapping[str, Any]
    version: str = ""

    def __repr__(self) -> str:
        return f"Held({sorted(self.data)})"


def endpoint_secret(integration: Identity) -> Identity:
    """The Secret that Tocsin keeps for an Integration without a token of its own."""
    return Identity("Secret", integration.namespace, f"{integration.name}-endpoint")


def has_endpoint_secret(integration: Integration) -> bool:
    auth = integration.spec.auth
    return auth.mode is AuthMode.TOKEN and auth.token_secret_ref is None


class References:
    """What is needed, what is watched, and what was read. Belongs to one event loop."""

    def __init__(self, api: Api, scope: Scope, digest: Callable[[bytes], str], signals: Signals) -> None:
        self._api = api
        self._scope = scope
        self._digest = digest
        self._problems = signals.problems
        self._needs: dict[Identity, frozenset[Identity]] = {}
        self._watched: dict[Identity, Held] = {}
        self._read: dict[Identity, Held | None] = {}
        self._changed: set[Identity] = set()

    def watched(self, identity: Identity, body: Mapping[str, Any] | None) -> None:
        """A watched Secret, ConfigMap or Namespace as it is now; None: gone, or no longer labelled."""
        self._changed.add(identity)
        self._read.pop(identity, None)
        if body is None:
            self._watched.pop(identity, None)
        else:
            self._watched[identity] = _held(body)

    def declared(self, identity: Identity, declared: AnyObject | None) -> None:
        """An object of Tocsin's kinds as it is now; what it refers to is read again."""
        needs = frozenset(self._needs_of(identity, declared))
        if needs:
            self._needs[identity] = needs
        else:
            self._needs.pop(identity, None)
        for need in needs - self._watched.keys():
            self._read.pop(need, None)

    async def resolve(self) -> None:
        """Reads what is needed and not known. What cannot be read now stays as it was, else counts as missing."""
        needed = frozenset[Identity]().union(*self._needs.values())
        for identity in self._read.keys() - needed:
            del self._read[identity]
            self._changed.add(identity)
        await self._read_all(needed - self._watched.keys() - self._read.keys())

    async def refresh(self) -> bool:
        """Reads again what is not watched; True if anything is different."""
        await self._read_all(list(self._read))
        return bool(self._changed)

    def take(self) -> list[tuple[Identity, Held | None]]:
        """What changed since the last call, for `put`."""
        changed = [(identity, self.held(identity)) for identity in sorted(self._changed)]
        self._changed.clear()
        return changed

    def give_back(self, changed: Iterable[tuple[Identity, Held | None]]) -> None:
        """What was taken and could not be used."""
        self._changed.update(identity for identity, _ in changed)

    def put(self, draft: Draft, changed: Iterable[tuple[Identity, Held | None]]) -> None:
        """Puts what was taken into an inventory. May run in any thread."""
        for (kind, namespace, name), held in changed:
            if kind == "Secret":
                digests = None if held is None else {k: self._digest(v) for k, v in held.data.items()}
                draft.secret(namespace, name, digests)
            elif kind == "ConfigMap":
                texts = (
                    None if held is None else {k: v.decode("utf-8", "replace") for k, v in held.data.items()}
                )
                draft.config_map(namespace, name, texts)
            else:
                draft.namespace(name, None if held is None else _labels(held.body))

    def held(self, identity: Identity) -> Held | None:
        return self._watched.get(identity) or self._read.get(identity)

    def values(self) -> Mapping[SecretId, bytes]:
        """Every value of a Secret that is known."""
        return {
            (identity.namespace, identity.name, key): value
            for source in (self._read, self._watched)
            for identity, held in source.items()
            if identity.kind == "Secret" and held is not None
            for key, value in held.data.items()
        }

    async def _read_all(self, identities: Iterable[Identity]) -> None:
        limit = asyncio.Semaphore(_TOGETHER)

        async def read(identity: Identity) -> None:
            async with limit:
                await self._read_one(identity)

        await asyncio.gather(*(read(identity) for identity in sorted(identities)))

    async def _read_one(self, identity: Identity) -> None:
        resource = _RESOURCES[identity.kind]
        before = self._read.get(identity)
        try:
            held = _held(await self._api.get(resource.path(identity.namespace, identity.name)))
            self._problems.solve(f"get {resource.plural}")
        except ApiError as error:
            if error.status == 403:
                message = f"the service account may not get {resource.plural} in namespace {identity.namespace}: grant it (see charts/tocsin)"
                self._problems.report(f"get {resource.plural}", "Forbidden", message)
            elif error.status != 404:
                # What was good a minute ago is better than nothing while the API server is away.
                self._read.setdefault(identity, None)
                return
            held = None
        if identity in self._watched:
            return  # an event overtook the answer
        if held is None or before is None or held.data != before.data or held.body != before.body:
            self._changed.add(identity)
        self._read[identity] = held

    def _needs_of(self, identity: Identity, declared: AnyObject | None) -> Iterator[Identity]:
        if declared is None:
            return
        yield from needs_of(identity, declared)
        sharing = getattr(declared.spec, "sharing", Sharing())
        if self._scope.namespaces and sharing.namespaces.from_ is SharingFrom.SELECTOR:
            yield from (Identity("Namespace", "", name) for name in self._scope.namespaces)
        if isinstance(declared, Integration) and has_endpoint_secret(declared):
            yield endpoint_secret(identity)


def _held(body: Mapping[str, Any]) -> Held:
    encoded = body.get("kind") == "Secret" or "type" in body
    data = {key: _bytes(text, encoded=encoded) for key, text in (body.get("data") or {}).items()}
    data |= {key: _bytes(text, encoded=True) for key, text in (body.get("binaryData") or {}).items()}
    metadata = body.get("metadata") or {}
    kept = {key: metadata.get(key) for key in ("labels", "ownerReferences", "uid")}
    return Held(data, kept, str(metadata.get("resourceVersion") or ""))


def _bytes(text: Any, *, encoded: bool) -> bytes:
    if not encoded:
        return str(text).encode()
    try:
        return base64.b64decode(str(text), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _labels(body: Mapping[str, Any]) -> Mapping[str, str]:
    labels: Mapping[str, str] | None = body.get("labels")
    return labels or {}
