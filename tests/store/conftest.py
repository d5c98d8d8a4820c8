"""The same tests on both engines: `store` is opened once on SQLite and once on PostgreSQL."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from storing import KEYS

from tocsin.store import Store


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: thousands of durable commits are slow on some disks."""
    memory = Path("/dev/shm")
    if not os.access(memory, os.W_OK):
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="tocsin-", dir=memory) as name:
        yield Path(name)


@pytest.fixture
def sqlite_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'tocsin.db'}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = await Store.open(url, keys=KEYS)
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_store(sqlite_url: str) -> AsyncIterator[Store]:
    opened = await Store.open(sqlite_url, keys=KEYS)
    yield opened
    await opened.close()


@pytest.fixture
async def postgresql_store(postgresql_url: str) -> AsyncIterator[Store]:
    opened = await Store.open(postgresql_url, keys=KEYS)
    yield opened
    await opened.close()
