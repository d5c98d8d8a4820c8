"""One compilation: from the difference of two inventories to the flow and the reports.

Five steps, each on what the one before has marked: every object by itself; AlertTemplates; Integrations with what
they refer to, the links of routes, rules and windows, and whoever is told; the assembly of Integrations; reports. An
object is
compiled again if it changed, or if something changed that its last compilation looked at (`Reader.seen`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tocsin.api.common import Identity
from tocsin.flow.compiler import reports
from tocsin.flow.compiler.alone import compile_alone
from tocsin.flow.compiler.attachments import Parts, assemble, moved_routes
from tocsin.flow.compiler.changes import changed_keys, changed_objects
from tocsin.flow.compiler.integrations import complete_integration
from tocsin.flow.compiler.links import NO_LINKS, Links, link_source
from tocsin.flow.compiler.local import Local
from tocsin.flow.compiler.reading import Key, Members, Reader
from tocsin.flow.compiler.report import Report
from tocsin.flow.compiler.standing import TELLING, is_telling
from tocsin.flow.compiler.state import State
from tocsin.flow.compiler.telling import compile_telling
from tocsin.flow.compiler.templates import compile_template
from tocsin.flow.inventory import Inventory
from tocsin.flow.model import (
    AnyFragment,
    Flow,
    Micros,
    digest_of,
    encode_fragment,
    lines_digest,
)
from tocsin.sources.model import SourceType

SOURCES = ("AlertRoute", "LabelRule", "MaintenanceWindow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A flow and what is to be said of every declared object, valid or not.

    `changed` are the objects whose report or fragment differs from the previous compilation's.
    """

    flow: Flow
    reports: Mapping[Identity, Report]
    changed: frozenset[Identity]
    state: State = field(repr=False, compare=False)
    """For the next compilation only."""


def compile_flow(
    inventory: Inventory,
    *,
    types: Mapping[str, SourceType],
    now: Micros,
    previous: Compiled | None = None,
) -> Compiled:
    """Pure: equal arguments give equal flows and reports, and `previous` changes nothing but the time it takes.

    `now` decides only whether a window still has an occurrence ahead. Never raises for anything that a user wrote.
    """
    types = dict(types)
    before = State() if previous is None else previous.state
    if before.types != types or before.inventory.secrets_known != inventory.secrets_known:
        before = State(types=types)
    return Compilation(before, inventory, types, now).run()


class Compilation:
    """The working copy of the state, and what is still to do."""

    def __init__(
        self, before: State, inventory: Inventory, types: Mapping[str, SourceType], now: Micros
    ) -> None:
        self._before = before
        self._inventory = inventory
        self._types = types
        self._now = now
        self._state = before.successor(inventory, types)
        self._members = Members(inventory)
        self._assemble: set[Identity] = set()
        self._report: set[Identity] = set()
        self._changed: set[Identity] = set()

    def run(self) -> Compiled:
        objects = changed_objects(self._before.inventory, self._inventory)
        keys = changed_keys(self._before.inventory, self._inventory, objects)
        due = {identity for identity, moment in self._state.rechecks.items() if moment <= self._now}
        for identity in objects | due:
            self._compile_alone(identity)
        dirty = objects | due | self._state.reads.to_any(keys)
        dirty |= self._compile_templates(dirty)
        for identity in dirty:
            if identity.kind == "Integration":
                self._complete(identity)
            elif identity.kind in SOURCES:
                self._link(identity)
            elif identity.kind in TELLING:
                self._tell(identity)
        for identity in self._assemble:
            self._put_together(identity)
        self._report |= dirty
        for identity in self._report:
            self._make_report(identity)
        return self._result()

    def _compile_alone(self, identity: Identity) -> None:
        if identity.kind in TELLING:
            return
        self._keep(identity, self._local(identity))
        if identity.kind in SOURCES:
            self._assemble |= self._state.attached.of(identity)

    def _keep(self, identity: Identity, local: Local | None) -> None:
        state = self._state
        if local is None:
            state.locals.pop(identity, None)
        else:
            state.locals[identity] = local
        if local is not None and local.recheck is not None:
            state.rechecks[identity] = local.recheck
        else:
            state.rechecks.pop(identity, None)

    def _local(self, identity: Identity) -> Local | None:
        declared = self._inventory.objects(identity.kind).get(identity)
        return None if declared is None else compile_alone(identity, declared, self._types, self._now)

    def _compile_templates(self, dirty: Iterable[Identity]) -> set[Identity]:
        """Compiles AlertTemplates again; the result are the Integrations that read those."""
        again = {identity for identity in dirty if identity.kind == "AlertTemplate"}
        for identity in again:
            template = self._inventory.templates.get(identity)
            if template is None:
                self._state.sets.pop(identity, None)
                self._state.reads.assign(identity, ())
                continue
            reader = self._reader()
            self._state.sets[identity] = compile_template(identity, template, reader)
            self._state.reads.assign(identity, reader.seen)
        return self._state.reads.to_any(again)

    def _complete(self, identity: Identity) -> None:
        state = self._state
        integration, local = self._inventory.integrations.get(identity), state.locals.get(identity)
        rivals = self._rivals(identity)
        if integration is None or local is None or local.fragment is None:
            state.owns.pop(identity, None)
            state.reads.assign(identity, ())
            self._report |= state.uses.assign(identity, ())
            state.claims.assign(identity, ())
        else:
            reader = self._reader()
            own = complete_integration(identity, integration, local, reader, state.sets)
            state.owns[identity] = own
            state.reads.assign(identity, reader.seen)
            self._report |= state.uses.assign(identity, own.uses)
            state.claims.assign(identity, own.claims)
        self._assemble |= rivals | self._rivals(identity) | {identity}

    def _rivals(self, identity: Identity) -> set[Identity]:
        return self._state.claims.to_any(self._state.claims.of(identity))

    def _link(self, identity: Identity) -> None:
        state = self._state
        inventory = self._inventory
        declared = (
            inventory.routes.get(identity) or inventory.rules.get(identity) or inventory.windows.get(identity)
        )
        local = state.locals.get(identity)
        links: Links = NO_LINKS
        seen: Iterable[Key] = ()
        if declared is not None and local is not None and local.active:
            reader = self._reader()
            links = link_source(identity, declared, local.fragment, reader)
            seen = reader.seen
        if links is NO_LINKS:
            state.links.pop(identity, None)
        else:
            state.links[identity] = links
        state.reads.assign(identity, seen)
        self._put_fragment(identity, links.fragment)
        self._report |= state.uses.assign(identity, links.uses)
        self._assemble |= state.attached.assign(identity, links.targets)

    def _tell(self, identity: Identity) -> None:
        state = self._state
        declared = self._inventory.objects(identity.kind).get(identity)
        local: Local | None = None
        uses: Iterable[Identity] = ()
        seen: Iterable[Key] = ()
        if declared is not None and is_telling(declared):
            reader = self._reader()
            told = compile_telling(identity, declared, reader, self._now)
            local, uses, seen = told.local, told.uses, reader.seen
        self._keep(identity, local)
        self._put_fragment(identity, local.fragment if local is not None and local.active else None)
        self._report |= state.uses.assign(identity, uses)
        state.reads.assign(identity, seen)

    def _put_together(self, identity: Identity) -> None:
        state = self._state
        before = state.assemblies.get(identity)
        own = state.owns.get(identity)
        if own is None:
            state.assemblies.pop(identity, None)
            self._put_fragment(identity, None)
        else:
            parts = Parts(
                own=own,
                attached=state.attached.to(identity),
                locals=state.locals,
                rivals=self._rivals(identity),
                before=before,
            )
            assembly = assemble(identity, parts)
            state.assemblies[identity] = assembly
            self._put_fragment(identity, assembly.fragment)
        self._report.add(identity)
        self._report |= moved_routes(before, state.assemblies.get(identity))

    def _put_fragment(self, identity: Identity, fragment: AnyFragment | None) -> None:
        manifest, fragments = self._state.manifest, self._state.fragments
        before = manifest.get(identity)
        digest = None if fragment is None else digest_of(encode_fragment(fragment))
        if digest == before:
            return
        self._changed.add(identity)
        if before is not None:
            del manifest[identity], fragments[before], self._state.lines[str(identity)]
        if digest is not None and fragment is not None:
            manifest[identity] = self._state.lines[str(identity)] = digest
            fragments[digest] = fragment

    def _make_report(self, identity: Identity) -> None:
        report = reports.report_on(identity, self._state)
        if report == self._state.reports.get(identity):
            return
        self._changed.add(identity)
        if report is None:
            self._state.reports.pop(identity, None)
        else:
            self._state.reports[identity] = report

    def _reader(self) -> Reader:
        return Reader(self._inventory, self._types, self._members)

    def _result(self) -> Compiled:
        state = self._state
        flow = Flow(manifest=state.manifest, fragments=state.fragments, digest=lines_digest(state.lines))
        return Compiled(flow=flow, reports=state.reports, changed=frozenset(self._changed), state=state)
