"""Cases from public bug reports that concern grouping, state, templates and labels, each with its right outcome."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tocsin_process import Answer, Tocsin, request

PAYLOADS = Path(__file__).parents[1] / "payloads"

MANIFESTS = """
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: alertmanager}
spec: {type: alertmanager}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: by-labels}
spec:
  type: alertmanager
  templates: {groupingId: '{{ payload.groupLabels | tojson }}'}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: generic}
spec: {type: webhook}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: generic-uid}
spec:
  type: webhook
  templates: {groupingId: '{{ payload.alert_uid }}'}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: formatted}
spec: {type: formatted_webhook}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: newrelic}
spec:
  type: webhook
  templates:
    groupingId: '{{ payload.id }}'
    acknowledge: '{{ payload.state == "ACKNOWLEDGED" }}'
    resolve: '{{ payload.state == "CLOSED" }}'
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: both}
spec:
  type: webhook
  templates: {groupingId: '{{ payload.id }}', acknowledge: 'true', resolve: '1'}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: items-dotted}
spec:
  type: webhook
  templates: {groupingId: '{{ payload.items }}', appearance: {web: {title: '{{ payload.keys }} {{ payload.get("items") }}'}}}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: items-subscript}
spec:
  type: webhook
  templates: {groupingId: '{{ payload["items"] }}'}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: items-called}
spec:
  type: webhook
  templates: {groupingId: '{{ payload.get("items") }}'}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: failing}
spec:
  type: webhook
  templates:
    groupingId: '{{ payload.n > 5 }}'
    resolve: '{{ payload.alerts[0].status == "resolved" }}'
    acknowledge: '{{ payload.n > 5 }}'
    appearance: {web: {title: '{{ payload.n + payload.missing.deeper }}'}}
---
apiVersion: tocsin.dev/v1alpha1
kind: AlertRoute
metadata: {name: failing-route}
spec: {parentRefs: [{name: failing}], match: {template: '{{ payload.n > 5 }}'}}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: silent}
spec: {type: webhook}
---
apiVersion: tocsin.dev/v1alpha1
kind: AlertRoute
metadata: {name: prints-nothing}
spec:
  parentRefs: [{name: silent}]
  match: {template: '{%- if payload.state == "alerting" %}{% set severity="11" %}{% endif -%}'}
---
apiVersion: tocsin.dev/v1alpha1
kind: AlertRoute
metadata: {name: truth}
spec: {parentRefs: [{name: silent}], match: {template: '{{ payload.truth }}'}}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: hostile}
spec:
  type: webhook
  templates:
    groupingId: '{% for i in range(999999999) %}x{% endfor %}'
    resolve: '{% for a in payload.l %}{% for b in payload.l %}{% for c in payload.l %}{% set x = c %}{% endfor %}{% endfor %}{% endfor %}'
    appearance: {web: {title: '{{ payload.big }}'}}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: literal}
spec:
  type: webhook
  templates:
    groupingId: '{{ payload.rule.id }}/{{ payload.agent.id }}'
    sourceLink: 'https://siem.example.com/?q={{ payload.data.srcuser }}'
    appearance: {web: {title: '{{ payload.title or payload.full_log }}'}}
---
apiVersion: tocsin.dev/v1alpha1
kind: LabelRule
metadata: {name: literal}
spec:
  integrationRefs: [{name: literal}]
  dynamic: [{key: text, template: '{{ payload.title or payload.data.srcuser }}'}]
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: many-labels}
spec:
  type: webhook
  templates: {groupingId: 'one'}
---
apiVersion: tocsin.dev/v1alpha1
kind: LabelRule
metadata: {name: many-labels}
spec:
  integrationRefs: [{name: many-labels}]
  extract: '{{ payload.labels | tojson }}'
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: falco}
spec: {type: webhook}
---
apiVersion: tocsin.dev/v1alpha1
kind: LabelRule
metadata: {name: falco}
spec:
  integrationRefs: [{name: falco}]
  extract: '{{ payload.output_fields | tojson }}'
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: zero-time}
spec:
  type: alertmanager
  templates:
    appearance: {web: {title: 'ends {{ payload.alerts[0].endsAt | iso8601_to_time | datetimeformat_as_timezone("%H:%M", "America/New_York") }}'}}
"""


def post(shared: Tocsin, name: str, body: Any) -> Answer:
    answer = request("POST", shared.endpoints()[f"default/{name}"]["url"], body)
    assert answer.status == 200, (answer.status, answer.body)
    return answer


def group(shared: Tocsin, answer: Answer) -> Any:
    return shared.get(f"/api/v1/alert_groups/{answer.json['alert_group_id']}")


def trace(shared: Tocsin, answer: Answer) -> Any:
    return shared.get(f"/api/v1/alerts/{answer.json['alert_id']}/trace")


def labels(shown: Any) -> dict[str, str]:
    return {one["key"]["name"]: one["value"]["name"] for one in shown["labels"]}


def payload(path: str) -> Any:
    return json.loads((PAYLOADS / path).read_bytes())


@pytest.mark.parametrize("name", ["generic", "generic-uid"])
def test_bug_024_firing_and_recovery_meet_by_default(shared: Tocsin, name: str) -> None:
    uid = f"u-{name}"
    firing = post(shared, name, {"alert_uid": uid, "state": "alerting", "message": "no report"})
    recovery = post(shared, name, {"alert_uid": uid, "state": "ok", "message": "ok"})
    assert recovery.json["alert_group_id"] == firing.json["alert_group_id"]
    assert recovery.json["state"] == "resolved"


def test_bug_026_a_resolved_group_is_history(shared: Tocsin) -> None:
    """firing, resolved, firing, firing: two groups; a further resolve closes the second only."""
    firing, ok = (
        {"alert_uid": "again", "title": "t", "state": "alerting"},
        {"alert_uid": "again", "state": "ok"},
    )
    first, _, second, third = (
        post(shared, "formatted", body).json["alert_group_id"] for body in (firing, ok, firing, firing)
    )
    assert first != second == third
    closed = post(shared, "formatted", ok).json
    assert (closed["alert_group_id"], closed["state"]) == (second, "resolved")
    assert shared.get(f"/api/v1/alert_groups/{first}")["alerts_count"] == 2


def test_bug_028_a_resolve_without_firing_is_born_resolved(shared: Tocsin) -> None:
    """Nothing opens; the replay of the same body changes nothing more."""
    body = payload("alertmanager/resolved.json") | {"groupKey": "{}:lonely"}
    first = post(shared, "alertmanager", body).json
    assert first["state"] == "resolved"
    again = post(shared, "alertmanager", body).json
    assert (again["alert_group_id"], again["duplicate"]) == (first["alert_group_id"], True)


def test_bug_029_the_group_speaks_not_its_first_alert(shared: Tocsin) -> None:
    mixed = post(shared, "alertmanager", payload("alertmanager/multi_mixed_firing_and_resolved.json"))
    assert mixed.json["state"] == "firing"
    stored = group(shared, mixed)["last_alert"]["payload"]
    assert (stored["numFiring"], stored["numResolved"]) == (2, 1)
    done = post(shared, "alertmanager", payload("alertmanager/multi_all_resolved.json")).json
    assert (done["alert_group_id"], done["state"]) == (mixed.json["alert_group_id"], "resolved")


@pytest.mark.parametrize("name", ["items-dotted", "items-subscript", "items-called"])
def test_bug_032_keys_named_like_methods_are_keys(shared: Tocsin, name: str) -> None:
    """Both deliveries meet in one group, with and without the key; no memory address is ever shown."""
    body = {"items": ["a"], "keys": "k", "values": [1], "get": "g", "update": "u", "id": "x1"}
    first, second = post(shared, name, body), post(shared, name, body)
    assert first.json["alert_group_id"] == second.json["alert_group_id"]
    assert trace(shared, first)["outcome"]["grouping_id"] == "['a']"
    without = post(shared, name, {"id": "x2"})
    for shown in (group(shared, first), group(shared, without), trace(shared, first), trace(shared, without)):
        assert "built-in method" not in json.dumps(shown)
        assert " at 0x" not in json.dumps(shown)


def test_bug_034_the_sender_owns_its_key(shared: Tocsin) -> None:
    """Two spellings of a groupKey are two groups, one resolved; grouping by groupLabels makes them one."""
    one = payload("alertmanager/firing.json") | {"groupKey": '{}/{a="1",b="2"}:{alertname="X"}'}
    other = one | {"groupKey": '{}/{b="2",a="1"}:{alertname="X"}'}
    resolved = payload("alertmanager/resolved.json") | {"groupKey": other["groupKey"]}
    states = [post(shared, "alertmanager", body) for body in (one, other, resolved)]
    assert (
        states[0].json["alert_group_id"]
        != states[1].json["alert_group_id"]
        == states[2].json["alert_group_id"]
    )
    assert [group(shared, states[0])["state"], group(shared, states[1])["state"]] == ["firing", "resolved"]
    assert (
        len({post(shared, "by-labels", body).json["alert_group_id"] for body in (one, other, resolved)}) == 1
    )


@pytest.mark.parametrize("body", [{"n": "7", "alerts": []}, {"n": None, "alerts": []}, {"alerts": []}, {}])
def test_bug_038_a_failing_template_never_loses_an_alert(shared: Tocsin, body: dict[str, Any]) -> None:
    """Stored, titled, on the default route, firing; every failure is on the trace."""
    answer = post(shared, "failing", body)
    assert (answer.json["state"], answer.json["route"]) == ("firing", "default")
    assert group(shared, answer)["title"]
    failed = {error["slot"] for error in trace(shared, answer)["outcome"]["errors"]}
    assert {"groupingId", "acknowledge"} <= failed
    assert "Template" not in group(shared, answer)["title"]


def test_bug_039_a_route_that_prints_nothing_does_not_match_and_says_so(shared: Tocsin) -> None:
    answer = post(shared, "silent", {"state": "alerting"})
    assert answer.json["route"] == "default"
    assert "prints-nothing" in json.dumps(trace(shared, answer))


@pytest.mark.parametrize(
    ("value", "matches"),
    [
        ("true", True),
        ("TRUE", True),
        (" True\n", True),
        ("ok", True),
        ("1", True),
        (1, True),
        (True, True),
        ("yes", False),
        ("1.0", False),
        ("2", False),
        ("on", False),
        ("", False),
        (None, False),
        (0, False),
    ],
)
def test_bug_039_one_rule_of_truth(shared: Tocsin, value: Any, matches: bool) -> None:
    answer = post(shared, "silent", {"truth": value, "alert_uid": repr(value)})
    assert answer.json["route"] == ("default/truth" if matches else "default")


def test_bug_043_endless_and_huge_templates_end_in_their_budget(shared: Tocsin) -> None:
    """The alert is stored with a cut title, the errors are named, and other integrations go on."""
    answer = post(shared, "hostile", {"l": list(range(200)), "big": "y" * 10_000_000})
    outcome = trace(shared, answer)["outcome"]
    assert {error["slot"] for error in outcome["errors"]} >= {"groupingId", "resolve"}
    assert len(group(shared, answer)["title"]) <= 502
    assert group(shared, answer)["state"] == "firing"
    assert post(shared, "generic", {"title": "alive"}).status == 200


def test_bug_045_template_text_in_payloads_stays_text(shared: Tocsin) -> None:
    attack = payload("wazuh/brute_force.json")
    answer = post(shared, "literal", attack)
    assert "{{7*7}}" in json.dumps(trace(shared, answer))
    body = {
        "title": "{{ payload.secret }} {% raw %} {#",
        "secret": "s3cr3t",
        "rule": {"id": 1},
        "agent": {"id": "$1 \\1"},
    }
    shown = group(shared, post(shared, "literal", body))
    assert shown["title"] == body["title"]
    assert labels(shown)["text"] == body["title"]


def test_bug_047_a_bare_resolve_keeps_title_and_labels(shared: Tocsin) -> None:
    post(shared, "formatted", {"alert_uid": "disk", "title": "Disk full", "state": "alerting"})
    shown = group(shared, post(shared, "formatted", {"alert_uid": "disk", "state": "ok"}))
    assert (shown["title"], shown["state"]) == ("Disk full", "resolved")


def test_bug_049_fifteen_labels_by_name_from_the_first_alert(shared: Tocsin) -> None:
    names = [f"l{n:02}" for n in range(1, 21)]
    shuffled = names.copy()
    random.Random(3).shuffle(shuffled)
    answer = post(shared, "many-labels", {"labels": dict.fromkeys(shuffled, "v")})
    assert list(labels(group(shared, answer))) == names[:15]
    assert [d["key"] for d in trace(shared, answer)["outcome"]["dropped"] if d["reason"] == "limit"] == names[
        15:
    ]
    post(shared, "many-labels", {"labels": {"z1": "v"}})
    assert list(labels(group(shared, answer))) == names[:15]


def test_bug_051_odd_label_names_never_cost_the_alert(shared: Tocsin) -> None:
    body = payload("falco/error.json")
    shown = labels(group(shared, post(shared, "falco", body)))
    fields = body["output_fields"]
    for key, value in fields.items():
        if value is None:
            assert key not in shown
        elif isinstance(value, int):
            assert shown[key] == str(value)
    assert any("[" in key or "." in key for key in shown)


def test_bug_080_the_zero_time_is_a_time_like_any_other(shared: Tocsin) -> None:
    body = payload("alertmanager/firing.json") | {"groupKey": "zero"}
    shown = group(shared, post(shared, "zero-time", body))
    assert shown["title"].startswith("ends") or shown["title"]
    body["alerts"][0]["endsAt"] = "2026-03-02T08:14:31Z"
    assert post(shared, "zero-time", body | {"groupKey": "before"}).json["state"] == "firing"


def test_bug_081_a_late_acknowledge_opens_nothing(shared: Tocsin) -> None:
    states = {
        name: {"id": "nr", "title": "t", "state": name} for name in ("ACTIVATED", "ACKNOWLEDGED", "CLOSED")
    }
    opened = post(shared, "newrelic", states["ACTIVATED"]).json
    post(shared, "newrelic", states["CLOSED"])
    late = post(shared, "newrelic", states["ACKNOWLEDGED"]).json
    assert (late["alert_group_id"], late["state"], late["created"]) == (
        opened["alert_group_id"],
        "resolved",
        False,
    )


def test_bug_081_normal_order_and_both_at_once(shared: Tocsin) -> None:
    """firing, acknowledged, firing stays acknowledged; then closed; a payload that is both ends resolved."""
    bodies = [
        {"id": "order", "title": "t", "state": state}
        for state in ("ACTIVATED", "ACKNOWLEDGED", "ACTIVATED", "CLOSED")
    ]
    assert [post(shared, "newrelic", body).json["state"] for body in bodies] == [
        "firing",
        "acknowledged",
        "acknowledged",
        "resolved",
    ]
    assert post(shared, "both", {"id": "b"}).json["state"] == "resolved"


@pytest.mark.parametrize(
    ("name", "firing", "resolved"),
    [
        ("alertmanager", "alertmanager/firing.json", "alertmanager/resolved.json"),
        ("grafana-unified", "grafana_unified/firing.json", "grafana_unified/resolved.json"),
        ("grafana-legacy", "grafana_legacy/alerting.json", "grafana_legacy/ok.json"),
        ("single", "alertmanager/one_alert_unwrapped_legacy.json", ""),
    ],
)
def test_bug_082_every_entry_path_resolves(tocsin: Any, name: str, firing: str, resolved: str) -> None:
    kinds = {"grafana-unified": "grafana_alerting", "grafana-legacy": "grafana"}
    manifest = f"apiVersion: tocsin.dev/v1alpha1\nkind: Integration\nmetadata: {{name: {name}}}\nspec: {{type: {kinds.get(name, 'alertmanager')}}}\n"
    instance = tocsin({"flow.yaml": manifest})
    first = payload(firing)
    second = (
        payload(resolved) if resolved else first | {"status": "resolved", "endsAt": "2026-03-02T09:00:00Z"}
    )
    opened, closed = post(instance, name, first).json, post(instance, name, second).json
    assert (closed["alert_group_id"], closed["state"]) == (opened["alert_group_id"], "resolved")
