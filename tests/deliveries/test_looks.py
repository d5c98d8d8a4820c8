"""Which alert of a group is shown where, and what its values may be: from the stored alert to what arrives."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from delivering import Sink, World, integration, obj

Make = Callable[..., Awaitable[World]]

NAMED = "{{ payload.name }} of {{ labels.team }}"
TEMPLATES = {
    "groupingId": "one",
    "appearance": {
        slot: {"title": NAMED, "message": "<https://book|run> {{ payload.text }}"}
        for slot in ("web", "slack")
    }
    | {"push": {"title": NAMED}},
}
EVIL = "<!channel> <https://evil|bank>"


def ntfy(sink: Sink) -> dict:
    return obj("NotificationChannel", "push", ntfy={"serverUrl": f"{sink.base}/push", "topic": "ops"})


async def test_chats_show_the_latest_alert_and_pushes_the_first(world: Make, sink: Sink) -> None:
    """A chat is edited as alerts come; what reaches a person by itself tells what began.

    Rules: R-TPL-21
    """
    labels = [{"key": "team", "value": "shop"}]
    w = await world(
        integration(templates=TEMPLATES, labels=labels),
        sink.slack("chat"),
        sink.channel("hook"),
        ntfy(sink),
        slack="t",
    )
    for name in ("first", "second", "third"):
        stored = await w.alert(name=name)
    for place in ("chat", "hook", "push"):
        await w.order("group", place, stored.number)
    await w.send()
    assert sink.at("chat")[0].body["blocks"][0]["text"]["text"].endswith("|#1> third of shop")
    assert "3 alerts, only the last one is shown" in json.dumps(sink.at("chat")[0].body)
    assert sink.at("hook")[0].body["title"] == "third of shop"
    assert sink.at("push")[0].body["title"].endswith("first of shop")


async def test_values_reach_a_chat_as_they_are_written(world: Make, sink: Sink) -> None:
    """The template's link is one, the value's is not; nobody is called. Elsewhere values stay what they are."""
    w = await world(integration(templates=TEMPLATES), sink.slack("chat"), sink.channel("hook"), slack="t")
    stored = await w.alert(name=EVIL, text=EVIL)
    for place in ("chat", "hook"):
        await w.order("group", place, stored.number)
    await w.send()
    (chat,) = sink.at("chat")
    said = json.dumps(chat.body)
    assert "<https://book|run> &lt;!channel&gt; &lt;<https://evil>|bank&gt;" in said
    assert "<!channel>" not in said
    assert "<https://evil|" not in said
    assert sink.at("hook")[0].body["title"].startswith(EVIL)


async def test_titles_of_a_bundle_are_escaped_once(world: Make, sink: Sink) -> None:
    """They are plain text until the channel writes them."""
    w = await world(integration(), sink.slack("chat"), slack="t")
    for n in range(9):
        stored = await w.alert(title=f"{n} {EVIL}")
        await w.order("group", "chat", stored.number)
    await w.send()
    await w.after(120)
    said = json.dumps([hit.body for hit in sink.at("chat")])
    assert "more alert groups are firing" in said
    assert "&amp;lt;" not in said
    assert "<!channel>" not in said


async def test_a_template_that_fails_keeps_nobody_from_being_told(world: Make, sink: Sink) -> None:
    """Title, labels and the error, plainly, beside what the other templates gave."""
    broken = {"appearance": {"slack": {"title": "{{ 1 / 0 }}"}}}
    labels = [{"key": "team", "value": EVIL}]
    w = await world(integration(templates=broken, labels=labels), sink.slack("chat"), slack="t")
    stored = await w.alert(title=EVIL)
    await w.order("group", "chat", stored.number)
    await w.send()
    said = json.dumps(sink.at("chat")[0].body)
    assert "Template failed: appearance.slack.title" in said
    assert "team: &lt;!channel&gt;" in said
    assert "<!channel>" not in said
