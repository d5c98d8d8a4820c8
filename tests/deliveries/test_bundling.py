"""Storms: a few messages at once, the others together once a minute; and one group of very many alerts."""

from __future__ import annotations

import itertools
import json

import pytest
from delivering import MINUTE, START, Make, Micros, Sink, World, integration, responder

from tocsin.store import deliveries
from tocsin.store.bundles import BUNDLED
from tocsin.store.deliveries import NewDelivery

UNIQUE = itertools.count()


async def storm(w: World, count: int, kind: str = "group", **more: str) -> list[int]:
    """So many groups, each to be told to `ops`."""
    numbers = [(await w.alert(n=next(UNIQUE))).number for _ in range(count)]
    who = f"default/{more['responder']}" if "responder" in more else ""
    orders = [
        NewDelivery(
            key=f"{kind}/{number}/{who}/{more.get('important', '')}",
            kind=kind,
            at=w.now,
            channel="default/ops",
            responder=who,
            contact="ops" if who else "",
            group=number,
            data=json.dumps({"important": bool(more.get("important"))}),
        )
        for number in numbers
    ]
    await w.store.write(lambda c: deliveries.enqueue(c, orders))
    return numbers


async def minute_over(w: World) -> None:
    w.clock.moment = Micros((w.now // MINUTE + 1) * MINUTE)
    await w.send()


async def test_many_groups_become_few_messages(world: Make, sink: Sink, engine: str) -> None:
    """The first five go at once, the rest together when the minute is over: how many, the first of them, links."""
    w = await world(integration(), sink.channel("ops"))
    numbers = await storm(w, 100)
    await w.send()
    assert [hit.body["kind"] for hit in sink.hits] == ["group"] * 5
    assert [hit.number for hit in sink.hits] == numbers[:5]
    await minute_over(w)
    (bundle,) = sink.hits[5:]
    assert (bundle.body["kind"], bundle.body["total"], len(bundle.body["items"])) == ("bundle", 95, 20)
    assert bundle.body["title"] == "95 more alert groups are firing"
    sixth = await w.group(numbers[5])
    assert bundle.body["items"][0] == {
        "number": sixth.number,
        "title": sixth.title,
        "link": f"https://tocsin.example/alert-groups/{sixth.public_id}",
    }
    assert ("bundled", "more than 5 messages in a minute") in await w.entries(numbers[5])
    states = [d for d in await w.deliveries() if d.reason == BUNDLED]
    assert len(states) == 95
    assert w.metric("tocsin_notifications_bundled_total") == 95
    await w.after(600)
    assert len(sink.hits) == 6


async def test_groups_that_fire_no_more_are_dropped_from_a_bundle(world: Make, sink: Sink) -> None:
    """What was acknowledged or resolved meanwhile is not told; if that is all, nothing is sent."""
    w = await world(integration(), sink.channel("ops"))
    numbers = await storm(w, 9)
    await w.send()
    await w.act(numbers[5], "resolve")
    await w.act(numbers[6], "acknowledge")
    await minute_over(w)
    assert [item["number"] for item in sink.hits[5].body["items"]] == numbers[7:]
    later = await storm(w, 7)
    await w.send()
    for number in later[5:]:
        await w.act(number, "resolve")
    await minute_over(w)
    (bundle,) = [d for d in await w.deliveries() if d.kind == "bundle" and d.state != 1]
    assert (bundle.state, bundle.reason, len(sink.hits)) == (3, "none of its groups fires any more", 11)


async def test_each_person_has_a_bundle_of_their_own(world: Make, sink: Sink) -> None:
    """Counted per person and channel; important messages do not wait for others."""
    w = await world(integration(), sink.channel("ops"), responder("ann", "ops"), responder("bob", "ops"))
    await storm(w, 7, "personal", responder="ann")
    await storm(w, 6, "personal", responder="bob")
    await storm(w, 2, "personal", responder="ann", important="yes")
    await w.send()
    assert len(sink.hits) == 5 + 5 + 2
    await minute_over(w)
    told = {hit.body["recipient"]["address"]: hit.body["total"] for hit in sink.hits[12:]}
    assert told == {"ann@ops": 2, "bob@ops": 1}
    name = "tocsin_user_was_notified_of_alert_groups_total"
    assert (w.metric(name, username="ann"), w.metric(name, username="bob")) == (9, 6)


async def test_a_storm_that_goes_on_is_one_message_a_minute(world: Make, sink: Sink) -> None:
    """Ten groups every ten seconds for five minutes: five messages, then one bundle a minute; afterwards single ones."""
    w = await world(integration(), sink.channel("ops"))
    for _ in range(30):
        await storm(w, 10)
        await w.send()
        w.clock.moment = Micros(w.now + 10_000_000)
    await minute_over(w)
    kinds = [hit.body["kind"] for hit in sink.hits]
    assert (kinds.count("group"), kinds.count("bundle")) == (5, 5)
    assert sum(hit.body.get("total", 1) for hit in sink.hits) == 300
    await w.after(61)
    await storm(w, 1)
    await w.send()
    assert sink.hits[-1].body["kind"] == "group"


async def test_a_bundle_that_cannot_be_delivered_takes_the_second_way(world: Make, sink: Sink) -> None:
    """It says the same there."""
    w = await world(integration(), sink.channel("ops", fallbackRef={"name": "b"}), sink.channel("b"))
    await storm(w, 8)
    await w.send()
    sink.always["ops"] = 404
    await minute_over(w)
    (bundle,) = sink.at("b")
    assert (bundle.body["kind"], bundle.body["total"]) == ("bundle", 3)


async def test_what_comes_too_late_for_a_bundle_goes_into_the_next(
    world: Make, sink: Sink, engine: str
) -> None:
    """A bundle that somebody began to send takes no more: nothing is lost between two dispatchers."""
    w = await world(integration(), sink.channel("ops"))
    sink.answers["ops"].extend([200] * 5 + [503])
    await storm(w, 6)
    await w.send()
    w.clock.moment = Micros((w.now // MINUTE + 1) * MINUTE)
    await w.send()  # the bundle fails and waits
    w.clock.moment = START  # as another dispatcher, whose transaction began before the minute was over
    await storm(w, 1)
    await w.send()
    await w.after(3 * 60)
    totals = [hit.body["total"] for hit in sink.hits if hit.body["kind"] == "bundle"]
    assert totals == [1, 1, 1]


async def test_an_alertmanager_is_told_of_each_group(world: Make, sink: Sink) -> None:
    """What stands behind it groups by itself, and has to hear of each end."""
    w = await world(integration(), sink.pager("ops"))
    await storm(w, 20)
    await w.send()
    assert len(sink.hits) == 20


@pytest.mark.timeout(120)
async def test_one_group_of_very_many_alerts_is_one_message(world: Make, sink: Sink) -> None:
    """However many alerts join, the group is told as declared, and no more."""
    w = await world(integration(templates={"groupingId": "one"}), sink.channel("ops"))
    number = (await w.alert(n=0)).number
    await w.order("group", "ops", number)
    await w.send()
    for n in range(2_000):
        await w.alert(n=n)
    for _ in range(20):
        w.clock.moment = Micros(w.now + 11_000_000)
        await w.worker.edit_late()
        await w.send()
    assert len(sink.hits) == 1
    assert (await w.group(number)).alerts_count == 2_001
