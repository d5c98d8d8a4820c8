"""Cases from public bug reports that concern receiving and payload formats, each with its right outcome."""

from __future__ import annotations

import gzip
import http.client
import json
import threading
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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
metadata: {name: sns}
spec:
  type: webhook
  templates:
    groupingId: '{{ payload.TopicArn }}/{{ (payload.Message | parse_json).AlarmName }}'
    resolve: '{{ (payload.Message | parse_json).NewStateValue == "OK" }}'
    appearance: {web: {title: '{{ (payload.Message | parse_json).AlarmName }}'}}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: kuma}
spec:
  type: webhook
  templates:
    groupingId: '{{ payload.monitor.id }}'
    resolve: '{{ payload.heartbeat.status == 1 }}'
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: generic}
spec: {type: webhook}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: formatted}
spec: {type: formatted_webhook}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: grafana}
spec: {type: grafana}
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: site24x7}
spec:
  type: webhook
  templates:
    groupingId: '{{ payload.MONITOR_ID }}'
    resolve: '{{ payload.STATUS == "UP" }}'
---
apiVersion: tocsin.dev/v1alpha1
kind: Integration
metadata: {name: prtg}
spec:
  type: webhook
  templates:
    groupingId: '{{ payload.sensorid }}'
    resolve: '{{ "now: Up" in payload.status }}'
"""


def url(shared: Tocsin, name: str) -> str:
    return str(shared.endpoints()[f"default/{name}"]["url"])


def post(shared: Tocsin, name: str, body: Any, headers: dict[str, str] | None = None) -> Answer:
    return request("POST", url(shared, name), body, headers)


def group(shared: Tocsin, identifier: str) -> Any:
    return shared.get(f"/api/v1/alert_groups/{identifier}")


def alerts(shared: Tocsin, name: str) -> int:
    return sum(one["alerts_count"] for one in shared.groups(f"integration=default/{name}&perpage=1000"))


def payload(path: str) -> bytes:
    return (PAYLOADS / path).read_bytes()


def test_bug_001_json_sent_as_text_plain_is_read_as_json(shared: Tocsin) -> None:
    headers = {"Content-Type": "text/plain; charset=UTF-8", "x-amz-sns-message-type": "Notification"}
    answer = post(shared, "sns", payload("aws_sns/cloudwatch_alarm.json"), headers)
    assert answer.status == 200
    message = json.loads(json.loads(payload("aws_sns/cloudwatch_alarm.json"))["Message"])
    assert group(shared, answer.json["alert_group_id"])["title"] == message["AlarmName"]


def test_bug_004_a_json_string_that_holds_json_is_unwrapped_once(shared: Tocsin) -> None:
    """DOWN sent as a string and UP sent as an object of the same monitor meet in one group."""
    down = post(
        shared,
        "kuma",
        json.dumps(json.dumps({"monitor": {"id": 7}, "heartbeat": {"status": 0}, "msg": "[ping] Down"})),
    )
    up = post(shared, "kuma", {"monitor": {"id": 7}, "heartbeat": {"status": 1}, "msg": "[ping] Up"})
    assert (down.status, up.status) == (200, 200)
    assert up.json["alert_group_id"] == down.json["alert_group_id"]
    assert up.json["state"] == "resolved"
    assert post(shared, "kuma", json.dumps("just words")).status == 400


def test_bug_006_gzip_needs_its_header(shared: Tocsin) -> None:
    body = payload("alertmanager/firing.json")
    plain = post(shared, "alertmanager", body)
    packed = post(shared, "alertmanager", gzip.compress(body), {"Content-Encoding": "gzip"})
    assert (packed.status, packed.json["alert_group_id"]) == (200, plain.json["alert_group_id"])
    assert post(shared, "alertmanager", gzip.compress(body)).status == 400
    assert post(shared, "alertmanager", body, {"Content-Encoding": "gzip"}).status == 400


@pytest.mark.parametrize("body", ["not a json", '{"a":1}{"b":2}', '{"a":1,}', "null", "true", "42", ""])
def test_bug_008_and_009_bodies_that_no_template_can_work_on_are_refused(shared: Tocsin, body: str) -> None:
    """400 as problem+json, nothing stored, no traceback in the log; an empty body is no alert either."""
    before = alerts(shared, "generic")
    answer = post(shared, "generic", body)
    assert answer.status == 400
    assert answer.headers["Content-Type"].startswith("application/problem+json")
    assert {"title", "status", "detail"} <= set(answer.json)
    assert alerts(shared, "generic") == before
    assert "Traceback" not in shared.log


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf" + b'{"title": "bom"}', b"{}"])
def test_bug_008_bom_and_empty_object_are_alerts(shared: Tocsin, body: bytes) -> None:
    assert post(shared, "generic", body).status == 200


def test_bug_009_an_empty_chunked_body_is_refused(shared: Tocsin) -> None:
    target = urlsplit(url(shared, "generic"))
    connection = http.client.HTTPConnection(target.hostname or "", target.port, timeout=10)
    connection.request(
        "POST", target.path, iter(()), {"Content-Type": "application/json"}, encode_chunked=True
    )
    assert connection.getresponse().status == 400
    connection.close()


def big_notification(count: int) -> bytes:
    labels = {
        "alertname": "NodeDown",
        "job": "node",
        "severity": "critical",
        "region": "eu-central-1",
        "cluster": "prod-a",
        "team": "platform",
    }
    annotation = (
        "The node exporter of this host has not answered for more than five minutes; see the runbook for the first three steps."
        + " " * 120
    )
    elements = [
        {
            "status": "firing",
            "labels": {**labels, "instance": f"host-{n}.example.com:9100"},
            "annotations": {"summary": f"host-{n} is down", "description": annotation},
            "startsAt": "2026-03-02T08:14:32.123456789Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "https://prometheus.example.com/graph?g0.expr=up+%3D%3D+0&g0.tab=1",
            "fingerprint": f"{n:016x}",
        }
        for n in range(count)
    ]
    body = {
        "receiver": "r",
        "status": "firing",
        "alerts": elements,
        "groupLabels": {"alertname": "NodeDown"},
        "commonLabels": labels,
    }
    return json.dumps(
        {
            **body,
            "commonAnnotations": {},
            "externalURL": "",
            "version": "4",
            "groupKey": "{}:big",
            "truncatedAlerts": 0,
        }
    ).encode()


def test_bug_012_the_largest_outage_is_taken_and_beyond_the_limit_is_said_so(shared: Tocsin) -> None:
    """20,000 alerts in a body of 12 MB are one alert of one group; over 16 MiB is 413 in JSON."""
    body = big_notification(20_000)
    assert len(body) > 11_000_000
    answer = post(shared, "alertmanager", body)
    assert answer.status == 200
    assert (
        post(shared, "alertmanager", big_notification(2_000)).json["alert_group_id"]
        == answer.json["alert_group_id"]
    )
    over = post(shared, "alertmanager", body + b" " * (17 * 1024 * 1024 - len(body)))
    assert (over.status, over.json["status"]) == (413, 413)


def test_bug_013_nul_in_text_is_replaced_and_lists_work_afterwards(shared: Tocsin) -> None:
    answer = post(
        shared,
        "formatted",
        b'{"alert_uid": "nul\\u0000id", "title": "CPU \\u0000 high", "message": "over \\u0000 90 %"}',
    )
    assert answer.status == 200
    shown = group(shared, answer.json["alert_group_id"])
    assert shown["title"] == "CPU \ufffd high"
    assert any(one["id"] == shown["id"] for one in shared.groups("perpage=1000"))
    assert (
        shared.get(f"/api/v1/alerts?alert_group_id={shown['id']}")["results"][0]["payload"]["message"]
        == "over \ufffd 90 %"
    )


def test_bug_015_malformed_json_names_line_and_column(shared: Tocsin) -> None:
    answer = post(shared, "generic", '{\n  "policy": "p",\n  \u201calert_type": "x"\n}'.encode())
    assert answer.status == 400
    assert "line 3" in answer.json["detail"]
    assert "column 3" in answer.json["detail"]


def test_bug_016_no_redirects_ever_and_get_is_405(shared: Tocsin) -> None:
    base = url(shared, "formatted")
    groups = set()
    for form in (
        base,
        base.rstrip("/"),
        base + "/",
        base + "?x=1",
        base.replace("/integrations/", "//integrations//"),
    ):
        answer = request("POST", form, {"alert_uid": "slash", "title": "slash"})
        assert answer.status == 200, form
        groups.add(answer.json["alert_group_id"])
    assert len(groups) == 1
    answer = request("GET", base)
    assert answer.status == 405
    assert "POST" in answer.headers["Allow"]


def test_bug_017_two_hundred_deliveries_are_one_group(shared: Tocsin) -> None:
    """The same Alertmanager body 200 times, 20 in parallel: one group, and repeats are recognised as duplicates."""
    body = payload("alertmanager/multi_mixed_firing_and_resolved.json")
    target = url(shared, "alertmanager")
    answers: list[Answer] = []

    def deliver() -> None:
        answers.extend(request("POST", target, body) for _ in range(10))

    threads = [threading.Thread(target=deliver) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.status for one in answers] == [200] * 200
    assert len({one.json["alert_group_id"] for one in answers}) == 1
    assert len({one.json["alert_id"] for one in answers}) == 1


@pytest.mark.parametrize("name", ["alerting.json", "no_data.json"])
def test_bug_019_optional_fields_of_any_type_are_accepted(shared: Tocsin, name: str) -> None:
    assert post(shared, "grafana", payload(f"grafana_legacy/{name}")).status == 200


def test_bug_019_rule_id_zero_is_a_group_id(shared: Tocsin) -> None:
    """The test button sends ruleId 0 and tags null: 0 is an id like any other, not emptiness."""
    body = {
        "orgId": 1,
        "ruleId": 0,
        "ruleName": "Test notification",
        "state": "alerting",
        "tags": None,
        "evalMatches": None,
        "title": "[Alerting] Test",
    }
    first, second = post(shared, "grafana", body), post(shared, "grafana", body)
    assert (first.status, second.status) == (200, 200)
    assert first.json["alert_group_id"] == second.json["alert_group_id"]


def test_bug_022_the_answer_says_what_happened(shared: Tocsin) -> None:
    """The second alert of a group joins it, the answer says so, and the title stays that of the first."""
    first = post(shared, "formatted", {"alert_uid": "truth", "title": "first title"}).json
    second = post(shared, "formatted", {"alert_uid": "truth", "title": "second title"}).json
    assert (first["created"], second["created"]) == (True, False)
    assert first["alert_group_id"] == second["alert_group_id"]
    assert first["alert_id"] != second["alert_id"]
    shown = group(shared, first["alert_group_id"])
    assert (shown["title"], shown["alerts_count"], shown["last_alert"]["payload"]["title"]) == (
        "first title",
        2,
        "second title",
    )


def test_bug_083_long_numbers_and_lists_are_kept_exactly(shared: Tocsin) -> None:
    body = b'{"MONITOR_ID": 4711000000000123456, "IPv6": [], "TAGS": null, "OUTAGE_TIME_UNIX_FORMAT": "1772440472000", "STATUS": "DOWN"}'
    answer = post(shared, "site24x7", body)
    assert answer.status == 200
    alert = shared.get(f"/api/v1/alerts?alert_group_id={answer.json['alert_group_id']}")["results"][0]
    assert alert["payload"]["MONITOR_ID"] == 4711000000000123456
    assert (
        shared.get(f"/api/v1/alerts/{alert['id']}/trace")["outcome"]["grouping_id"] == "4711000000000123456"
    )
    assert post(shared, "site24x7", body.replace(b"DOWN", b"UP")).json["state"] == "resolved"


def test_bug_086_forms_are_flat_objects_of_text(shared: Tocsin) -> None:
    """Repeated keys keep the last value, blanks stay, the charset is honoured, odd keys and 2,000 keys do no harm."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = post(shared, "prtg", "sensorid=7&tag=a&tag=b&empty=&sum=1%2B1+x&__proto__=1", form)
    assert answer.status == 200
    stored = shared.get(f"/api/v1/alerts?alert_group_id={answer.json['alert_group_id']}")["results"][0][
        "payload"
    ]
    assert stored == {"sensorid": "7", "tag": "b", "empty": "", "sum": "1+1 x", "__proto__": "1"}
    latin = {"Content-Type": "application/x-www-form-urlencoded; charset=iso-8859-1"}
    answer = post(shared, "prtg", b"sensorid=8&name=K%F6ln", latin)
    stored = shared.get(f"/api/v1/alerts?alert_group_id={answer.json['alert_group_id']}")["results"][0][
        "payload"
    ]
    assert stored["name"] == "K\u00f6ln"
    assert (
        post(shared, "prtg", "sensorid=9&" + "&".join(f"k{n}={n}" for n in range(2_000)), form).status == 200
    )


def test_bug_086_multipart_text_is_taken_and_files_are_refused(shared: Tocsin) -> None:
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    text = '--x\r\nContent-Disposition: form-data; name="sensorid"\r\n\r\n10\r\n--x--\r\n'
    assert post(shared, "prtg", text, kind).status == 200
    file = '--x\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n--x--\r\n'
    assert post(shared, "prtg", file, kind).status in {400, 415}


def test_bug_086_prtg_firing_and_recovery_meet_in_one_group(shared: Tocsin) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    down = post(shared, "prtg", payload("prtg/down_form.form.txt"), form)
    up = post(shared, "prtg", payload("prtg/up_form.form.txt"), form)
    assert (down.status, up.status) == (200, 200)
    assert (up.json["alert_group_id"], up.json["state"]) == (down.json["alert_group_id"], "resolved")
