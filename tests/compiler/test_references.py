"""References: inside a namespace freely, across namespaces with the target's consent, and never a leak."""

from __future__ import annotations

from dataclasses import replace

import pytest
from compiler_cases import NOW, compile_text, inventory_of, manifest, reasons, report_of

from tocsin.api.common import Identity, Selector, SelectorRequirement
from tocsin.flow.compiler import IntegrationFacts, RouteFacts, RoutePlace, TemplateFacts, compile_flow
from tocsin.flow.compiler.references import selects
from tocsin.flow.model import IntegrationFragment
from tocsin.sources import load_types

FOREIGN = manifest(
    "AlertRoute", "r", "{parentRefs: [{name: web, namespace: b}], match: {template: 'true'}}", namespace="a"
)


def test_missing_and_forbidden_targets_are_told_apart_by_nobody() -> None:
    """From another namespace a missing, a private and a broken target give the same report (BUG-056)."""
    targets = [
        "",
        manifest("Integration", "web", "{type: webhook}", namespace="b"),
        manifest("Integration", "web", "{type: webhook, nonsense: 1}", namespace="b"),
        manifest("Integration", "web", "{type: no_such_type}", namespace="b"),
    ]
    reports = [report_of(compile_text(FOREIGN + target), "AlertRoute", "r", "a") for target in targets]
    assert reports[0].findings[0].reason == "RefNotPermitted"
    assert all(report == reports[0] for report in reports)


def test_consent_works_at_the_next_compilation_and_so_does_its_end() -> None:
    """Admitting attaches the route, revoking detaches it; the route itself is not touched."""
    private = manifest("Integration", "web", "{type: webhook}", namespace="b")
    shared = manifest(
        "Integration", "web", "{type: webhook, sharing: {namespaces: {from: All}}}", namespace="b"
    )
    compiled = None
    for target, routes in ((private, ()), (shared, ("a/r",)), (private, ())):
        inventory = inventory_of(FOREIGN + target)
        compiled = compile_flow(inventory, types=load_types(), now=NOW, previous=compiled)
        fragment = compiled.flow.fragment(Identity("Integration", "b", "web"))
        assert isinstance(fragment, IntegrationFragment)
        assert fragment.routes == routes


def test_nothing_is_added_to_a_foreign_route() -> None:
    """A route of another namespace matches what it says: no hidden condition on its namespace (BUG-056)."""
    shared = manifest(
        "Integration", "web", "{type: webhook, sharing: {namespaces: {from: All}}}", namespace="b"
    )
    alone = compile_text(FOREIGN).flow.fragment(Identity("AlertRoute", "a", "r"))
    attached = compile_text(FOREIGN + shared).flow.fragment(Identity("AlertRoute", "a", "r"))
    assert alone == attached


def test_a_window_selects_in_its_own_namespace_only() -> None:
    """A selector without any condition in team-b does not reach the Integration of monitoring (BUG-056)."""
    text = manifest("Integration", "web", "{type: webhook}", namespace="monitoring") + manifest(
        "MaintenanceWindow",
        "all",
        "{mode: Debug, schedule: {start: '2026-08-01T10:00', duration: 1h}, integrationSelector: {}}",
        namespace="team-b",
    )
    compiled = compile_text(text)
    report = report_of(compiled, "MaintenanceWindow", "all", "team-b")
    assert reasons(report.findings) == [("spec.integrationSelector", "SelectorMatchesNothing")]
    assert "matches 0 integrations" in report.findings[0].message


def test_facts_count_what_is_attached() -> None:
    """Counts and places are those of the flow, suspended objects left out."""
    text = (
        manifest("Integration", "web", "{type: webhook, templateRefs: [{name: t}]}")
        + manifest("AlertTemplate", "t", "{templates: {resolve: '{{ payload.ok }}'}}")
        + manifest("AlertRoute", "one", "{parentRefs: [{name: web}], match: {template: '{{ payload.a }}'}}")
        + manifest(
            "AlertRoute",
            "two",
            "{parentRefs: [{name: web}, {name: gone}], priority: 1, match: {template: '{{ payload.b }}'}}",
        )
        + manifest(
            "AlertRoute", "paused", "{parentRefs: [{name: web}], suspend: true, match: {template: 'true'}}"
        )
    )
    compiled = compile_text(text)
    assert report_of(compiled, "Integration", "web").facts == IntegrationFacts(
        path="/integrations/v1/webhook/<token>/", endpoint_secret="web-endpoint", attached_routes=2
    )
    assert report_of(compiled, "AlertTemplate", "t").facts == TemplateFacts(used_by=1)
    assert report_of(compiled, "AlertRoute", "two").facts == RouteFacts(
        places=(RoutePlace(integration="default/web", position=1), RoutePlace(integration="default/gone"))
    )


def test_a_text_in_a_config_map_reaches_the_integration_through_an_alert_template() -> None:
    """Changing the ConfigMap changes the fragment of every Integration that uses the AlertTemplate."""
    text = manifest("Integration", "web", "{type: webhook, templateRefs: [{name: t}]}") + manifest(
        "AlertTemplate", "t", "{templatesFrom: [{slot: resolve, configMapKeyRef: {name: m, key: k}}]}"
    )
    before = inventory_of(text).with_config_map("default", "m", {"k": "{{ payload.a }}"})
    first = compile_flow(before, types=load_types(), now=NOW)
    after = before.with_config_map("default", "m", {"k": "{{ payload.b }}"})
    second = compile_flow(after, types=load_types(), now=NOW, previous=first)
    fragment = second.flow.fragment(Identity("Integration", "default", "web"))
    assert isinstance(fragment, IntegrationFragment)
    assert fragment.templates["resolve"].text == "{{ payload.b }}"
    assert second.changed == {Identity("Integration", "default", "web")}


def test_unknown_secrets_are_no_finding_offline() -> None:
    """A folder without the cluster's Secrets is checked without complaining of each."""
    text = manifest("Integration", "web", "{type: webhook, auth: {tokenSecretRef: {name: s, key: t}}}")
    inventory = inventory_of(text)
    online = compile_flow(inventory, types=load_types(), now=NOW)
    assert [f.reason for f in report_of(online, "Integration", "web").findings] == ["RefNotFound"]
    offline = compile_flow(
        replace(inventory, secrets_known=False), types=load_types(), now=NOW, previous=online
    )
    assert report_of(offline, "Integration", "web").findings == ()


def test_a_key_that_a_secret_of_the_folder_lacks_is_a_finding_offline() -> None:
    """The Secret is there to be looked into: a misspelt key is found before anybody needs it."""
    text = manifest("Integration", "web", "{type: webhook, auth: {tokenSecretRef: {name: s, key: tokn}}}")
    folder = inventory_of(text).with_secret("default", "s", {"token": "digest"})
    found = compile_flow(replace(folder, secrets_known=False), types=load_types(), now=NOW)
    assert [f.reason for f in report_of(found, "Integration", "web").findings] == ["RefNotFound"]


@pytest.mark.parametrize(
    ("requirement", "labels", "expected"),
    [
        (("In", ("x", "y")), {"k": "x"}, True),
        (("In", ("x", "y")), {}, False),
        (("NotIn", ("x",)), {"k": "y"}, True),
        (("NotIn", ("x",)), {}, True),
        (("NotIn", ("x",)), {"k": "x"}, False),
        (("Exists", ()), {"k": ""}, True),
        (("Exists", ()), {}, False),
        (("DoesNotExist", ()), {}, True),
        (("DoesNotExist", ()), {"k": "x"}, False),
    ],
)
def test_selectors_mean_what_they_mean_in_kubernetes(
    requirement, labels: dict[str, str], expected: bool
) -> None:
    """Each operator, with the label present, absent and empty; matchLabels and expressions must all hold."""
    operator, values = requirement
    selector = Selector(match_expressions=(SelectorRequirement(key="k", operator=operator, values=values),))
    assert selects(selector, labels) is expected
    assert (
        selects(Selector(match_labels={"other": "v"}, match_expressions=selector.match_expressions), labels)
        is False
    )
