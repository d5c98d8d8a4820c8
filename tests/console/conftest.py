"""The API on a real socket over a real store, in the virtual time of the dispatcher's tests."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "dispatch"))
sys.path.insert(0, str(Path(__file__).parent))

from asking import Api
from dispatching import new_database


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-", dir=memory) as name:
        yield Path(name)


@pytest.fixture
async def api(folder: Path) -> AsyncIterator[Callable[..., Awaitable[Api]]]:
    """`await api(objects...)`: a world with its API; closed with the test."""
    started: list[Api] = []

    async def start(*objects: dict, url: str = "", **options: object) -> Api:
        made = await Api.start(
            url or await new_database(folder / f"api-{len(started)}.db"), objects, **options
        )
        started.append(made)
        return made

    yield start
    for one in started:
        await one.stop()
