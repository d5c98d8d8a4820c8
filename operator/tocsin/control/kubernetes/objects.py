"""The cluster's objects as last seen, put together from events and lists that arrive in any order.

Two rules keep it right. Of two versions the newer one stays, by `resourceVersion`, and what was deleted does not come
back with an older one. And a list is the truth about everything that was known before it was asked for: the API server
answers it from its present state, so what it lacks is gone even if no event ever said so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tocsin.api.common import Identity
from tocsin.control.kubernetes.fingerprint import fingerprint

Body = Mapping[str, Any]

_UNREAD = ("managedFields", "annotations", "ownerReferences", "finalizers")
_READ_OF_SECRETS = ("ownerReferences",)


@dataclass(slots=True)
class Known:
    """One object as last seen. `arrived` orders arrivals of this process."""

    uid: str
    version: str
    mark: bytes
    arrived: int
    leaving: bool
    status: Mapping[str, Any] = field(default_factory=dict)
    generation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A list that is being read. `arrived` is the last arrival before it was asked for."""

    kind: str
    namespace: str | None
    arrived: int
    seen: set[Identity] = field(default_factory=set)


class Objects:
    """Belongs to one event loop. `changed` are bodies (None: gone) that nobody has taken yet."""

    def __init__(self) -> None:
        self._known: dict[str, dict[Identity, Known]] = {}
        self._gone: dict[Identity, tuple[str, int]] = {}
        self._arrived = 0
        self.changed: dict[Identity, Body | None] = {}

    def get(self, identity: Identity) -> Known | None:
        return self._known.get(identity.kind, {}).get(identity)

    def of(self, kind: str) -> Mapping[Identity, Known]:
        return self._known.get(kind, {})

    def put(self, kind: str, body: Body) -> bool:
        """An object that was added or changed, or may have been; True if that is news to the compiler."""
        return self._put(_identity(kind, body), body, trusted_since=None)

    def drop(self, kind: str, body: Body) -> bool:
        """An object that was deleted, or that no longer matches the selector."""
        identity, version = _identity(kind, body), _version(body)
        known = self.get(identity)
        if known is not None and _older(version, known.version):
            return False
        return self._forget(identity, version)

    def take(self) -> Mapping[Identity, Body | None]:
        """What has changed since the last call."""
        taken, self.changed = self.changed, {}
        return taken

    def give_back(self, changes: Mapping[Identity, Body | None]) -> None:
        """What was taken and could not be used; later news win."""
        self.changed = {**changes, **self.changed}

    def begin(self, kind: str, namespace: str | None) -> Sweep:
        """To be called before a list is asked for."""
        return Sweep(kind=kind, namespace=namespace, arrived=self._arrived)

    def listed(self, sweep: Sweep, bodies: Iterable[Body]) -> list[Identity]:
        """Takes a page of the list; the objects that were unknown or known otherwise."""
        news = []
        for body in bodies:
            identity = _identity(sweep.kind, body)
            sweep.seen.add(identity)
            if self._put(identity, body, trusted_since=sweep.arrived):
                news.append(identity)
        return news

    def finish(self, sweep: Sweep, version: str) -> list[Identity]:
        """After the last page of a list of this `version`: removes what it lacks; the objects that are gone."""
        gone = [
            identity
            for identity, known in self.of(sweep.kind).items()
            if identity not in sweep.seen
            and sweep.namespace in (None, identity.namespace)
            and (known.arrived <= sweep.arrived or not _older(version, known.version))
        ]
        for identity in gone:
            self._forget(identity, version)
        # Whoever was deleted before this list was asked for cannot come back with an older version any more.
        for identity, (_, arrived) in list(self._gone.items()):
            if identity.kind == sweep.kind and arrived <= sweep.arrived:
                del self._gone[identity]
        return gone

    def forget_scope(self, kind: str) -> None:
        """Everything of a kind is unknown from now on."""
        for identity in list(self.of(kind)):
            self._forget(identity, "")

    def _put(self, identity: Identity, body: Body, *, trusted_since: int | None) -> bool:
        version, known = _version(body), self.get(identity)
        # A list knows better than anything that arrived before it was asked for, whatever the versions say:
        # after a restore of etcd they start again from lower numbers.
        outdone = trusted_since is None or known is None or known.arrived > trusted_since
        if known is not None and outdone and _older(version, known.version):
            return False
        gone = self._gone.get(identity)
        if gone is not None and (trusted_since is None or gone[1] > trusted_since):
            if not _older(gone[0], version):
                return False
            del self._gone[identity]
        self._arrived += 1
        metadata = body["metadata"]
        mark = fingerprint(identity.kind, body)
        leaving = bool(metadata.get("deletionTimestamp"))
        before = None if known is None else known.mark
        self._known.setdefault(identity.kind, {})[identity] = Known(
            uid=str(metadata.get("uid") or ""),
            version=version,
            mark=mark,
            arrived=self._arrived,
            leaving=leaving,
            status=body.get("status") or {},
            generation=int(metadata.get("generation") or 0),
        )
        if mark == before:
            return False
        self.changed[identity] = None if leaving else _slim(identity.kind, body)
        return True

    def _forget(self, identity: Identity, version: str) -> bool:
        self._arrived += 1
        if version:
            self._gone[identity] = (version, self._arrived)
        known = self._known.get(identity.kind, {}).pop(identity, None)
        if known is None:
            return False
        self.changed[identity] = None
        return True


def _identity(kind: str, body: Body) -> Identity:
    metadata = body["metadata"]
    return Identity(kind, metadata.get("namespace") or "", metadata["name"])


def _version(body: Body) -> str:
    return str(body["metadata"].get("resourceVersion") or "")


def _older(one: str, other: str) -> bool:
    """Whether `one` is surely older. Versions that are no numbers cannot be compared: then what arrives is taken."""
    return one.isdecimal() and other.isdecimal() and int(one) < int(other)


def _slim(kind: str, body: Body) -> Body:
    """Without what nobody reads; a cluster of 10,000 objects has megabytes of it."""
    unread = tuple(name for name in _UNREAD if kind != "Secret" or name not in _READ_OF_SECRETS)
    metadata = {name: value for name, value in body["metadata"].items() if name not in unread}
    return {**{name: value for name, value in body.items() if name != "status"}, "metadata": metadata}
