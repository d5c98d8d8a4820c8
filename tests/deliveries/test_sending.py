"""From a row of `delivery` to a message that arrived: what it says, when it is tried again, when it is given up."""

from __future__ import annotations

import pytest
from delivering import CONSOLE, MINUTE, SECOND, Make, Sink, integration, responder

from tocsin.dispatch.deliveries import retry
from tocsin.store import deliveries


async def test_a_group_is_told_to_its_channel(world: Make, sink: Sink, engine: str) -> None:
    """One message: title, link to the group's page, labels, state; then the delivery is done and the log says so."""
    w = await world(integration(labels=[{"key": "env", "value": "prod"}]), sink.channel("ops"))
    stored = await w.alert(title="disk full")
    key = await w.order("group", "ops", stored.number)
    assert await w.send() == 1
    (hit,) = sink.hits
    group = await w.group(stored.number)
    assert (hit.path, hit.key, hit.body["kind"]) == ("/ops", key, "group")
    assert hit.body["link"] == f"{CONSOLE}/alert-groups/{group.public_id}"
    assert (hit.body["title"], hit.number) == (group.title, stored.number)
    assert hit.body["alertGroup"]["state"] == "firing"
    assert await w.states() == {key: "delivered"}
    assert ("delivered", "") in await w.entries(stored.number)
    assert w.metric("tocsin_notifications_total", type="webhook", kind="group") == 1


async def test_server_errors_are_tried_again_later_and_later(world: Make, sink: Sink, engine: str) -> None:
    """The pause doubles, with chance in it; the same key each time; what counts is the last attempt."""
    w = await world(integration(), sink.channel("ops"))
    key = await w.order("group", "ops", (await w.alert()).number)
    sink.answers["ops"].extend([503, 500, 502])
    await w.send()
    for pause in (1, 2, 4):
        waiting = await w.delivery(key)
        assert (waiting.state, waiting.reason) == (0, "serverError")
        assert pause * SECOND // 2 <= waiting.due_at - w.now <= pause * SECOND * 3 // 2
        assert await w.after(0) == 0
        assert await w.after(pause * 1.5) == 1
    assert [hit.key for hit in sink.hits] == [key] * 4
    assert (await w.delivery(key)).state == 1
    assert w.metric("tocsin_notification_attempts_failed_total", type="webhook", reason="serverError") == 3
    assert w.metric("tocsin_notifications_failed_total", type="webhook", reason="serverError") == 0


async def test_what_a_vendor_asks_for_is_kept_to(world: Make, sink: Sink) -> None:
    """429 with Retry-After: nothing is sent to this channel before, not even another group's message; others go on."""
    w = await world(integration(), sink.channel("ops"), sink.channel("dev"))
    sink.answers["ops"].append((429, {"Retry-After": "40"}))
    await w.order("group", "ops", (await w.alert(n=1)).number)
    await w.send()
    await w.order("group", "ops", (await w.alert(n=2)).number)
    await w.order("group", "dev", (await w.alert(n=3)).number)
    await w.after(39)
    assert [hit.path for hit in sink.hits] == ["/ops", "/dev"]
    await w.after(3)
    assert [hit.path for hit in sink.hits] == ["/ops", "/dev", "/ops", "/ops"]
    assert set((await w.states()).values()) == {"delivered"}


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_what_cannot_heal_fails_at_once(world: Make, sink: Sink, status: int) -> None:
    """Trying again cannot help before somebody changes something: undelivered, logged, counted, and escalation goes on.

    Rules: R-CHT-7, R-CHT-8
    """
    w = await world(integration(), sink.channel("ops"))
    sink.always["ops"] = status
    stored = await w.alert()
    key = await w.order("group", "ops", stored.number)
    await w.send()
    await w.after(3600)
    failed = await w.delivery(key)
    reason = "authError" if status == 401 else "clientError"
    assert (len(sink.hits), failed.state, failed.reason) == (1, 2, reason)
    assert failed.error == f"127.0.0.1 answered {status}"
    ((_, text),) = [e for e in await w.entries(stored.number) if e[0] == "escalation_failed"]
    assert text == f"default/ops could not be reached: 127.0.0.1 answered {status}"
    assert w.metric("tocsin_notifications_failed_total", type="webhook", reason=reason) == 1


async def test_a_vendor_that_stays_down_is_given_up(world: Make, sink: Sink) -> None:
    """After an hour, not before, and with few attempts; by hand it can be tried anew, under the same key."""
    w = await world(integration(), sink.channel("ops"))
    sink.always["ops"] = 503
    key = await w.order("group", "ops", (await w.alert()).number)
    await w.send()
    began = w.now
    while (pending := await w.delivery(key)).state == 0:
        await w.after((pending.due_at - w.now) / SECOND)
        assert w.now - began <= retry.GIVE_UP_AFTER
    assert w.now - began > retry.GIVE_UP_AFTER - 2 * MINUTE
    assert len(sink.hits) < 130
    sink.always.clear()
    await w.store.write(lambda c: deliveries.retry(c, pending.id, w.now))
    await w.send()
    assert (await w.delivery(key)).state == 1
    assert {hit.key for hit in sink.hits} == {key}


async def test_a_person_is_told_at_their_address(world: Make, sink: Sink, engine: str) -> None:
    """The address is that of the contact, by value or from a Secret.

    The person is counted once for each alert group, under the name that was declared; the series ends with them.

    Rules: R-MET-4
    """
    ann = responder("ann", "ops", username="ann.a")
    bob = responder(
        "bob",
        contacts=[
            {
                "name": "ops",
                "channelRef": {"name": "ops"},
                "addressSecretRef": {"name": "secrets", "key": "bob"},
            }
        ],
    )
    w = await world(integration(), sink.channel("ops"), ann, bob, bob="+49123")
    number = (await w.alert()).number
    await w.order("personal", "ops", number, responder="ann", key="a1", reason="step 1")
    await w.order("personal", "ops", number, responder="ann", key="a2", reason="step 2")
    await w.order("personal", "ops", number, responder="bob")
    await w.send()
    told = {hit.body["recipient"]["address"] for hit in sink.hits}
    assert told == {"ann@ops", "+49123"}
    assert {hit.body["reason"] for hit in sink.hits} == {"step 1", "step 2", ""}
    name = "tocsin_user_was_notified_of_alert_groups_total"
    assert (w.metric(name, username="ann.a"), w.metric(name, username="bob")) == (1, 1)
    await w.delete("Responder", "ann")
    assert w.telemetry.registry.get_sample_value(name, {"username": "ann.a"}) is None


@pytest.mark.parametrize(
    ("verb", "why"),
    [
        ("resolve", "the group is resolved"),
        ("acknowledge", "the group is acknowledged"),
        ("silence", "the group is silenced"),
        ("wipe", "the group was wiped"),
    ],
)
async def test_nobody_is_told_in_vain(world: Make, sink: Sink, verb: str, why: str) -> None:
    """Whether a person still needs to know is looked at just before sending; who was paged by hand is told of an
    acknowledged group, too. On resolve nobody is called.

    Rules: R-CHT-11
    """
    w = await world(integration(), sink.channel("ops"), responder("ann", "ops"))
    number = (await w.alert()).number
    await w.order("personal", "ops", number, responder="ann", key="rule")
    await w.order("personal", "ops", number, responder="ann", key="page", even_if_acknowledged=True)
    await w.act(number, verb)
    await w.send()
    dropped = await w.delivery("rule")
    assert (dropped.state, dropped.reason) == (3, why)
    assert [hit.key for hit in sink.hits] == (["page"] if verb in ("acknowledge", "silence") else [])


async def test_a_deleted_group_is_told_to_nobody(world: Make, sink: Sink, engine: str) -> None:
    """It is gone with all its messages."""
    w = await world(integration(), sink.channel("ops"))
    number = (await w.alert()).number
    await w.order("group", "ops", number)
    await w.act(number, "delete")
    assert await w.send() == 0
    assert (sink.hits, await w.deliveries()) == ([], [])


async def test_nothing_is_sent_by_an_old_flow(world: Make, sink: Sink) -> None:
    """A process that has not loaded the current revision waits: the channel may have moved, or be gone."""
    w = await world(integration(), sink.channel("ops"))
    await w.order("group", "ops", (await w.alert()).number)
    w.objects["NotificationChannel", "ops"]["spec"]["webhook"]["url"] = f"{sink.base}/moved"
    await w.publish(load=False)
    assert await w.send() == 0
    await w.publish()
    assert await w.send() == 1
    assert [hit.path for hit in sink.hits] == ["/moved"]
