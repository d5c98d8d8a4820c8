"""The yardstick: an aiohttp + uvloop + orjson handler that parses the body and only answers.

`python -m bench.bare PORT` serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import orjson
import uvloop
from aiohttp import web


async def handle(request: web.Request) -> web.Response:
    payload = orjson.loads(await request.read())
    return web.Response(
        body=orjson.dumps({"status": payload["status"], "alerts": len(payload["alerts"])}),
        content_type="application/json",
    )


async def serve(port: int) -> None:
    app = web.Application()
    app.router.add_post("/integrations/v1/{type}/{token}/", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
