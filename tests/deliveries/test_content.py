"""What messages say: the group as it is now, in the appearance of the channel, whatever templates and retention do."""

from __future__ import annotations

import json

import pytest
from delivering import Make, Sink, integration, obj, responder
from sqlalchemy import update

from tocsin.dispatch.announcements import Announcement
from tocsin.dispatch.deliveries import content
from tocsin.flow.model import Micros
from tocsin.store import deliveries
from tocsin.store.deliveries import NewDelivery
from tocsin.store.tables import alert

ONE = {"groupingId": "one"}


def appearance(**channels: dict) -> dict:
    return {"templates": {**ONE, "appearance": channels}}


async def test_a_chat_shows_the_last_alert_and_a_pager_the_first(world: Make, sink: Sink) -> None:
    """As people know it: what they read anew each time shows the news, what calls them shows why."""
    texts = appearance(
        web={"title": "web {{ payload.n }}"},
        push={"title": "push {{ payload.n }}", "message": "{{ web_title }}"},
    )
    ntfy = obj("NotificationChannel", "push", ntfy={"serverUrl": sink.base, "topic": "push"})
    w = await world(integration(**texts), sink.channel("ops"), ntfy)
    number = (await w.alert(n=1)).number
    await w.alert(n=2)
    await w.order("group", "ops", number)
    await w.order("group", "push", number)
    await w.send()
    assert sink.at("ops")[0].body["title"] == "web 2"
    assert "push 1" in json.dumps(
        [hit.headers | {"body": str(hit.body)} for hit in sink.hits if hit.path != "/ops"]
    )


async def test_a_failing_template_does_not_stop_a_message(world: Make, sink: Sink) -> None:
    """It goes out with the title that was decided, the group's labels, and which template failed and how."""
    texts = appearance(web={"title": "{{ payload.n + 'x' }}", "message": "{{ 1 / 0 }}"})
    w = await world(integration(**texts, labels=[{"key": "env", "value": "prod"}]), sink.channel("ops"))
    stored = await w.alert(n=1)
    await w.order("group", "ops", stored.number)
    await w.send()
    (hit,) = sink.hits
    group = await w.group(stored.number)
    assert hit.body["title"] == group.title
    failed = " ".join(hit.body["templateErrors"])
    assert "appearance.web.title" in failed
    assert "appearance.web.message" in failed
    assert hit.body["alertGroup"]["labels"] == {"env": "prod"}


async def test_redacted_values_stay_redacted(world: Make, sink: Sink) -> None:
    """Messages are made of what is stored, and that is masked."""
    spec = appearance(web={"title": "{{ payload.password }} {{ payload.host }}"})
    w = await world(integration(**spec, redact=["payload.password"]), sink.channel("ops"))
    await w.order("group", "ops", (await w.alert(password="hunter2", host="db-1")).number)
    await w.send()
    assert "hunter2" not in json.dumps(sink.hits[0].body)
    assert "db-1" in sink.hits[0].body["title"]


async def test_without_payload_or_integration_the_stored_title_is_told(
    world: Make, sink: Sink, engine: str
) -> None:
    """Retention took the payloads, or the Integration was deleted meanwhile: people are told all the same."""
    w = await world(
        integration(**appearance(web={"title": "{{ payload.n }} now"})),
        integration("other"),
        sink.channel("ops"),
    )
    stored = await w.alert(n=1)
    title = (await w.group(stored.number)).title
    await w.store.write(lambda c: c.execute(update(alert).values(payload_id=None)))
    await w.order("group", "ops", stored.number, key="no payload")
    await w.send()
    await w.delete("Integration", "web")
    await w.order("group", "ops", stored.number, key="no integration", step="1")
    await w.send()
    assert [hit.body["title"] for hit in sink.hits] == [title, title]
    assert [hit.body["alertGroup"]["integration"] for hit in sink.hits] == ["web", "web"]


async def test_who_did_what_is_said(world: Make, sink: Sink) -> None:
    """A message says by whom the group was acknowledged; a person who was paged by hand why they are told."""
    w = await world(integration(title="Web shop", team="shop"), sink.channel("ops"), responder("bob", "ops"))
    number = (await w.alert()).number
    await w.act(number, "acknowledge")
    await w.order(
        "personal", "ops", number, responder="bob", reason="ann pages you", even_if_acknowledged=True
    )
    await w.send()
    (hit,) = sink.hits
    shown = hit.body["alertGroup"]
    assert (hit.body["reason"], shown["acknowledgedBy"], shown["state"]) == (
        "ann pages you",
        "ann",
        "acknowledged",
    )
    assert (shown["integration"], shown["team"]) == ("Web shop", "shop")


@pytest.mark.parametrize(
    ("event", "mode", "title", "text"),
    [
        (
            "start",
            "Debug",
            "Maintenance default/work has begun",
            "It ends at 2027-01-15 09:00 UTC.\nAlert groups that open in it are shown and escalate to nobody.",
        ),
        (
            "before",
            "Maintenance",
            "Maintenance default/work begins at 2027-01-15 08:00 UTC",
            "It ends at 2027-01-15 09:00 UTC.\nAlert groups that open in it are collected and nobody is told.",
        ),
        ("end", "Debug", "Maintenance default/work is over", "It began at 2027-01-15 08:00 UTC."),
    ],
)
def test_announcements_say_what_and_until_when(event: str, mode: str, title: str, text: str) -> None:
    """Of a window: its name, what it does, and its moments in UTC."""
    told = Announcement(
        window="default/work",
        event=event,
        mode=mode,
        start=Micros(1_800_000_000_000_000),
        end=Micros(1_800_003_600_000_000),
        channels=("default/ops",),
    )
    message = content.announcement("key", told)
    assert (message.kind, message.title, message.text) == ("announcement", title, text)


async def test_an_announcement_arrives(world: Make, sink: Sink) -> None:
    """Without any group, on the channel that the window names; its fallback works as for any message."""
    w = await world(sink.channel("ops", fallbackRef={"name": "b"}), sink.channel("b"))
    told = {"window": "default/work", "event": "start", "mode": "Debug", "start": 0, "end": 1, "channels": []}
    new = NewDelivery(key="a", kind="announcement", at=w.now, channel="default/ops", data=json.dumps(told))
    sink.always["ops"] = 404
    await w.store.write(lambda c: deliveries.enqueue(c, [new]))
    await w.send()
    assert [hit.path for hit in sink.hits] == ["/ops", "/b"]
    assert {hit.body["title"] for hit in sink.hits} == {"Maintenance default/work has begun"}
