"""A process that sends messages until it is killed: `python sender.py DATABASE-URL`. Its parent holds the far end."""

from __future__ import annotations

import asyncio
import sys

from tocsin.dispatch.deliveries.running import Sending, start_deliveries
from tocsin.notify.client import HttpClient, Outgoing
from tocsin.notify.guard import Guard
from tocsin.notify.tools import Tools
from tocsin.sources import load_types
from tocsin.store import KeyRing, Store
from tocsin.store.replica import LiveFlow
from tocsin.telemetry import Telemetry

LOOPBACK = ("127.0.0.0/8",)


async def main(url: str) -> None:
    role = "all" if url.startswith("sqlite") else "dispatcher"
    store = await Store.open(url, keys=KeyRing((b"k" * 32,)), role=role)
    live = LiveFlow(store, role=role, types=load_types())
    await live.start()
    tools = Tools(http=HttpClient(Outgoing(allowed=LOOPBACK)), guard=Guard(LOOPBACK))
    await start_deliveries(store, live, Telemetry.create(level="error"), Sending(tools=tools))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
