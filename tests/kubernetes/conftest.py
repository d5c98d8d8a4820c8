"""What the tests of the operator's parts share: objects, a clock that only moves when all wait, a fake API server."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

# importlib import mode knows no packages in tests/: shared modules are loaded by path, once.
for _name in ("kube_virtual", "kube_objects", "kube_server", "kube_secrets", "kube_operator"):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, Path(__file__).parent / f"{_name}.py")
        assert _spec is not None and _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)

from kube_operator import Start, starter
from kube_server import FakeServer

from tocsin.control.kubernetes import watching


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    watching.quiet_kopf()
    async with FakeServer() as fake:
        fake.put("namespaces", "n")
        yield fake


@pytest.fixture
def start(tmp_path: Path, server: FakeServer) -> Start:
    return starter(tmp_path, server)
