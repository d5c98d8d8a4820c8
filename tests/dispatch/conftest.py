"""A path for the module that these tests share, the option that rewrites goldens, and a world per test."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from dispatching import World, new_database


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make golden` passes it; another folder may have registered it already."""
    with suppress(ValueError):
        parser.addoption("--update-golden", action="store_true", help="rewrite the expected outputs")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden", default=False))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: weeks of timers are thousands of durable commits."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-", dir=memory) as name:
        yield Path(name)


@pytest.fixture
async def world(folder: Path) -> AsyncIterator[Callable[..., Awaitable[World]]]:
    """`await world(objects, at=...)`: a store, a flow and a dispatcher under a virtual clock; closed with the test."""
    opened: list[World] = []

    async def make(*objects: dict, at: str = "2026-07-01T12:00:00Z", url: str = "") -> World:
        made = World(url or await new_database(folder / f"tocsin-{len(opened)}.db"), at)
        opened.append(made)
        await made.open()
        await made.apply(*objects)
        await made.run()
        return made

    yield make
    for one in opened:
        await one.close()
