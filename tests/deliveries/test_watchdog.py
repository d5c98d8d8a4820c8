"""The dead man's switch: fed while receive, store and dispatch all work, and by nobody else."""

from __future__ import annotations

from delivering import MINUTE, Make, Micros, Sink, World, integration

from tocsin.dispatch.deliveries.watchdog import STUCK_AFTER, Watchdog, Watched
from tocsin.store import timers


class Switches:
    receiving = True
    turning = True
    busy: frozenset[str] = frozenset()


def watchdog(w: World, sink: Sink, switches: Switches) -> Watchdog:
    watched = Watched(
        url=f"{sink.base}/alive?token=s3cret",
        receiving=lambda _connection, _now: switches.receiving,
        busy=lambda: switches.busy,
        turning=lambda: switches.turning,
    )
    return Watchdog(w.store, w.http, watched, clock=w.clock, telemetry=w.telemetry)


async def test_it_is_fed_while_everything_works(world: Make, sink: Sink, engine: str) -> None:
    """A message that waits for its next attempt and a timer of tomorrow are no trouble."""
    w = await world(integration(), sink.channel("ops"))
    dog = watchdog(w, sink, Switches())
    assert await dog.ping()
    await w.order("group", "ops", (await w.alert()).number)
    await w.store.write(lambda c: timers.schedule(c, "unsilence", "1", Micros(w.now + 60 * MINUTE)))
    w.clock.moment = Micros(w.now + STUCK_AFTER // 2)
    assert await dog.ping()
    assert [hit.path for hit in sink.hits] == ["/alive", "/alive"]
    assert w.metric("tocsin_watchdog_pings_total", result="sent") == 2


async def test_it_is_not_fed_while_something_does_not_work(world: Make, sink: Sink, engine: str) -> None:
    """No receiver, a loop that stands, a message or timer that nobody takes up: the reason is in the log."""
    w = await world(integration(), sink.channel("ops"))
    switches = Switches()
    dog = watchdog(w, sink, switches)
    switches.receiving = False
    assert await dog.problem() == "nobody receives alerts"
    switches.receiving, switches.turning = True, False
    assert await dog.problem() == "messages are not looked after"
    switches.turning = True
    await w.order("group", "ops", (await w.alert()).number)
    w.clock.moment = Micros(w.now + STUCK_AFTER + 1)
    assert await dog.problem() == "messages are not sent"
    switches.busy = frozenset({"default/ops"})  # it hangs, which is not Tocsin's fault and shown elsewhere
    assert await dog.problem() == ""
    await w.store.write(lambda c: timers.schedule(c, "unsilence", "1", w.now))
    w.clock.moment = Micros(w.now + STUCK_AFTER + 1)
    assert await dog.problem() == "timers are not run"
    assert not await dog.ping()
    assert sink.hits == []
    assert "timers are not run" in w.log.getvalue()
    assert w.metric("tocsin_watchdog_pings_total", result="withheld") == 1


async def test_a_store_that_is_gone_feeds_nobody(world: Make, sink: Sink) -> None:
    """And an URL that does not answer is said, without its path or query, which hold a token."""
    w = await world(integration(), sink.channel("ops"))
    dog = watchdog(w, sink, Switches())
    sink.always["alive"] = 500
    assert not await dog.ping()
    assert "answered 500" in w.log.getvalue()
    assert "s3cret" not in w.log.getvalue()
    await w.store.close()
    assert (await dog.problem()).startswith("the store cannot be used")
    await w.open()
