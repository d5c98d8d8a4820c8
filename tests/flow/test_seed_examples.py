"""The seed's own examples: those that work, and the two that are broken as printed."""

from __future__ import annotations

from typing import Any

import pytest
from flows import NOW, flow_of, program, rule

from tocsin.api.common import Identity
from tocsin.flow.decision import DroppedLabel, Grouping
from tocsin.flow.model import IntegrationFragment
from tocsin.flow.program import link
from tocsin.sources import load_types

EU = {"name": "CPU 90%", "cluster": "EU"}
US = {"name": "CPU 90%", "cluster": "US"}
MERGE = """\
{%- set labels = {} -%}
{# add several labels #}
{%- set labels = dict(labels, **payload.commonLabels) -%}
{# add one label #}
{%- set labels = dict(labels, **{"status": payload.status}) -%}
{# add label not from payload #}
{%- set labels = dict(labels, **{"service": "oncall"}) -%}
{# dump labels dict to json string, so OnCall can parse it #}
{{ labels | tojson }}
"""


def grouped(template: str, *payloads: Any) -> list[bytes]:
    linked = program(templates={"groupingId": template})
    return [linked.evaluate(payload, NOW).grouping_key for payload in payloads]


def test_grouping_by_name_and_by_region() -> None:
    """By name both alerts share a group; by cluster they do not. The template as printed has a brace too many and
    names a key that does not exist: it prints one brace for both and so joins what it should part. Without the brace
    it is empty, and each alert stands alone.

    Rules: R-GRP-EX
    """
    by_name = grouped("{{ payload.name }}", EU, US)
    assert by_name[0] == by_name[1] != b""
    by_cluster = grouped("{{ payload.cluster }}", EU, US)
    assert by_cluster[0] != by_cluster[1]
    printed = program(templates={"groupingId": "{{ payload.region }}}"})
    decisions = [printed.evaluate(payload, NOW) for payload in (EU, US)]
    assert [decision.grouping_id for decision in decisions] == ["}", "}"]
    assert decisions[0].grouping_key == decisions[1].grouping_key
    assert decisions[0].outcome.notes == ("undefined: payload.region",)
    corrected = program(templates={"groupingId": "{{ payload.region }}"}).evaluate(EU, NOW)
    assert corrected.grouping is Grouping.ALONE


def test_the_dynamic_label_as_printed_and_corrected() -> None:
    """A quote is missing inside the call: the label is left out, the alert delivered, the trace says where.

    Rules: R-LBL-EX1
    """
    printed = program(rule("l", dynamic={"severity": '{{ payload.get("severity) }}'}))
    payload = {"title": "critical alert", "severity": "critical"}
    decision = printed.evaluate(payload, NOW)
    assert (decision.route, decision.labels) == ("default", {})
    assert decision.outcome.dropped == (
        DroppedLabel(key="severity", source="dynamic ns/l", reason="template-error"),
    )
    (error,) = decision.outcome.errors
    assert (error.slot, error.kind, error.line) == ("label severity", "syntax", 1)
    (told,) = printed.explain(payload, NOW).templates
    assert told.error == error
    corrected = program(
        rule("l", dynamic={"severity": '{{ payload.get("severity") }}'}),
        templates={"groupingId": "{{ payload.title }}"},
    )
    critical = corrected.evaluate(payload, NOW)
    warning = corrected.evaluate({"title": "warning alert", "severity": "warning"}, NOW)
    assert (critical.labels, warning.labels) == ({"severity": "critical"}, {"severity": "warning"})
    assert critical.grouping_key != warning.grouping_key


def test_common_labels_as_json() -> None:
    """One label per entry.

    Rules: R-LBL-EX2
    """
    common = {"job": "node", "severity": "critical", "alertname": "InstanceDown"}
    linked = program(rule("l", extract="{{ payload.commonLabels | tojson }}"))
    assert linked.evaluate({"commonLabels": common}, NOW).labels == common


def test_merging_labels_from_several_fields() -> None:
    """The advanced example works word for word; without commonLabels the other two are left, and a note."""
    linked = program(rule("l", extract=MERGE))
    payload = {"status": "firing", "commonLabels": {"job": "node", "severity": "critical"}}
    assert linked.evaluate(payload, NOW).labels == {
        "job": "node",
        "severity": "critical",
        "status": "firing",
        "service": "oncall",
    }
    without = linked.evaluate({"status": "firing"}, NOW)
    assert without.labels == {"status": "firing", "service": "oncall"}
    assert without.outcome.notes == ("undefined: payload.commonLabels",)


@pytest.mark.parametrize("payload", [{"commonLabels": {"service_name": "checkout"}}, {}])
def test_service_name_of_grafana_alerting(payload: dict[str, Any]) -> None:
    """The type brings the label, taken from the common labels; users' rules may override it.

    Rules: R-LBL-EX4
    """
    fragment = IntegrationFragment(namespace="ns", name="it", type="grafana_alerting")
    linked = link(flow_of(fragment), types=load_types()).integrations[Identity("Integration", "ns", "it")]
    labels = linked.evaluate(payload, NOW).labels
    assert labels.get("service_name") == payload.get("commonLabels", {}).get("service_name")
