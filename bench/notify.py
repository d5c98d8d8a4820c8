"""From a posted alert to the first delivered notification, at a steady rate, beside Alertmanager in the same rounds.

Sender and receiver of the notifications are this process, so one clock sees both ends. Every alert opens a group of its
own and goes to a webhook channel; there are so many channels that none gets enough for a bundle.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import aiohttp
import orjson
import uvloop
from aiohttp import web

from bench import servers
from bench.load import LoadFailed
from bench.scale import Scale
from bench.servers import Server, alert_urls, work_folder

RATE = 100
"""New groups per second."""

PER_CHANNEL = 4
"""Messages that one channel gets in a minute at most; from the sixth on they would be bundled."""

ARRIVE_WITHIN = 30.0
"""Seconds after the last alert of a round; what did not arrive by then is lost, and the part fails."""

_HEAD = "apiVersion: tocsin.dev/v1alpha1\n"
_INTEGRATION = """kind: Integration
metadata: {name: notify}
spec:
  type: webhook
  templates:
    groupingId: '{{ payload.n }}'
    appearance: {web: {title: '{{ payload.n }}'}}
"""
_ROUTE = """kind: AlertRoute
metadata: {name: route-%(n)05d}
spec:
  parentRefs: [{name: notify}]
  match: {template: '{{ payload.team == "team-%(n)d" }}'}
  chatops: [{channelRef: {name: channel-%(n)05d}}]
"""
_CHANNEL = """kind: NotificationChannel
metadata: {name: channel-%(n)05d}
spec: {webhook: {url: '%(url)s'}}
"""
_ALERTMANAGER = """
route: {receiver: sink, group_by: [n], group_wait: 0s, group_interval: 1h, repeat_interval: 24h}
receivers:
  - name: sink
    webhook_configs: [{url: '%s', send_resolved: false}]
"""


class Sink:
    """Takes notifications and remembers when the first of each number came."""

    def __init__(self) -> None:
        self.arrived: dict[str, float] = {}

    async def from_tocsin(self, request: web.Request) -> web.Response:
        now = time.perf_counter()
        self.arrived.setdefault(orjson.loads(await request.read())["title"], now)
        return web.Response()

    async def from_alertmanager(self, request: web.Request) -> web.Response:
        now = time.perf_counter()
        for alert in orjson.loads(await request.read())["alerts"]:
            self.arrived.setdefault(alert["labels"]["n"], now)
        return web.Response()


@asynccontextmanager
async def serving(sink: Sink, port: int) -> AsyncIterator[None]:
    app = web.Application()
    app.router.add_post("/tocsin", sink.from_tocsin)
    app.router.add_post("/alertmanager", sink.from_alertmanager)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


def measure(scale: Scale) -> dict[str, float]:
    """Percentiles over the alerts of each round; the median of the rounds."""
    sink = servers.free_port()
    channels = max(RATE * 60 // PER_CHANNEL, 1) if scale.notify_seconds > 2 else 2 * RATE
    with work_folder() as work, ExitStack() as stack:
        folder = _manifests(work / "manifests", channels, f"http://127.0.0.1:{sink}/tocsin")
        tocsin = stack.enter_context(servers.tocsin(work, folder, "--allow-outgoing", "127.0.0.1"))
        theirs = stack.enter_context(
            servers.alertmanager(work, _ALERTMANAGER % f"http://127.0.0.1:{sink}/alertmanager")
        )
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_measure(scale, sink, (tocsin, theirs), channels))


async def _measure(scale: Scale, port: int, pair: tuple[Server, Server], channels: int) -> dict[str, float]:
    ours, theirs = pair
    url = alert_urls(ours)["default/notify"]
    numbers = count(1)

    def to_tocsin(n: int) -> tuple[str, Any]:
        return url, {"n": str(n), "team": f"team-{n % channels}"}

    def to_alertmanager(n: int) -> tuple[str, Any]:
        return f"{theirs.base}/api/v2/alerts", [{"labels": {"alertname": "notify", "n": str(n)}}]

    seen: dict[str, list[tuple[float, float]]] = {"notify": [], "notify_alertmanager": []}
    sink = Sink()
    async with serving(sink, port), aiohttp.ClientSession() as session:
        for turn in range(scale.rounds + (scale.warm_up > 0)):
            for name, make in (("notify", to_tocsin), ("notify_alertmanager", to_alertmanager)):
                took = await _round(session, sink, make, numbers, scale.notify_seconds)
                if turn or not scale.warm_up:
                    cuts = quantiles(took, n=100)
                    seen[name].append((cuts[49], cuts[98]))
    return {
        f"{name}_p{cut}_seconds": median(pair[at] for pair in rounds)
        for name, rounds in seen.items()
        for at, cut in ((0, 50), (1, 99))
    }


async def _round(
    session: aiohttp.ClientSession,
    sink: Sink,
    make: Callable[[int], tuple[str, Any]],
    numbers: count[int],
    seconds: int,
) -> list[float]:
    """Sends at the rate, whatever the answers take; seconds from each post to its notification."""
    sent: dict[str, float] = {}
    posts: list[asyncio.Task[None]] = []
    began = time.perf_counter()
    for turn in range(RATE * seconds):
        await asyncio.sleep(max(began + turn / RATE - time.perf_counter(), 0))
        number = next(numbers)
        url, body = make(number)
        sent[str(number)] = time.perf_counter()
        posts.append(asyncio.create_task(_post(session, url, body)))
    await asyncio.gather(*posts)
    deadline = time.perf_counter() + ARRIVE_WITHIN
    while not sent.keys() <= sink.arrived.keys():
        if time.perf_counter() > deadline:
            lost = len(sent.keys() - sink.arrived.keys())
            raise LoadFailed(f"{lost} of {len(sent)} notifications did not arrive")
        await asyncio.sleep(0.05)
    return [sink.arrived[number] - at for number, at in sent.items()]


async def _post(session: aiohttp.ClientSession, url: str, body: Any) -> None:
    headers = {"Content-Type": "application/json"}
    async with session.post(url, data=orjson.dumps(body), headers=headers) as answer:
        if answer.status // 100 != 2:
            raise LoadFailed(f"answered {answer.status}")
        await answer.read()


def _manifests(folder: Path, channels: int, url: str) -> Path:
    folder.mkdir()
    documents = [_INTEGRATION]
    for number in range(channels):
        values = {"n": number, "url": url}
        documents += [_ROUTE % values, _CHANNEL % values]
    for at in range(0, len(documents), 100):
        text = "\n---\n".join(_HEAD + document for document in documents[at : at + 100])
        (folder / f"{at:06}.yaml").write_text(text)
    return folder
