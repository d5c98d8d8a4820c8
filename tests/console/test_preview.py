"""Trying templates over the API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asking import Api
from dispatching import integration

Start = Callable[..., Awaitable[Api]]
PAYLOAD = {"name": "CPU", "labels": {"zone": "eu"}, "n": 7}


async def test_a_preview_is_the_rendered_text(api: Start) -> None:
    """Over a payload given, of an alert, or of the first alert of a group; errors come as text with 200; says whether the
    result is a JSON object.
    """
    a = await api(integration())
    group = await a.firing("first")
    await a.firing("first", title2="second")
    alert = (await a.get("/alerts"))["results"][0]["id"]
    shown = await a.post("/preview", {"template": "{{ payload.name }}!", "payload": PAYLOAD})
    assert (shown["preview"], shown["is_error"], shown["is_valid_json_object"]) == ("CPU!", False, False)
    objects = await a.post("/preview", {"template": "{{ payload.labels | tojson }}", "payload": PAYLOAD})
    assert objects["is_valid_json_object"] is True
    from_group = await a.post(
        "/preview", {"template": "{{ payload.title2 or 'none' }}", "alert_group_id": group}
    )
    assert from_group["preview"] == "none"
    from_alert = await a.post("/preview", {"template": "{{ payload.title2 }}", "alert_id": alert})
    assert from_alert["preview"] == "second"
    broken = await a.post("/preview", {"template": "{{ payload.", "payload": {}})
    assert (broken["preview"], broken["is_error"], broken["error"]["kind"], broken["error"]["line"]) == (
        None,
        True,
        "syntax",
        1,
    )
    endless = await a.post("/preview", {"template": "{% for i in range(9**9) %}x{% endfor %}", "payload": {}})
    assert endless["is_error"]


async def test_a_preview_sees_the_labels_of_the_real_run(api: Start) -> None:
    """Unlike OnCall's: with `integration` the labels that it computes, or those given."""
    a = await api(integration(labels=[{"key": "team", "value": "core"}]))
    body = {"template": "{{ labels.team }}", "payload": PAYLOAD}
    assert (await a.post("/preview", {**body, "integration": "default/web"}))["preview"] == "core"
    assert (await a.post("/preview", {**body, "labels": {"team": "other"}}))["preview"] == "other"
    without = await a.post("/preview", body)
    assert (without["preview"], without["notes"]) == ("", ["undefined: labels.team"])


async def test_conditions_and_delimiters(api: Start) -> None:
    """`is_true` is what a condition would decide; other delimiters as in `spec.delimiters`."""
    a = await api()
    for text, expected in ((" TRUE ", True), ("1", True), ("ok", True), ("yes", False), ("", False)):
        assert (await a.post("/preview", {"template": text, "payload": {}}))["is_true"] is expected
    shown = await a.post(
        "/preview", {"template": "[[ payload.n ]]{{", "payload": PAYLOAD, "delimiters": ["[[", "]]"]}
    )
    assert shown["preview"] == "7{{"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"payload": {}}, "template"),
        ({"template": 5, "payload": {}}, "template"),
        ({"template": "x" * 50_001, "payload": {}}, "template"),
        ({"template": "x"}, "payload"),
        ({"template": "x", "payload": {}, "alert_id": "A"}, "payload"),
        ({"template": "x", "payload": {}, "labels": {"a": 1}}, "labels"),
        ({"template": "x", "payload": {}, "delimiters": ["["]}, "delimiters"),
        ({"template": "x", "payload": {}, "integration": "web"}, "integration"),
        ({"template": "x", "alert_id": 5}, "alert_id"),
    ],
)
async def test_what_cannot_be_previewed_is_refused(api: Start, body: dict[str, Any], field: str) -> None:
    """400 naming the member."""
    a = await api()
    reply = await a.ask("POST", "/preview", body)
    assert (reply.status, reply.problem["field"]) == (400, field)


async def test_what_is_not_there_is_404(api: Start) -> None:
    """Integration, group and alert are looked up."""
    a = await api()
    for source in (
        {"payload": {}, "integration": "default/none"},
        {"alert_group_id": "IAAAAAAAAAAAA"},
        {"alert_id": "AAAAAAAAAAAAA"},
    ):
        assert (await a.ask("POST", "/preview", {"template": "x", **source})).status == 404
