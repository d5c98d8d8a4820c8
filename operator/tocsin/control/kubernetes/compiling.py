"""From what has changed in the cluster to a compiled flow: read, resolve, compile. Nothing is written here."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable, Mapping

import msgspec

from tocsin.api.common import Identity, Metadata
from tocsin.api.objects import KINDS
from tocsin.control.kubernetes.declared import Parsed, parse_all, put
from tocsin.control.kubernetes.objects import Body, Objects
from tocsin.control.kubernetes.problems import Signals
from tocsin.control.kubernetes.references import Held, References
from tocsin.flow.compiler import Compiled, compile_flow
from tocsin.flow.inventory import Inventory
from tocsin.flow.model import Micros
from tocsin.sources.model import SourceType


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One compilation. `touched`: objects that were added, changed or removed; `secrets`: Secrets that were."""

    compiled: Compiled
    touched: frozenset[Identity]
    secrets: frozenset[Identity]


class Compiling:
    """Keeps the inventory and the last compilation. Belongs to one event loop; the work is done in threads."""

    def __init__(
        self, objects: Objects, references: References, types: Mapping[str, SourceType], signals: Signals
    ) -> None:
        self._objects = objects
        self._references = references
        self._types = types
        self._signals = signals
        self._inventory = Inventory()
        self.compiled: Compiled | None = None
        self.counts: dict[tuple[str, str], int] = {}

    @property
    def metadata(self) -> Mapping[Identity, Metadata]:
        """Of all objects as they were compiled."""
        return self._inventory.metadata

    @property
    def next_recheck(self) -> Micros | None:
        """When the same objects may compile to something else."""
        return min(self.compiled.state.rechecks.values(), default=None) if self.compiled else None

    async def run(self, now: Micros) -> Outcome:
        """Compiles what is known now. Whatever users wrote, this does not raise."""
        changes = self._objects.take()
        referred: list[tuple[Identity, Held | None]] = []
        try:
            parsed = await asyncio.to_thread(self._parse, changes)
            secrets = self._refer(changes, parsed)
            await self._references.resolve()
            referred = self._references.take()
            inventory, compiled = await asyncio.to_thread(self._compile, parsed, referred, now)
        except BaseException:
            self._objects.give_back(changes)
            self._references.give_back(referred)
            raise
        self._inventory, self.compiled = inventory, compiled
        return Outcome(compiled=compiled, touched=frozenset(parsed), secrets=secrets)

    def _parse(self, changes: Mapping[Identity, Body | None]) -> dict[Identity, tuple[Metadata, Parsed]]:
        return {
            identity: (metadata, found) for identity, metadata, found in parse_all(changes, self._signals.log)
        }

    def _refer(
        self,
        changes: Mapping[Identity, Body | None],
        parsed: Mapping[Identity, tuple[Metadata, Parsed]],
    ) -> frozenset[Identity]:
        for identity, body in changes.items():
            if identity.kind not in KINDS:
                self._references.watched(identity, body)
        for identity, (_, found) in parsed.items():
            self._references.declared(identity, None if isinstance(found, tuple) else found)
        return frozenset(identity for identity in changes if identity.kind == "Secret")

    def _compile(
        self,
        parsed: Mapping[Identity, tuple[Metadata, Parsed]],
        referred: Iterable[tuple[Identity, Held | None]],
        now: Micros,
    ) -> tuple[Inventory, Compiled]:
        began = time.perf_counter()
        draft = self._inventory.draft()
        for identity, (metadata, found) in parsed.items():
            put(draft, identity, metadata, found)
        self._references.put(draft, referred)
        inventory = draft.finish()
        compiled = compile_flow(inventory, types=self._types, now=now, previous=self.compiled)
        figures = self._signals.figures
        figures.compilations += 1
        figures.compile_seconds += time.perf_counter() - began
        self.counts = _counts(compiled)
        return inventory, compiled


def _counts(compiled: Compiled) -> dict[tuple[str, str], int]:
    """Objects by kind and verdict, for metrics."""
    found: Counter[tuple[str, str]] = Counter()
    for identity, report in compiled.reports.items():
        if not report.accepted:
            state = "rejected"
        elif report.partial_findings:
            state = "partially_invalid"
        else:
            state = "accepted" if report.resolved_refs else "unresolved"
        found[identity.kind, state] += 1
    return dict(found)
