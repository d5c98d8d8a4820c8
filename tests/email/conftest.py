"""A receiver of mails and SNS messages on a real socket, with an Amazon of our own on loopback."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "receive"), str(HERE.parent / "notify")]

from amazon import Amazon
from receiving import Receiver


@pytest.fixture
async def amazon() -> AsyncIterator[Amazon]:
    made = await Amazon.start()
    yield made
    await made.stop()


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    """Starts receivers (`await receiver(integration(...), ..., settings=..., client=...)`); all end with the test."""
    started: list[Receiver] = []

    async def start(*objects: object, **options: object) -> Receiver:
        made = await Receiver.start(tmp_path / str(len(started)), objects, **options)
        started.append(made)
        return made

    yield start
    for one in started:
        await one.stop()
