"""Linking: a Flow and the source types become programs that evaluate alerts.

Everything is parsed and indexed here, once. Linking again after a change reuses whatever did not change: a changed
route is prepared anew and only its integrations get a new route table.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import msgspec

from tocsin.api import ids
from tocsin.api.common import Identity
from tocsin.flow import heartbeat, trace
from tocsin.flow.appearance import Appearance, View, render_appearance, template_chain
from tocsin.flow.decision import Decision
from tocsin.flow.evaluator import Behaviour, Evaluator
from tocsin.flow.labels import DynamicLabel, Extraction, LabelPlan, label_plan
from tocsin.flow.model import (
    AnyFragment,
    Digest,
    Flow,
    IntegrationFragment,
    LabelRuleFragment,
    Micros,
    RouteFragment,
    TemplateText,
    WindowFragment,
)
from tocsin.flow.redaction import Redactor
from tocsin.flow.rendering import Prepared
from tocsin.flow.routing import Route, RouteTable, prepare_route, route_table
from tocsin.flow.targets import FIELD_OF_KIND, NO_TARGETS, Targets, TargetsDraft
from tocsin.flow.windows import Window, prepare_window
from tocsin.sources.model import SourceType

TITLE_SLOT = "appearance.web.title"
LAST_TITLE = "Alert"
"""Title when type and templates give none."""

Held = TypeVar("Held")


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """One LabelRule, shared by its integrations. `static` are (key, value, source)."""

    static: tuple[tuple[str, str, str], ...]
    dynamic: tuple[DynamicLabel, ...]
    extraction: Extraction | None


@dataclass(frozen=True, slots=True, eq=False)
class TypeProgram:
    """A source type with its default templates, shared by all its integrations."""

    type: SourceType
    defaults: Mapping[str, TemplateText]
    """Slot -> text; slots without a default are absent."""
    labels: tuple[DynamicLabel, ...]


@dataclass(frozen=True, slots=True, eq=False)
class IntegrationProgram:
    """One integration, ready to evaluate alerts. Immutable; safe to share between threads."""

    identity: Identity
    fragment: IntegrationFragment
    kind: TypeProgram
    public_id: str
    evaluator: Evaluator
    heartbeat_route: Route | None
    _looks: dict[tuple[str, str], tuple[tuple[str, Prepared], ...]] = field(default_factory=dict, repr=False)

    @property
    def type(self) -> SourceType:
        return self.kind.type

    def evaluate(
        self, payload: Any, now: Micros, *, demo: bool = False, notes: tuple[str, ...] = ()
    ) -> Decision:
        """Pure; `payload` is one alert as `arrival.alerts_of` gives it and is not changed. Never raises for content."""
        return self.evaluator.evaluate(payload, now, demo=demo, notes=notes)

    def explain(
        self, payload: Any, now: Micros, *, demo: bool = False, notes: tuple[str, ...] = ()
    ) -> trace.Trace:
        """The same decision with every step of it. Tries the routes one by one: for people, not for the hot path."""
        request = trace.Request(payload=payload, now=now, demo=demo, notes=notes)
        return trace.explain(self.evaluator, str(self.identity), request)

    def redact(self, payload: Any) -> Any:
        """What may be stored and shown: `spec.redact` masked. The given payload is not changed."""
        return self.evaluator.redactor.redact(payload) if self.evaluator.redactor else payload

    def heartbeat_missed(
        self, now: Micros, *, last_seen: Micros | None, outage: str | int
    ) -> tuple[dict[str, Any], Decision]:
        """Payload and decision of the alert that opens an outage; `last_seen` None: it never came.

        `outage` tells this outage from others: equal for its beginning and its end, different for the next one.
        """
        return heartbeat.alert(self, now, heartbeat.Outage(last_seen=last_seen, name=str(outage)))

    def heartbeat_returned(
        self, now: Micros, *, last_seen: Micros | None, outage: str | int
    ) -> tuple[dict[str, Any], Decision]:
        """Payload and decision that resolve the outage; `last_seen` is the last signal before it."""
        return heartbeat.alert(self, now, heartbeat.Outage(last_seen=last_seen, name=str(outage), over=True))

    def looks(self, channel: str, part: str) -> tuple[tuple[str, Prepared], ...]:
        """The appearance templates of one channel's part, parsed when first asked for: most alerts need none."""
        chain = self._looks.get((channel, part))
        if chain is None:
            chain = self._looks[channel, part] = template_chain(self, channel, part)
        return chain

    def appearance(self, channel: str, view: View) -> Appearance:
        """Title, message and image of one channel (`web`, `slack`, ...) for one alert."""
        return render_appearance(self, channel, view)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """All integrations of one flow, and whom it can tell. `digest` is the flow's."""

    digest: Digest
    integrations: Mapping[Identity, IntegrationProgram]
    types: Mapping[str, SourceType] = field(repr=False)
    manifest: Mapping[Identity, Digest] = field(repr=False)
    kinds: Mapping[str, TypeProgram] = field(repr=False)
    parts: Parts = field(repr=False)
    users: Users = field(repr=False)
    targets: Targets = field(default=NO_TARGETS, repr=False)


def link(flow: Flow, *, types: Mapping[str, SourceType], previous: Program | None = None) -> Program:
    """Never raises for content: what is broken in a fragment fails when an alert meets it, and is recorded there."""
    if previous is not None and previous.types is not types and dict(previous.types) != dict(types):
        previous = None
    return _Linker(flow, types, previous).link()


class _Linker:
    """One run of `link`. Starts from copies of what the previous program holds and replaces what changed."""

    def __init__(self, flow: Flow, types: Mapping[str, SourceType], previous: Program | None) -> None:
        self.flow = flow
        self.types = types
        self.previous = previous
        self.kinds: dict[str, TypeProgram] = dict(previous.kinds) if previous else {}
        self.parts = Parts(previous.parts if previous else None)
        self.users = Users(previous.users if previous else None)
        self.targets = TargetsDraft(previous.targets if previous else NO_TARGETS)
        self.tables: dict[tuple[str, ...], RouteTable] = {}

    def link(self) -> Program:
        changed_routes: set[str] = set()
        relink: dict[Identity, None] = {}
        for identity in _changed(self.flow, self.previous):
            if identity.kind == "Integration":
                relink[identity] = None
                continue
            key = f"{identity.namespace}/{identity.name}"
            if identity.kind in FIELD_OF_KIND:
                self.targets.update(identity.kind, key, self.flow.fragment(identity))
                continue
            self.parts.update(identity.kind, key, self.flow.fragment(identity))
            relink.update(dict.fromkeys(self.users.of(identity.kind, key)))
            if identity.kind == "AlertRoute":
                changed_routes.add(key)
        integrations = dict(self.previous.integrations) if self.previous else {}
        for identity in relink:
            before = integrations.pop(identity, None)
            fragment = self.flow.fragment(identity)
            after = fragment if isinstance(fragment, IntegrationFragment) else None
            if before is None or before.fragment is not after:
                self.users.move(identity, before.fragment if before else None, after)
            if after is not None:
                table = None
                if (
                    before
                    and before.fragment.routes == after.routes
                    and changed_routes.isdisjoint(after.routes)
                ):
                    table = before.evaluator.routes
                integrations[identity] = self._integration(identity, after, table)
        return Program(
            digest=self.flow.digest,
            integrations=integrations,
            types=self.types,
            manifest=self.flow.manifest,
            kinds=self.kinds,
            parts=self.parts,
            users=self.users,
            targets=self.targets.finish(),
        )

    def _integration(
        self, identity: Identity, fragment: IntegrationFragment, table: RouteTable | None
    ) -> IntegrationProgram:
        kind = self._kind(fragment.type)
        beat = fragment.heartbeat
        return IntegrationProgram(
            identity=identity,
            fragment=fragment,
            kind=kind,
            public_id=ids.derived_id(ids.INTEGRATION, fragment.namespace, fragment.name),
            evaluator=Evaluator(
                name=fragment.title or fragment.name,
                labels=self._labels(fragment, kind),
                behaviour=_behaviour(fragment, kind),
                routes=table or self._table(fragment.routes),
                windows=tuple(_present(self.parts.windows, fragment.windows)),
                redactor=Redactor(fragment.redact),
                default_target=fragment.default_target,
                source_resolve=fragment.source_resolve,
            ),
            heartbeat_route=self.parts.routes.get(beat.route) if beat and beat.route else None,
        )

    def _table(self, names: tuple[str, ...]) -> RouteTable:
        """Integrations that share all their routes share the table."""
        table = self.tables.get(names)
        if table is None:
            table = self.tables[names] = route_table(tuple(_present(self.parts.routes, names)))
        return table

    def _labels(self, fragment: IntegrationFragment, kind: TypeProgram) -> LabelPlan:
        rules = tuple(_present(self.parts.rules, fragment.label_rules))
        return label_plan(
            (
                *((key, value, "integration") for key, value in fragment.inherited_labels),
                *(pair for rule in rules for pair in rule.static),
            ),
            (*kind.labels, *(label for rule in rules for label in rule.dynamic)),
            tuple(rule.extraction for rule in rules if rule.extraction is not None),
        )

    def _kind(self, slug: str) -> TypeProgram:
        """A type that is not packaged (the compiler refuses it) has no defaults, but takes alerts."""
        kind = self.kinds.get(slug)
        if kind is None:
            source = self.types.get(slug) or SourceType(slug=slug, title=slug, description="")
            kind = self.kinds[slug] = type_program(source)
        return kind


class Parts:
    """Prepared routes, rules and windows by `namespace/name`."""

    def __init__(self, before: Parts | None) -> None:
        self.routes: dict[str, Route] = dict(before.routes) if before else {}
        self.rules: dict[str, Rule] = dict(before.rules) if before else {}
        self.windows: dict[str, Window] = dict(before.windows) if before else {}

    def update(self, kind: str, key: str, fragment: AnyFragment | None) -> None:
        match fragment:
            case RouteFragment():
                self.routes[key] = prepare_route(fragment)
            case LabelRuleFragment():
                self.rules[key] = prepare_rule(fragment)
            case WindowFragment():
                self.windows[key] = prepare_window(fragment)
            case _:
                for held, parts in (
                    ("AlertRoute", self.routes),
                    ("LabelRule", self.rules),
                    ("MaintenanceWindow", self.windows),
                ):
                    if held == kind:
                        parts.pop(key, None)


class Users:
    """Which integrations refer to an object: kind -> `namespace/name` -> identities. Sets are copied before a change."""

    def __init__(self, before: Users | None) -> None:
        self.by_kind: dict[str, dict[str, set[Identity]]] = (
            {kind: dict(names) for kind, names in before.by_kind.items()} if before else {}
        )
        self._own: set[int] = set()

    def of(self, kind: str, key: str) -> Iterable[Identity]:
        return self.by_kind.get(kind, {}).get(key, ())

    def move(
        self, identity: Identity, before: IntegrationFragment | None, after: IntegrationFragment | None
    ) -> None:
        """The integration refers to what `after` names and no longer to what only `before` names."""
        old, new = _references(before), _references(after)
        for kind in new:
            for key in old[kind] - new[kind]:
                self._writable(kind, key).discard(identity)
            for key in new[kind] - old[kind]:
                self._writable(kind, key).add(identity)

    def _writable(self, kind: str, key: str) -> set[Identity]:
        names = self.by_kind.setdefault(kind, {})
        users = names.get(key)
        if users is None or id(users) not in self._own:
            users = names[key] = set(users or ())
            self._own.add(id(users))
        return users


def _references(fragment: IntegrationFragment | None) -> dict[str, set[str]]:
    if fragment is None:
        return {"AlertRoute": set(), "LabelRule": set(), "MaintenanceWindow": set()}
    routes = set(fragment.routes)
    if fragment.heartbeat is not None and fragment.heartbeat.route:
        routes.add(fragment.heartbeat.route)
    return {
        "AlertRoute": routes,
        "LabelRule": set(fragment.label_rules),
        "MaintenanceWindow": set(fragment.windows),
    }


def _changed(flow: Flow, previous: Program | None) -> Iterable[Identity]:
    if previous is None:
        return flow.manifest
    pairs = flow.manifest.items() ^ previous.manifest.items()
    return dict.fromkeys(identity for identity, _ in pairs)


def _present(parts: Mapping[str, Held], names: Iterable[str]) -> Iterable[Held]:
    """What the names refer to, in their order; a dangling one is left out (the compiler has reported it)."""
    return (parts[name] for name in names if name in parts)


def prepare_rule(fragment: LabelRuleFragment) -> Rule:
    name = f"{fragment.namespace}/{fragment.name}"
    return Rule(
        static=tuple((key, value, f"static {name}") for key, value in fragment.static),
        dynamic=tuple(
            DynamicLabel(key=key, source=f"dynamic {name}", template=Prepared(text))
            for key, text in fragment.dynamic
        ),
        extraction=Extraction(source=f"extract {name}", template=Prepared(fragment.extract))
        if fragment.extract is not None
        else None,
    )


def type_program(source: SourceType) -> TypeProgram:
    """The type's defaults by slot; empty strings count as not set."""
    origin = f"type {source.slug}"
    texts = _flat(msgspec.to_builtins(source.defaults), "")
    return TypeProgram(
        type=source,
        defaults={slot: TemplateText(text=text, origin=f"{origin} {slot}") for slot, text in texts if text},
        labels=tuple(
            DynamicLabel(
                key=key,
                source=origin,
                template=Prepared(TemplateText(text=text, origin=f"{origin} label {key}")),
                optional=True,
            )
            for key, text in source.labels.items()
        ),
    )


def _flat(tree: Mapping[str, Any], prefix: str) -> Iterable[tuple[str, str]]:
    for key, value in tree.items():
        if isinstance(value, str):
            yield prefix + key, value
        else:
            yield from _flat(value, f"{prefix}{key}.")


def _behaviour(fragment: IntegrationFragment, kind: TypeProgram) -> Behaviour:
    def chosen(slot: str) -> Prepared | None:
        own = fragment.templates.get(slot)
        source = own if own is not None and own.text else kind.defaults.get(slot)
        return None if source is None else Prepared(source)

    def default(slot: str) -> Prepared | None:
        """The type's template, where the user has set another one."""
        own = fragment.templates.get(slot)
        source = kind.defaults.get(slot) if own is not None and own.text else None
        return None if source is None else Prepared(source)

    titles = ((TITLE_SLOT, chosen(TITLE_SLOT)), (f"{TITLE_SLOT} (type default)", default(TITLE_SLOT)))
    return Behaviour(
        grouping=chosen("groupingId"),
        grouping_default=default("groupingId"),
        acknowledge=chosen("acknowledge"),
        resolve=chosen("resolve"),
        source_link=chosen("sourceLink"),
        titles=tuple((slot, template) for slot, template in titles if template is not None),
        fallback_title=kind.type.fallback_title or LAST_TITLE,
    )
