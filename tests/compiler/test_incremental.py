"""Compiling again after a change gives what compiling from nothing gives, whatever was changed before."""

from __future__ import annotations

import pickle
from typing import Any

from compiler_cases import NOW
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import structs

from tocsin.api.alertroute import AlertRoute, AlertRouteSpec, RouteMatch
from tocsin.api.alerttemplate import AlertTemplate, AlertTemplateSpec
from tocsin.api.common import (
    Finding,
    Identity,
    KeyRef,
    LocalRef,
    Matcher,
    Metadata,
    ObjectRef,
    Selector,
    SharedNamespaces,
    Sharing,
    SharingFrom,
    TemplateFrom,
    Templates,
)
from tocsin.api.escalationchain import (
    ChannelStep,
    EscalationChain,
    EscalationChainSpec,
    OnCallStep,
    RespondersStep,
    Step,
    TeamStep,
    WaitStep,
    WebhookStep,
)
from tocsin.api.integration import (
    Auth,
    ChannelPublication,
    Heartbeat,
    Integration,
    IntegrationSpec,
    RouteTarget,
)
from tocsin.api.labelrule import LabelRule, LabelRuleSpec, StaticLabel
from tocsin.api.maintenancewindow import (
    Announce,
    MaintenanceMode,
    MaintenanceWindow,
    MaintenanceWindowSpec,
    Schedule,
)
from tocsin.api.notificationchannel import (
    EmailChannel,
    NotificationChannel,
    NotificationChannelSpec,
    SlackChannel,
)
from tocsin.api.objects import KINDS
from tocsin.api.oncallschedule import (
    ICal,
    Layer,
    OnCallSchedule,
    OnCallScheduleSpec,
    Participants,
    Restriction,
)
from tocsin.api.outgoingwebhook import OutgoingWebhook, OutgoingWebhookSpec, Trigger
from tocsin.api.responder import Contact, NotificationRules, Responder, ResponderSpec, Rule
from tocsin.flow.compiler import compile_flow
from tocsin.flow.inventory import Draft, Inventory
from tocsin.flow.model import Micros, decode_fragment, digest_of, encode_fragment, manifest_digest
from tocsin.sources import load_types

NAMESPACES = ("a", "b")
NAMES = ("x", "y")
HOUR = 3_600_000_000

mostly_false = st.integers(0, 4).map(lambda number: number == 0)
namespaces, names = st.sampled_from(NAMESPACES), st.sampled_from(NAMES)
refs = st.builds(ObjectRef, name=names, namespace=st.sampled_from([None, *NAMESPACES]))
selectors = st.sampled_from([None, Selector(), Selector(match_labels={"tier": "1"})])
sharings = st.sampled_from(
    [
        Sharing(),
        Sharing(namespaces=SharedNamespaces(from_=SharingFrom.ALL)),
        Sharing(
            namespaces=SharedNamespaces(
                from_=SharingFrom.SELECTOR, selector=Selector(match_labels={"trusted": "yes"})
            )
        ),
    ]
)
metadata = st.builds(
    Metadata,
    name=names,
    namespace=namespaces,
    labels=st.sampled_from([{}, {"tier": "1"}]),
    generation=st.integers(0, 5),
)
texts = st.sampled_from(["", "", "{{ payload.x }}", "{{ broken", "constant"])
filled = st.lists(
    st.builds(
        TemplateFrom,
        slot=st.sampled_from(["groupingId", "resolve"]),
        config_map_key_ref=st.builds(KeyRef, name=names, key=st.just("k")),
    ),
    max_size=2,
).map(tuple)
templates = st.builds(Templates, grouping_id=texts, resolve=texts)
teams = st.sampled_from(["", "", "sre", "db"])
publications = st.builds(ChannelPublication, channel_ref=refs)
chatops = st.lists(publications, max_size=2).map(tuple)
target = {"escalation_chain_ref": st.one_of(st.none(), refs), "chatops": chatops}

integrations = st.builds(
    Integration,
    metadata=metadata,
    spec=st.builds(
        IntegrationSpec,
        type=st.sampled_from(["webhook", "webhook", "alertmanager", "alertmanager", "no_such_type"]),
        templates=templates,
        templates_from=filled,
        template_refs=st.lists(refs, max_size=2).map(tuple),
        sharing=sharings,
        suspend=mostly_false,
        auth=st.sampled_from([Auth(), Auth(token_secret_ref=KeyRef(name="x", key="t"))]),
        heartbeat=st.one_of(st.none(), st.builds(Heartbeat, interval=st.just("1m"), route_ref=refs)),
        default_route=st.builds(RouteTarget, **target),
        team=teams,
    ),
)
routes = st.builds(
    AlertRoute,
    metadata=metadata,
    spec=st.builds(
        AlertRouteSpec,
        parent_refs=st.lists(refs, min_size=1, max_size=3).map(tuple),
        priority=st.integers(0, 2),
        match=st.builds(
            RouteMatch,
            template=st.sampled_from(["", "true", "{{ payload.x == 1 }}", "{{ broken"]),
            labels=st.lists(
                st.builds(
                    Matcher,
                    key=st.just("k"),
                    operator=st.sampled_from(["=", "!=", "=~"]),
                    value=st.sampled_from(["v", "w", "("]),
                ),
                min_size=1,
                max_size=2,
            ).map(tuple),
        ),
        suspend=mostly_false,
        **target,
    ),
)
rules = st.builds(
    LabelRule,
    metadata=metadata,
    spec=st.builds(
        LabelRuleSpec,
        integration_refs=st.lists(refs, max_size=2).map(tuple),
        integration_selector=selectors,
        priority=st.integers(0, 1),
        static=st.just((StaticLabel(key="k", value="v"),)),
    ),
)
windows = st.builds(
    MaintenanceWindow,
    metadata=metadata,
    spec=st.builds(
        MaintenanceWindowSpec,
        mode=st.just(MaintenanceMode.DEBUG),
        schedule=st.builds(
            Schedule,
            start=st.sampled_from(
                ["2026-07-01T10:00", "2026-07-01T14:00", "2026-07-09T10:00", "2026-02-30T10:00"]
            ),
            duration=st.sampled_from(["1h", "3h"]),
            recurrence=st.sampled_from(["", "FREQ=DAILY;COUNT=3", "FREQ=YEARLY;INTERVAL=4"]),
        ),
        integration_selector=selectors,
        announce=st.one_of(
            st.none(),
            st.builds(
                Announce, chatops=st.builds(lambda one: (one,), publications), at_start=st.just(value=True)
            ),
        ),
    ),
)
shared_templates = st.builds(
    AlertTemplate,
    metadata=metadata,
    spec=st.builds(
        AlertTemplateSpec, templates=templates, templates_from=filled, sharing=sharings, suspend=mostly_false
    ),
)

key_refs = st.builds(KeyRef, name=st.just("x"), key=st.sampled_from(["t", "u"]))
people = st.lists(refs, min_size=1, max_size=2).map(tuple)
common: dict[str, Any] = {"sharing": sharings, "suspend": mostly_false}
steps = st.one_of(
    st.builds(Step, wait=st.builds(WaitStep, duration=st.sampled_from(["1m", "3d"]))),
    st.builds(Step, notify_responders=st.builds(RespondersStep, responder_refs=people)),
    st.builds(Step, notify_on_call=st.builds(OnCallStep, schedule_ref=refs)),
    st.builds(Step, notify_team=st.builds(TeamStep, name=st.sampled_from(["sre", "db"]))),
    st.builds(Step, notify_channel=st.builds(ChannelStep, channel_ref=refs)),
    st.builds(Step, trigger_webhook=st.builds(WebhookStep, webhook_ref=refs)),
)
chains = st.builds(
    EscalationChain,
    metadata=metadata,
    spec=st.builds(EscalationChainSpec, steps=st.lists(steps, max_size=3).map(tuple), team=teams, **common),
)
channels = st.builds(
    NotificationChannel,
    metadata=metadata,
    spec=st.one_of(
        st.builds(
            NotificationChannelSpec,
            slack=st.builds(SlackChannel, token_secret_ref=key_refs, channel=st.sampled_from(["", "#a"])),
            fallback_ref=st.one_of(st.none(), st.builds(LocalRef, name=names)),
            **common,
        ),
        st.builds(
            NotificationChannelSpec,
            email=st.just(EmailChannel(host="mail", from_="a@b.c", to=())),
            **common,
        ),
    ),
)
webhooks = st.builds(
    OutgoingWebhook,
    metadata=metadata,
    spec=st.builds(
        OutgoingWebhookSpec,
        triggers=st.just((Trigger.RESOLVE,)),
        url=st.sampled_from(["https://example.com", "{{ payload.u }}", "{{ broken"]),
        integration_refs=st.lists(refs, max_size=2).map(tuple),
        integration_selector=selectors,
        **common,
    ),
)
responders = st.builds(
    Responder,
    metadata=metadata,
    spec=st.builds(
        ResponderSpec,
        email=st.sampled_from([None, "a@b.c"]),
        teams=st.sampled_from([(), ("sre",), ("sre", "db")]),
        contacts=st.lists(
            st.builds(
                Contact,
                name=st.just("c"),
                channel_ref=refs,
                address_secret_ref=st.one_of(st.none(), key_refs),
            ),
            max_size=1,
        ).map(tuple),
        rules=st.sampled_from(
            [NotificationRules(), NotificationRules(default=(Rule(notify="c"), Rule(wait="5m")))]
        ),
        **common,
    ),
)
schedules = st.builds(
    OnCallSchedule,
    metadata=metadata,
    spec=st.builds(
        OnCallScheduleSpec,
        time_zone=st.sampled_from(["UTC", "Europe/Berlin", "Nowhere/At_All"]),
        team=teams,
        layers=st.lists(
            st.builds(
                Layer,
                name=st.just("l"),
                start=st.sampled_from(["2026-06-01T10:00", "2026-07-03T10:00", "2026-02-30T10:00"]),
                participants=st.lists(
                    st.builds(Participants, responder_refs=people), min_size=1, max_size=2
                ).map(tuple),
                restrictions=st.sampled_from([(), (Restriction(from_="08:00", to="20:00"),)]),
            ),
            max_size=1,
        ).map(tuple),
        ical=st.one_of(
            st.none(), st.builds(ICal, config_map_key_ref=st.builds(KeyRef, name=names, key=st.just("k")))
        ),
        **common,
    ),
)
declared_objects = (
    integrations,
    routes,
    rules,
    windows,
    shared_templates,
    chains,
    channels,
    webhooks,
    responders,
    schedules,
)
kinds = st.sampled_from(sorted(KINDS))
edits = st.one_of(
    st.one_of(*declared_objects).map(lambda declared: ("put", declared)),
    st.builds(Identity, kinds, namespaces, names).map(lambda identity: ("drop", identity)),
    st.tuples(namespaces, names, st.integers(0, 2)).map(lambda made: ("prefer", *made)),
    st.tuples(kinds, metadata).map(lambda pair: ("refuse", *pair)),
    st.tuples(
        namespaces, names, st.sampled_from([None, {}, {"k": "{{ payload.y }}"}, {"k": "{{ broken"}])
    ).map(lambda made: ("config_map", *made)),
    st.tuples(namespaces, st.sampled_from([None, {"t": "1"}, {"t": "2"}])).map(
        lambda made: ("secret", *made)
    ),
    st.tuples(namespaces, st.sampled_from([None, {"trusted": "yes"}])).map(lambda made: ("namespace", *made)),
)


def apply(draft: Draft, edit: tuple) -> None:
    match edit:
        case ("prefer", namespace, name, priority):
            route = draft.finish().routes.get(Identity("AlertRoute", namespace, name))
            if route is not None:
                draft.put(structs.replace(route, spec=structs.replace(route.spec, priority=priority)))
        case ("put", declared):
            draft.put(declared)
        case ("drop", identity):
            draft.drop(identity)
        case ("refuse", kind, described):
            draft.refuse(kind, described, (Finding(field="spec", reason="Required", message="is required"),))
        case ("config_map", namespace, name, data):
            draft.config_map(namespace, name, data)
        case ("secret", namespace, digests):
            draft.secret(namespace, "x", digests)
        case ("namespace", name, labels):
            draft.namespace(name, labels)


def at_place(strategy: st.SearchStrategy, namespace: str, name: str) -> st.SearchStrategy:
    """The same objects under one given name."""
    return strategy.map(
        lambda declared: structs.replace(
            declared, metadata=structs.replace(declared.metadata, namespace=namespace, name=name)
        )
    )


crowds = st.tuples(
    *(
        at_place(strategy, namespace, name)
        for strategy in declared_objects
        for namespace in NAMESPACES
        for name in NAMES
    )
)
"""An object of each kind under each name, so that every edit meets others that may depend on it."""

histories = st.lists(
    st.tuples(st.lists(edits, min_size=1, max_size=3), st.integers(0, 30)), min_size=1, max_size=8
)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(crowd=crowds, history=histories)
def test_compiling_again_equals_compiling_from_nothing(
    crowd: tuple, history: list[tuple[list[tuple], int]]
) -> None:
    """After any edits, with time going on, flow and reports are those of a full compilation."""
    inventory, compiled, now = Inventory(), None, NOW
    steps = [([("put", declared) for declared in crowd], 0), *history]
    for batch, hours in steps:
        draft = inventory.draft()
        for edit in batch:
            apply(draft, edit)
        inventory, now = draft.finish(), Micros(now + hours * HOUR)
        before = compiled
        compiled = compile_flow(inventory, types=load_types(), now=now, previous=before)
        full = compile_flow(inventory, types=load_types(), now=now)
        assert compiled.reports == full.reports
        assert compiled.flow == full.flow
        _check_addresses(compiled)
        if before is not None:
            _check_changed(before, compiled)


def _check_addresses(compiled) -> None:
    """Every fragment is filed under the digest of its content, and reads back equal."""
    flow = compiled.flow
    assert set(flow.manifest.values()) == set(flow.fragments)
    assert flow.digest == manifest_digest(flow.manifest)
    for identity, digest in flow.manifest.items():
        encoded = encode_fragment(flow.fragments[digest])
        assert digest_of(encoded) == digest
        assert decode_fragment(encoded) == flow.fragments[digest]
        assert flow.fragments[digest].identity == identity


def _check_changed(before, after) -> None:
    everything = before.reports.keys() | after.reports.keys()
    expected = {
        identity
        for identity in everything
        if before.reports.get(identity) != after.reports.get(identity)
        or before.flow.manifest.get(identity) != after.flow.manifest.get(identity)
    }
    assert after.changed == expected


@settings(max_examples=30, deadline=None)
@given(batch=st.lists(edits, min_size=1, max_size=12), order=st.randoms(use_true_random=False))
def test_order_of_declaration_has_no_influence(batch: list[tuple], order) -> None:
    """Objects that are read in another order give the same flow and the same reports."""
    latest = {
        edit[1].metadata.name + type(edit[1]).__name__ + edit[1].metadata.namespace: edit
        for edit in batch
        if edit[0] == "put"
    }
    edits_in_order = list(latest.values())
    shuffled = edits_in_order.copy()
    order.shuffle(shuffled)
    compiled = []
    for sequence in (edits_in_order, shuffled):
        draft = Inventory().draft()
        for edit in sequence:
            apply(draft, edit)
        compiled.append(compile_flow(draft.finish(), types=load_types(), now=NOW))
    assert compiled[0].flow == compiled[1].flow
    assert compiled[0].reports == compiled[1].reports


def test_unchanged_content_changes_nothing() -> None:
    """A new generation without new content, as after a resync, leaves flow, reports and fragments as they are."""
    declared = Integration(metadata=Metadata(name="x", generation=1), spec=IntegrationSpec(type="webhook"))
    inventory = Inventory.of([declared])
    first = compile_flow(inventory, types=load_types(), now=NOW)
    again = inventory.with_object(
        Integration(metadata=Metadata(name="x", generation=2), spec=IntegrationSpec(type="webhook"))
    )
    second = compile_flow(again, types=load_types(), now=NOW, previous=first)
    assert second.changed == frozenset()
    assert second.flow.digest == first.flow.digest
    assert again.metadata[Identity("Integration", "default", "x")].generation == 2


def test_other_types_compile_everything_again() -> None:
    """A type that appears, as after an upgrade, makes its Integrations work without a change to them."""
    types = dict(load_types())
    webhook = types.pop("webhook")
    inventory = Inventory.of([Integration(metadata=Metadata(name="x"), spec=IntegrationSpec(type="webhook"))])
    before = compile_flow(inventory, types=types, now=NOW)
    assert before.flow.manifest == {}
    after = compile_flow(inventory, types={**types, "webhook": webhook}, now=NOW, previous=before)
    assert set(after.flow.manifest) == {Identity("Integration", "default", "x")}


def test_a_result_travels_between_processes() -> None:
    """A cold compilation may run in a child process: what it returns can be sent, and be built upon."""
    inventory = Inventory.of([Integration(metadata=Metadata(name="x"), spec=IntegrationSpec(type="webhook"))])
    here = compile_flow(inventory, types=load_types(), now=NOW)
    there = pickle.loads(pickle.dumps(here))
    again = compile_flow(inventory, types=load_types(), now=NOW, previous=there)
    assert again.flow == here.flow
    assert again.changed == frozenset()
