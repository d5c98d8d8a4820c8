"""Makes `rotas.py` importable under --import-mode=importlib; the option that rewrites goldens."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make golden` passes it; another folder may have registered it already."""
    with suppress(ValueError):
        parser.addoption("--update-golden", action="store_true", help="rewrite the expected outputs")


@pytest.fixture
def update_golden(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update-golden", default=False))
