"""Messages that are kept up to date: edits where a channel can, a word at the end where it cannot, nothing else."""

from __future__ import annotations

import asyncio

import pytest
from delivering import Make, Micros, Sink, World, integration

from tocsin.store import deliveries, posted
from tocsin.store.posted import Posted

ONE = {"templates": {"groupingId": "one"}}


async def shown(w: World, number: int, channel: str) -> Posted | None:
    return await w.store.read(lambda c: posted.get(c, number, f"default/{channel}"))


async def changed(w: World, number: int, *channels: str) -> None:
    """As the engine does when the state of a group changes."""
    pairs = [(number, f"default/{channel}") for channel in channels]
    await w.store.write(lambda c: deliveries.enqueue_updates(c, pairs, w.now))


async def test_one_message_that_follows_its_group(world: Make, sink: Sink, engine: str) -> None:
    """The first alert posts it; whoever else wants to post the group, for the same or another alert, edits it.

    Rules: R-CHT-5
    """
    w = await world(integration(**ONE), sink.slack("chat"), slack="xoxb-1")
    number = (await w.alert(n=1)).number
    for key in ("first", "at the same time"):
        await w.order("group", "chat", number, key=key)
    await w.send()
    assert [hit.path for hit in sink.hits] == ["/chat/chat.postMessage"]
    await w.alert(n=2)
    for key in ("second", "third"):
        await w.order("group", "chat", number, key=key)
    for _ in range(4):
        await w.after(2)
    assert [hit.path for hit in sink.hits] == ["/chat/chat.postMessage", "/chat/chat.update"]
    assert (sink.hits[1].body["ts"], sink.hits[1].body["channel"]) == ("1.0", "C1")
    dropped = [one for one in await w.deliveries() if one.reason == "the message says so already"]
    assert ([one.state for one in await w.deliveries()].count(1), len(dropped)) == (2, 2)


async def test_later_alerts_edit_the_message_now_and_then(world: Make, sink: Sink, engine: str) -> None:
    """A hundred alerts in ten seconds are one edit with the new count; nothing new, no edit. A state is shown at once.

    Rules: R-CHT-6
    """
    w = await world(integration(**ONE), sink.slack("chat"), slack="xoxb-1")
    number = (await w.alert(n=0)).number
    await w.order("group", "chat", number)
    await w.send()
    for n in range(100):
        await w.alert(n=n)
        if n % 10 == 0:
            await w.worker.edit_late()
            await w.after(0.5)
    assert len(sink.hits) == 1
    w.clock.moment = Micros(w.now + 6_000_000)
    assert await w.worker.edit_late() == 1
    await w.send()
    assert (len(sink.hits), await w.worker.edit_late()) == (2, 0)
    message = await shown(w, number, "chat")
    assert message is not None and message.alerts_count == 101
    await w.after(60)
    assert (await w.worker.edit_late(), len(sink.hits)) == (0, 2)
    await w.act(number, "acknowledge")
    await changed(w, number, "chat")
    await w.send()
    assert [hit.path.rpartition(".")[2] for hit in sink.hits] == ["postMessage", "update", "update"]
    assert "ann" in str(sink.hits[2].body)


async def test_a_change_while_the_first_message_is_on_its_way(world: Make, sink: Sink) -> None:
    """Resolved between rendering and arrival: the message is edited right after it was posted."""
    w = await world(integration(), sink.slack("chat"), slack="xoxb-1")
    number = (await w.alert()).number
    sink.answers["chat"].append("hang")
    await w.order("group", "chat", number)
    sending = asyncio.create_task(w.send())
    await sink.wait_for(1)
    await w.act(number, "resolve")
    sink.release.set()
    await sending
    await w.send()
    assert [hit.path.rpartition(".")[2] for hit in sink.hits] == ["postMessage", "update"]
    message = await shown(w, number, "chat")
    assert message is not None and (message.state, message.open) == ("resolved", False)


@pytest.mark.parametrize("tell", [True, False])
async def test_where_nothing_can_be_edited_the_end_is_told(world: Make, sink: Sink, tell: bool) -> None:
    """`sendResolved` decides; an acknowledgement or further alerts are no news there."""
    w = await world(integration(**ONE), sink.channel("ops", sendResolved=tell))
    number = (await w.alert(n=1)).number
    await w.order("group", "ops", number)
    await w.send()
    await w.alert(n=2)
    await w.act(number, "acknowledge")
    await changed(w, number, "ops")
    await w.after(11)
    assert await w.worker.edit_late() == 0
    await w.act(number, "resolve")
    await changed(w, number, "ops")
    await w.send()
    await changed(w, number, "ops")
    await w.after(1)
    told = [hit.body["alertGroup"]["state"] for hit in sink.hits]
    assert told == (["firing", "resolved"] if tell else ["firing"])


async def test_a_message_that_cannot_be_edited_any_more_is_left_alone(world: Make, sink: Sink) -> None:
    """Posting restricted, message or channel gone: remembered with the group, and not tried again."""
    w = await world(integration(**ONE), sink.pager("chat"))
    number = (await w.alert(n=1)).number
    await w.order("group", "chat", number)
    await w.send()
    sink.always["chat"] = 404
    await w.alert(n=2)
    for _ in range(3):
        w.clock.moment = Micros(w.now + 11_000_000)
        await w.worker.edit_late()
        await w.send()
    message = await shown(w, number, "chat")
    assert message is not None and not message.open
    assert len(sink.hits) == 2


async def test_a_group_that_was_over_before_it_was_told(world: Make, sink: Sink) -> None:
    """A chat keeps a record of it, as it is now; elsewhere nobody is bothered."""
    w = await world(integration(), sink.slack("chat"), sink.channel("ops"), slack="xoxb-1")
    number = (await w.alert()).number
    await w.order("group", "chat", number)
    key = await w.order("group", "ops", number)
    await w.act(number, "resolve")
    await w.send()
    assert [hit.path for hit in sink.hits] == ["/chat/chat.postMessage"]
    assert (await w.delivery(key)).reason == "the group was resolved before anybody was told here"


async def test_a_step_of_a_chain_tells_a_channel_again(world: Make, sink: Sink) -> None:
    """The route's own message is one; a later step that names the channel is a further one, or nobody would hear it."""
    w = await world(integration(), sink.slack("chat"), slack="xoxb-1")
    number = (await w.alert()).number
    await w.order("group", "chat", number, key="route")
    await w.send()
    await w.order("group", "chat", number, key="step", step="2", reason="step 2 of EscalationChain default/a")
    await w.send()
    assert [hit.path.rpartition(".")[2] for hit in sink.hits] == ["postMessage", "postMessage"]
    message = await shown(w, number, "chat")
    assert message is not None and message.reference == "C1/1.0"


async def test_a_reminder_goes_below_the_message(world: Make, sink: Sink) -> None:
    """In the thread of the group's message, while the group is acknowledged."""
    w = await world(integration(), sink.slack("chat"), slack="xoxb-1")
    number = (await w.alert()).number
    await w.order("group", "chat", number)
    await w.send()
    await w.act(number, "acknowledge")
    await w.order("reminder", "chat", number, reason="is it still being worked on?", confirm=True)
    await w.send()
    assert (sink.hits[1].body["thread_ts"], len(sink.hits)) == ("1.0", 2)
    await w.act(number, "resolve")
    key = await w.order("reminder", "chat", number, key="late")
    await w.send()
    assert (await w.delivery(key)).reason == "the group is not acknowledged any more"
