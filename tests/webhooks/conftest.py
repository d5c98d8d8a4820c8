"""The world of deliveries, with a worker for webhooks."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

_DELIVERIES = Path(__file__).parents[1] / "deliveries"
if "delivering" not in sys.modules:
    _spec = importlib.util.spec_from_file_location("delivering", _DELIVERIES / "delivering.py")
    assert _spec is not None and _spec.loader is not None
    _module = importlib.util.module_from_spec(_spec)
    sys.modules["delivering"] = _module
    _spec.loader.exec_module(_module)
sys.path.insert(0, str(Path(__file__).parent))

from delivering import Sink, new_database
from hooking import Hooks


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    made = Sink()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Both, for tests that ask for it."""
    return str(request.param)


@pytest.fixture
async def hooks(request: pytest.FixtureRequest, tmp_path: Path, sink: Sink) -> AsyncIterator[Hooks]:
    chosen = request.getfixturevalue("engine") if "engine" in request.fixturenames else "sqlite"
    if chosen == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    else:
        url = await new_database(tmp_path / "tocsin.db")
    made = Hooks(url, sink)
    await made.open()
    yield made
    await made.close()
