"""What a compilation leaves for the next one, so that one change costs only what depends on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tocsin.api.common import Identity
from tocsin.flow.compiler.attachments import Assembly
from tocsin.flow.compiler.integrations import Own
from tocsin.flow.compiler.links import Links
from tocsin.flow.compiler.local import Local
from tocsin.flow.compiler.reading import Key
from tocsin.flow.compiler.relation import Relation
from tocsin.flow.compiler.report import Report
from tocsin.flow.compiler.slots import TemplateSet
from tocsin.flow.inventory import Inventory
from tocsin.flow.model import AnyFragment, Digest, Micros
from tocsin.sources.model import SourceType


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All intermediate results. The dictionaries belong to one compilation and never change after it."""

    inventory: Inventory = field(default_factory=Inventory)
    types: Mapping[str, SourceType] = field(default_factory=dict)
    locals: dict[Identity, Local] = field(default_factory=dict)
    rechecks: dict[Identity, Micros] = field(default_factory=dict)
    sets: dict[Identity, TemplateSet] = field(default_factory=dict)
    owns: dict[Identity, Own] = field(default_factory=dict)
    links: dict[Identity, Links] = field(default_factory=dict)
    assemblies: dict[Identity, Assembly] = field(default_factory=dict)
    reports: dict[Identity, Report] = field(default_factory=dict)
    manifest: dict[Identity, Digest] = field(default_factory=dict)
    lines: dict[str, Digest] = field(default_factory=dict)
    """The manifest as it is digested."""
    fragments: dict[Digest, AnyFragment] = field(default_factory=dict)
    reads: Relation[Identity, Key] = field(default_factory=Relation)
    """Object -> everything that its compilation looked at."""
    attached: Relation[Identity, Identity] = field(default_factory=Relation)
    """Route, rule or window -> Integrations."""
    uses: Relation[Identity, Identity] = field(default_factory=Relation)
    """Object -> AlertTemplates, chains, channels, people and so on that it refers to and reaches."""
    claims: Relation[Identity, tuple[str, ...]] = field(default_factory=Relation)
    """Integration -> its token."""

    def successor(self, inventory: Inventory, types: Mapping[str, SourceType]) -> State:
        """A copy to work on; what it shares with this one is never changed in place."""
        return State(
            inventory=inventory,
            types=types,
            locals=dict(self.locals),
            rechecks=dict(self.rechecks),
            sets=dict(self.sets),
            owns=dict(self.owns),
            links=dict(self.links),
            assemblies=dict(self.assemblies),
            reports=dict(self.reports),
            manifest=dict(self.manifest),
            lines=dict(self.lines),
            fragments=dict(self.fragments),
            reads=Relation(self.reads),
            attached=Relation(self.attached),
            uses=Relation(self.uses),
            claims=Relation(self.claims),
        )
