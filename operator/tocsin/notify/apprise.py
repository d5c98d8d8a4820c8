"""Apprise's hundred other services, each message in a process of its own that is killed when its time is over.

Apprise brings its own HTTP stack: it follows redirects and reaches private addresses, whatever Tocsin's guard says. So
it is off unless whoever runs Tocsin enables it, and it is never imported into this process.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping

import orjson

from tocsin.flow.model import ChannelFragment
from tocsin.notify import plain
from tocsin.notify.channel import Channel, DeliveryFailed, FailureReason
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.text import short
from tocsin.notify.tools import Tools

TIME_LIMIT = 30.0
"""Seconds, after which the process is killed."""
_TITLE_LIMIT = 250
_BODY_LIMIT = 10_000

_PROGRAM = """
import json, sys
asked = json.load(sys.stdin)
try:
    import apprise
except ImportError:
    sys.exit(3)
service = apprise.Apprise()
if not service.add(asked["url"]):
    sys.exit(4)
sys.exit(0 if service.notify(title=asked["title"], body=asked["body"]) else 5)
"""
_MEANINGS = {
    3: ("Apprise is not installed: pip install 'tocsin[apprise]'", True),
    4: ("Apprise cannot read the URL in the Secret", True),
    5: ("Apprise could not deliver; it does not say why", False),
}


class Apprise:
    type = "apprise"
    edits = False

    def __init__(self, secrets: Mapping[str, str], tools: Tools) -> None:
        self._url = secrets["apprise.urlSecretRef"]
        self._enabled = tools.apprise

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        if not self._enabled:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                "Apprise is off: whoever runs Tocsin can enable it with --apprise",
                permanent=True,
            )
        asked = {
            "url": self._url,
            "title": short(plain.headline(message), _TITLE_LIMIT),
            "body": plain.body(message, limit=_BODY_LIMIT) or "Alert",
        }
        code = await _run(orjson.dumps(asked))
        if code is None:
            raise DeliveryFailed(FailureReason.TIMEOUT, f"Apprise took more than {TIME_LIMIT:.0f} s")
        if code:
            words, permanent = _MEANINGS.get(code, ("Apprise failed", False))
            reason = FailureReason.CLIENT_ERROR if permanent else FailureReason.OTHER
            raise DeliveryFailed(reason, words, permanent=permanent)
        return Sent()

    async def update(self, message: Message, reference: str) -> Sent:
        return await self.send(message, Recipient())


async def _run(asked: bytes) -> int | None:
    """The exit code, None if the time was over. What the process prints is not read: it may quote the URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-c",
        _PROGRAM,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PATH": os.environ.get("PATH", ""), "HOME": "/nonexistent"},
    )
    try:
        async with asyncio.timeout(TIME_LIMIT):
            await process.communicate(asked)
    except TimeoutError:
        return None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    del fragment
    return Apprise(secrets, tools)
