"""Calendars by URL: a real host on loopback, a real store; only the clock is ours."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from rotas import at, now_on, schedule

from tocsin.dispatch.calendars import KEPT_FOR, SIZE_LIMIT, Calendars
from tocsin.flow.model import CalendarFragment, Micros, ScheduleFragment, SecretKey
from tocsin.flow.oncall import Calendar
from tocsin.notify.client import HttpClient, Outgoing
from tocsin.store import KeyRing, Store, calendars, credentials
from tocsin.telemetry import Telemetry

KEYS = KeyRing((b"k" * 32,))
KEY = "ops/rota"
MINUTE = 60_000_000
START = at("2026-01-05T09:00")


def ics(name: str) -> str:
    return (
        "BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n"
        f"SUMMARY:{name}\r\nDTSTART:20260101T000000Z\r\nDTEND:20270101T000000Z\r\n"
        "END:VEVENT\r\nEND:VCALENDAR\r\n"
    )


class Host:
    """`answer` is what the next request gets."""

    def __init__(self) -> None:
        self.body = ics("ann").encode()
        self.status = 200
        self.etag = ""
        self.asked: list[dict[str, str]] = []
        self.release = asyncio.Event()
        self.hang = False
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(dict(request.headers))
        if self.hang:
            await self.release.wait()
        if self.etag and request.headers.get("If-None-Match") == self.etag:
            return web.Response(status=304)
        headers = {"ETag": self.etag} if self.etag else {}
        if self.status == 302:
            headers["Location"] = "https://elsewhere.example/token"
        return web.Response(status=self.status, body=self.body, headers=headers)


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    made = Host()
    app = web.Application()
    app.router.add_get("/{path:.*}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/secret-path/a.ics"
    yield made
    made.release.set()
    await runner.cleanup()


class World:
    """One process that fetches; `reader` is one that does not."""

    def __init__(
        self, store: Store, fragment: CalendarFragment, *, allowed: tuple[str, ...], timeout: float
    ) -> None:
        self.store = store
        self.moment = START
        self.log = io.StringIO()
        self.http = HttpClient(Outgoing(allowed=allowed, timeout=timeout))
        self.live = SimpleNamespace(program=None)
        self.declare(fragment)
        self.calendars = self.process(self.http)

    def declare(self, *fragments: CalendarFragment) -> None:
        self.schedules = {}
        for one in fragments:
            self.schedules[KEY] = ScheduleFragment(namespace="ops", name="rota", calendar=one)
        self.live.program = SimpleNamespace(targets=SimpleNamespace(schedules=self.schedules))

    def process(self, http: HttpClient | None = None) -> Calendars:
        telemetry = Telemetry.create(stream=self.log, process_metrics=False)
        return Calendars(self.store, self.live, telemetry, http=http, now=lambda _c: self.moment)

    async def after(self, minutes: float) -> str:
        self.moment = Micros(self.moment + int(minutes * MINUTE))
        await self.calendars.refresh()
        return self.on_call()

    def on_call(self, of: Calendars | None = None) -> str:
        found = (of or self.calendars).get(KEY)
        assert isinstance(found, Calendar)
        return now_on(schedule(ical=True), "2026-01-05T09:00", found)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'tocsin.db'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    opened = await Store.open(url, keys=KEYS)
    yield opened
    await opened.close()


@pytest.fixture
async def world(store: Store, host: Host) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    made: list[World] = []

    async def make(
        fragment: CalendarFragment | None = None,
        *,
        allowed: tuple[str, ...] = ("127.0.0.0/8",),
        timeout: float = 5,
    ) -> World:
        one = World(store, fragment or CalendarFragment(url=host.url), allowed=allowed, timeout=timeout)
        made.append(one)
        return one

    yield make
    for one in made:
        await one.http.close()


Make = Callable[..., Awaitable[World]]


async def test_fetched_when_due_and_not_before(world: Make, host: Host) -> None:
    """Every `refresh`, at least a minute apart; a change is seen with the next one."""
    w = await world(CalendarFragment(url=host.url, refresh=5 * MINUTE))
    assert w.on_call() == "the calendar cannot be read: it has not been read yet"
    assert await w.after(0) == "ann"
    host.body = ics("bob").encode()
    assert (await w.after(4), len(host.asked)) == ("ann", 1)
    assert (await w.after(1), len(host.asked)) == ("bob", 2)


async def test_an_unchanged_calendar_is_not_sent_again(world: Make, host: Host) -> None:
    """ETag and If-None-Match: 304 confirms the one at hand, also after a restart."""
    host.etag = '"v1"'
    w = await world(CalendarFragment(url=host.url, refresh=MINUTE))
    await w.after(0)
    w.calendars = w.process(w.http)
    assert await w.after(1) == "ann"
    assert host.asked[-1]["If-None-Match"] == '"v1"'
    state = w.calendars.state(KEY)
    assert state is not None
    assert (state.read_at, state.problem) == (w.moment, "")


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (500, b"", "its host answered 500"),
        (302, b"", "its host answered 302: give the URL that it leads to"),
        (200, b"<html>Sign in</html>", "it is no iCalendar text: BEGIN:VCALENDAR is missing"),
        (200, b"BEGIN:VCALENDAR\r\n" + b"X" * (SIZE_LIMIT + 1), "it has more than 5 MiB"),
        (304, b"", "its host answered 304: give the URL that it leads to"),
    ],
)
async def test_a_host_that_fails_says_why(
    world: Make, host: Host, status: int, body: bytes, problem: str
) -> None:
    """Nobody is on call for a stated reason, and the host is asked again in a minute."""
    host.status, host.body = status, body
    w = await world()
    assert await w.after(0) == f"the calendar cannot be read: {problem}"
    host.status, host.body = 200, ics("ann").encode()
    assert await w.after(1) == "ann"
    assert w.log.getvalue().count("a calendar cannot be read") == 1
    assert w.log.getvalue().count("a calendar can be read again") == 1


async def test_the_last_good_calendar_outlives_an_outage_and_a_restart(world: Make, host: Host) -> None:
    """For a week; then it is not believed, and a log line says so once. Nothing tells the URL."""
    w = await world()
    await w.after(0)
    host.status = 503
    assert await w.after(10) == "ann"
    w.calendars = w.process(w.http)
    assert await w.after(60) == "ann"
    assert await w.after(KEPT_FOR / MINUTE) == (
        "the calendar cannot be read: its host answered 503; the last good one is more than 7 days old"
    )
    await w.after(60)
    assert w.log.getvalue().count("too old to go by") == 1
    assert "secret-path" not in w.log.getvalue()
    host.status = 200
    assert await w.after(1) == "ann"


async def test_a_large_calendar_is_read_whole(world: Make, host: Host) -> None:
    """Answers of other hosts are cut much earlier."""
    host.body = ics("ann").replace("SUMMARY", "DESCRIPTION:" + "x" * 3_000_000 + "\r\nSUMMARY").encode()
    w = await world()
    assert await w.after(0) == "ann"


async def test_private_addresses_are_refused(world: Make, host: Host) -> None:
    """What the operator of the process does not allow is never asked."""
    w = await world(allowed=())
    assert "requests may not go there" in await w.after(0)
    assert host.asked == []


async def test_a_slow_host_has_its_time(world: Make, host: Host) -> None:
    host.hang = True
    w = await world(timeout=0.2)
    assert await w.after(0) == "the calendar cannot be read: 127.0.0.1: no answer in time"


async def test_one_process_fetches_for_all(world: Make, host: Host) -> None:
    """A second one takes it from the store, without asking the host, also where it may not fetch at all."""
    w = await world()
    other, reader = w.process(w.http), w.process()
    await w.after(0)
    await other.refresh()
    await reader.refresh()
    assert (w.on_call(other), w.on_call(reader), len(host.asked)) == ("ann", "ann", 1)
    host.body = ics("bob").encode()
    await w.after(10)
    await reader.refresh()
    assert w.on_call(reader) == "bob"


async def test_another_url_is_another_calendar(world: Make, host: Host) -> None:
    """The calendar of the old URL is never taken for that of the new one; a deleted schedule leaves nothing behind."""
    w = await world()
    await w.after(0)
    host.status = 500
    w.declare(CalendarFragment(url=host.url + "?other"))
    assert w.on_call() == "the calendar cannot be read: it has not been read yet"
    assert await w.after(0) == "the calendar cannot be read: its host answered 500"
    w.declare()
    await w.calendars.refresh()
    assert w.calendars.get(KEY) is None
    assert await w.store.read(calendars.load) == {}
    assert await w.store.read(lambda c: calendars.text_of(c, KEY)) == ""


async def test_the_url_may_be_a_secret(world: Make, host: Host) -> None:
    """Read when it is fetched; without a value the reason names the Secret, never the URL."""
    secret = SecretKey(namespace="ops", name="cal", key="url", digest="d1")
    w = await world(CalendarFragment(url_secret=secret))
    assert await w.after(0) == "the calendar cannot be read: Secret ops/cal has no value for key url"
    value = (host.url + "\n").encode()
    await w.store.write(
        lambda c: credentials.put_secret(c, KEYS, ("ops", "cal", "url"), ("d1", value), Micros(1))
    )
    assert await w.after(1) == "ann"
    stored = await w.store.read(calendars.load)
    assert host.url not in repr(stored)


async def test_a_text_of_a_configmap_needs_no_host(world: Make, host: Host) -> None:
    """It counts as soon as the flow has it."""
    w = await world(CalendarFragment(text=ics("bob")))
    assert w.on_call() == "bob"
    w.declare(CalendarFragment(text="nonsense"))
    assert w.on_call().startswith("the calendar cannot be read: it is no iCalendar text")
    await w.calendars.refresh()
    assert host.asked == []


async def test_it_runs_until_it_is_stopped(world: Make, host: Host) -> None:
    """A new flow is looked at when told."""
    w = await world()
    fetched = asyncio.create_task(w.calendars.run())
    async with asyncio.timeout(20):
        while not host.asked or w.on_call() != "ann":
            await asyncio.sleep(0.01)
        w.declare(CalendarFragment(url=host.url + "?next"))
        w.calendars.wake()
        while len(host.asked) < 2:
            await asyncio.sleep(0.01)
        w.calendars.stop()
        await fetched
