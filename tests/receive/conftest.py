"""A receiver on a real socket with a real store, for every test that asks for one."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import uvloop

sys.path.insert(0, str(Path(__file__).parent))

from receiving import Receiver


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], uvloop.Loop]]:
    """The loop that production runs on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Callable[..., Awaitable[Receiver]]]:
    """Starts receivers (`await receiver(integration(...), ...)`); all end with the test."""
    started: list[Receiver] = []

    async def start(*objects: object, **options: object) -> Receiver:
        made = await Receiver.start(tmp_path / str(len(started)), objects, **options)
        started.append(made)
        return made

    yield start
    for one in started:
        await one.stop()
