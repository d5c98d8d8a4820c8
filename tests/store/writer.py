"""A process that stores alerts until it is killed, or until its disk is full; started by test_durability."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from storing import KEYS, arrival, send

from tocsin.store import Store, StoreUnavailable, groups


async def write_for_ever(url: str, run: str) -> None:
    """Sixteen senders; each prints the title of an alert once it is durable."""
    store = await Store.open(url, keys=KEYS)

    async def sender(name: int) -> None:
        for number in range(1_000_000):
            title = f"{run}-{name}-{number}"
            await send(store, f"group {(name + number) % 7}", title=title)
            os.write(1, f"{title}\n".encode())

    await asyncio.gather(*[sender(name) for name in range(16)])


async def write_until_full(url: str) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = await Store.open(url, keys=KEYS)
    for limit in (1 << 40, 1 << 12, 1 << 12, 1 << 40):
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        try:
            await store.ingest((arrival("large", payload=os.urandom(300_000)),))
            outcome = "stored"
        except StoreUnavailable:
            outcome = "unavailable"
        os.write(1, f"{outcome}\n".encode())
    found = await store.read(lambda c: groups.get(c, 1))
    assert found is not None
    os.write(1, f"{found.alerts_count}\n".encode())
    await store.close()


if __name__ == "__main__":
    asyncio.run(write_until_full(sys.argv[1]) if sys.argv[2] == "limited" else write_for_ever(*sys.argv[1:]))
