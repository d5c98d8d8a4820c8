"""Programmed: proof that the running replicas have loaded an object's generation, because they said so.

An object becomes programmed once every live replica of the roles that use its kind has acknowledged the revision that
holds its generation, or a later one. Once it is, it stays so for that generation: replicas that come and go, restarts
and other objects' changes never rewrite it; only that nobody at all is left to enforce it does. Pure; moments are any seconds that do not go back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from tocsin.api.common import Identity
from tocsin.flow.compiler.standing import TELLING
from tocsin.flow.status import (
    DISPATCHED,
    NO_DISPATCHERS,
    NO_RECEIVERS,
    PENDING,
    PROGRAMMED,
    UNDISPATCHED,
    Programming,
)
from tocsin.store.replicas import Replica

NAMED_AFTER = 5.0
"""Seconds after which a status says for whom it waits."""
_NAMED = 3
NOBODY_FOR = 20.0
"""Seconds without a single replica after which nothing is claimed any more; a restart takes less."""

_RECEIVING = frozenset({"all", "receiver"})
_DISPATCHING = frozenset({"all", "dispatcher"})
_ROLES: Mapping[str, frozenset[str]] = {
    "Integration": frozenset({"all", "receiver", "dispatcher"}),
    "AlertRoute": frozenset({"all", "receiver", "dispatcher"}),
    "MaintenanceWindow": frozenset({"all", "receiver", "dispatcher"}),
    "AlertTemplate": _RECEIVING,
    "LabelRule": _RECEIVING,
    **dict.fromkeys(TELLING, _DISPATCHING),
}
"""Which roles enforce a kind."""


class _Words(NamedTuple):
    """What is said of a kind that needs replicas of these roles."""

    needed: frozenset[str]
    done: Programming
    waiting: Programming
    nobody: Programming


_OF_RECEIVERS = _Words(_RECEIVING, PROGRAMMED, PENDING, NO_RECEIVERS)
_OF_DISPATCHERS = _Words(_DISPATCHING, DISPATCHED, UNDISPATCHED, NO_DISPATCHERS)


@dataclass(slots=True)
class Proof:
    """What is to be proven of one object. `revision` is the first that holds this generation."""

    uid: str
    generation: int
    revision: int
    since: float
    programming: Programming


def _words_of(kind: str) -> _Words:
    return _OF_DISPATCHERS if kind in TELLING else _OF_RECEIVERS


class Programmed:
    """Follows objects from publication to proof."""

    def __init__(self) -> None:
        self._proofs: dict[Identity, Proof] = {}
        self._open: set[Identity] = set()
        self._replicas: tuple[Replica, ...] = ()
        self._nobody_since: dict[frozenset[str], float] = {}

    @property
    def waits(self) -> bool:
        """Whether anything still waits for replicas."""
        return bool(self._open)

    def of(self, identity: Identity, generation: int) -> Programming:
        proof = self._proofs.get(identity)
        if proof is None or proof.generation != generation:
            return _words_of(identity.kind).waiting
        return proof.programming

    def knows(self, identity: Identity) -> bool:
        """Whether any generation of this object was published or remembered."""
        return identity in self._proofs

    def remember(self, identity: Identity, uid: str, generation: int) -> None:
        """The object's own status says that this generation is programmed: it was proven before."""
        self._proofs[identity] = Proof(uid, generation, 0, 0.0, _words_of(identity.kind).done)
        self._open.discard(identity)

    def publish(self, identity: Identity, uid: str, generation: int, *, revision: int, now: float) -> None:
        """The generation is part of `revision`. One that is proven or waits already goes on as it is."""
        proof = self._proofs.get(identity)
        if proof is not None and (proof.uid, proof.generation) == (uid, generation):
            return
        self._proofs[identity] = Proof(uid, generation, revision, now, _words_of(identity.kind).waiting)
        self._open.add(identity)

    def forget(self, identity: Identity) -> None:
        self._proofs.pop(identity, None)
        self._open.discard(identity)

    def acknowledge(self, replicas: Iterable[Replica], now: float) -> set[Identity]:
        """The live replicas as they are now; the objects of which something else is to be said."""
        self._replicas = tuple(replicas)
        self._withdraw(now)
        changed: set[Identity] = set()
        for identity in sorted(self._open):
            proof = self._proofs[identity]
            programming = judge(identity.kind, proof.revision, self._replicas, waited=now - proof.since)
            if programming != proof.programming:
                proof.programming = programming
                changed.add(identity)
            if programming.programmed:
                self._open.discard(identity)
        return changed

    def _withdraw(self, now: float) -> None:
        """What nobody enforces any more has to be proven anew."""
        for words in (_OF_RECEIVERS, _OF_DISPATCHERS):
            if any(replica.role in words.needed for replica in self._replicas):
                self._nobody_since.pop(words.needed, None)
            elif now - self._nobody_since.setdefault(words.needed, now) >= NOBODY_FOR:
                self._open.update(i for i in self._proofs if _words_of(i.kind) is words)


def judge(kind: str, revision: int, replicas: Collection[Replica], *, waited: float) -> Programming:
    """Whether all that count have loaded `revision`. A replica that has loaded nothing yet does not count."""
    users = [replica for replica in replicas if replica.role in _ROLES[kind]]
    words = _words_of(kind)
    if not any(replica.role in words.needed for replica in users):
        return words.nobody
    counted = [replica for replica in users if replica.revision > 0]
    behind = sorted(replica.id for replica in counted if replica.revision < revision)
    ready = any(replica.role in words.needed for replica in counted)
    if ready and not behind:
        return words.done
    if waited <= NAMED_AFTER or not behind:
        return words.waiting
    named = ", ".join(behind[:_NAMED])
    more = f" and {len(behind) - _NAMED} more" if len(behind) > _NAMED else ""
    message = f"{words.waiting.message}: waiting for {named}{more}; look at their logs if this lasts"
    return msgspec.structs.replace(words.waiting, message=message)
