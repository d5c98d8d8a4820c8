"""What happens when a message cannot arrive: the fallback, once; a channel that is gone, moved, or got a new secret."""

from __future__ import annotations

from delivering import SECOND, Make, Sink, integration, obj, responder, secret_ref

from tocsin.store import channelhealth


def with_bearer(sink: Sink, name: str, key: str) -> dict:
    target = {"url": f"{sink.base}/{name}", "bearerSecretRef": secret_ref(key)}
    return obj("NotificationChannel", name, webhook=target)


async def test_the_fallback_gets_what_could_not_be_delivered(world: Make, sink: Sink, engine: str) -> None:
    """At once if the failure is final; the message says why it comes this way; its key follows from the first one's."""
    w = await world(integration(), sink.channel("ops", fallbackRef={"name": "mail"}), sink.channel("mail"))
    sink.always["ops"] = 404
    stored = await w.alert()
    key = await w.order("group", "ops", stored.number, reason="route default")
    await w.send()
    assert [hit.path for hit in sink.hits] == ["/ops", "/mail"]
    assert sink.hits[1].key == f"{key}/instead/default/mail"
    assert sink.hits[1].body["alertGroup"]["number"] == stored.number
    assert await w.states() == {key: "failed", f"{key}/instead/default/mail": "delivered"}
    assert [kind for kind, _ in await w.entries(stored.number)][-2:] == ["escalation_failed", "delivered"]


async def test_a_person_is_told_by_the_fallback_within_minutes(world: Make, sink: Sink) -> None:
    """Where there is a second way a vendor that is down gets five minutes, not an hour. The person's own address on
    that channel is used, if they have one; else its own place is told who was meant.
    """
    w = await world(
        integration(),
        sink.channel("push", fallbackRef={"name": "sms"}),
        sink.channel("sms"),
        responder("ann", "push", "sms"),
        responder("bob", "push"),
    )
    sink.always["push"] = 503
    number = (await w.alert()).number
    await w.order("personal", "push", number, responder="ann")
    await w.order("personal", "push", number, responder="bob")
    await w.send()
    began = w.now
    while len(sink.at("sms")) < 2:
        await w.after(5)
    assert 200 * SECOND < w.now - began <= 310 * SECOND
    told = [hit.body["recipient"] for hit in sink.at("sms")]
    assert {"address": "ann@sms", "name": "ann"} in told
    assert {"address": "", "name": "bob"} in told
    assert all("default/push could not be reached" in hit.body["reason"] for hit in sink.at("sms"))


async def test_the_second_way_is_the_last(world: Make, sink: Sink) -> None:
    """A fallback's own fallback is for its own messages: this one is tried once more, then it is undelivered."""
    w = await world(
        integration(),
        sink.channel("a", fallbackRef={"name": "b"}),
        sink.channel("b", fallbackRef={"name": "c"}),
        sink.channel("c"),
    )
    sink.always |= {"a": 404, "b": 404}
    await w.order("group", "a", (await w.alert()).number)
    await w.send()
    await w.after(3600)
    assert [hit.path for hit in sink.hits] == ["/a", "/b"]
    assert set((await w.states()).values()) == {"failed"}


async def test_a_channel_that_is_gone_fails_its_messages(world: Make, sink: Sink) -> None:
    """Deleted or suspended while a message waits: undelivered, with the reason, and nothing else is held up."""
    w = await world(integration(), sink.channel("a"), sink.channel("b"), sink.channel("c"))
    number = (await w.alert()).number
    gone, asleep = await w.order("group", "a", number), await w.order("group", "b", number)
    await w.order("group", "c", number)
    await w.delete("NotificationChannel", "a")
    await w.apply(sink.channel("b", suspend=True))
    await w.send()
    assert [hit.path for hit in sink.hits] == ["/c"]
    for key, name in ((gone, "a"), (asleep, "b")):
        failed = await w.delivery(key)
        assert (failed.state, failed.reason) == (2, "clientError")
        assert failed.error == f"there is no NotificationChannel default/{name} (any more)"


async def test_a_channel_that_moved_gets_waiting_messages_at_its_new_place(world: Make, sink: Sink) -> None:
    """What is declared when a message is sent counts, not what was when it was decided."""
    w = await world(integration(), sink.channel("ops"))
    sink.answers["ops"].append(503)
    await w.order("group", "ops", (await w.alert()).number)
    await w.send()
    await w.apply(sink.channel("ops", webhook={"url": f"{sink.base}/new"}))
    await w.after(2)
    assert [hit.path for hit in sink.hits] == ["/ops", "/new"]


async def test_a_new_secret_is_used_at_once(world: Make, sink: Sink, engine: str) -> None:
    """Rotated while running: the next message has it, without a restart. The old one is nowhere in log or rows."""
    w = await world(integration(), with_bearer(sink, "ops", "token"), token="first-token")
    number = (await w.alert()).number
    await w.order("group", "ops", number, key="one")
    await w.send()
    w.secrets["token"] = "second-token"
    await w.publish()
    await w.order("group", "ops", number, key="two", step="1")
    await w.send()
    assert [hit.headers["Authorization"] for hit in sink.hits] == [
        "Bearer first-token",
        "Bearer second-token",
    ]
    assert "first-token" not in w.log.getvalue() + repr(await w.deliveries())


async def test_a_secret_that_is_not_there_is_named(world: Make, sink: Sink) -> None:
    """The error says which key of which Secret is missing, and the channel's health says so, too."""
    w = await world(integration(), with_bearer(sink, "ops", "token"))
    key = await w.order("group", "ops", (await w.alert()).number)
    await w.send()
    failed = await w.delivery(key)
    assert (failed.state, failed.reason, sink.hits) == (2, "authError", [])
    assert "Secret default/secrets has no value for key token" in failed.error
    health = await w.store.read(lambda c: channelhealth.get(c, "default/ops"))
    assert health is not None and health.last_error == failed.error


async def test_health_of_a_channel(world: Make, sink: Sink, engine: str) -> None:
    """Since when it fails and with what; a success ends that. Changes are written at once, the rest every few seconds."""
    w = await world(integration(), sink.channel("ops"))
    number = (await w.alert()).number

    async def health() -> channelhealth.ChannelHealth:
        found = await w.store.read(lambda c: channelhealth.get(c, "default/ops"))
        assert found is not None
        return found

    sink.answers["ops"].extend([503, 503])
    await w.order("group", "ops", number)
    await w.send()
    began = w.now
    await w.after(2)
    assert ((await health()).failing_since, (await health()).reason) == (began, "serverError")
    await w.after(4)
    assert ((await health()).failing_since, (await health()).last_sent) == (None, w.now)
    first = w.now
    for wait, shown in ((1, first), (1, first), (4, first + 6 * SECOND)):
        await w.order("group", "ops", number, key=f"more {wait} {shown}", step="1")
        await w.after(wait)
        assert (await health()).last_sent == shown
        if wait == 1 and shown == first:
            first = shown


async def test_health_ends_with_its_channel(world: Make, sink: Sink) -> None:
    """A channel of the same name that is declared later begins well."""
    w = await world(integration(), sink.channel("ops"), sink.channel("b"))
    number = (await w.alert()).number
    sink.always["ops"] = 404
    await w.order("group", "ops", number)
    await w.order("group", "b", number)
    await w.send()
    await w.worker.forget_channels()
    await w.delete("NotificationChannel", "ops")
    await w.worker.forget_channels()
    known = await w.store.read(channelhealth.list_channels)
    assert [one.channel for one in known] == ["default/b"]
