"""A path for the module that these tests share, and a world per test on each engine."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from delivering import Make, Sink, World, new_database


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: these tests are thousands of durable commits."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-", dir=memory) as name:
        yield Path(name)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """Where messages arrive."""
    made = Sink()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both, for tests that ask for it."""
    return str(request.param)


@pytest.fixture
async def world(folder: Path, sink: Sink, request: pytest.FixtureRequest) -> AsyncIterator[Make]:
    """`await world(objects)`: a store (on `engine`, if the test asks for that), a flow and a worker."""
    opened: list[World] = []
    chosen = request.getfixturevalue("engine") if "engine" in request.fixturenames else "sqlite"

    async def make(*objects: dict, **secrets: str) -> World:
        if chosen == "postgresql":
            url = request.getfixturevalue("postgresql_url")
        else:
            url = await new_database(folder / f"tocsin-{len(opened)}.db")
        made = World(url, sink)
        opened.append(made)
        await made.open()
        made.secrets.update(secrets)
        await made.apply(*objects)
        return made

    yield make
    for one in opened:
        await one.close()
