"""Fixtures of the end-to-end tests: a started Tocsin per test that wants one."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# importlib import mode knows no packages in tests/: the shared modules are loaded by path, once.
for _name in ("process", "sink"):
    if f"tocsin_{_name}" not in sys.modules:
        _spec = importlib.util.spec_from_file_location(
            f"tocsin_{_name}", Path(__file__).parent / f"{_name}.py"
        )
        assert _spec is not None and _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[f"tocsin_{_name}"] = _module
        _spec.loader.exec_module(_module)

from tocsin_process import Tocsin
from tocsin_sink import Sink


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Tocsin]:
    """One Tocsin for a whole module, on the manifests in the module's `MANIFESTS`."""
    folder = tmp_path_factory.mktemp("shared") / "manifests"
    folder.mkdir()
    (folder / "flow.yaml").write_text(request.module.MANIFESTS)
    instance = Tocsin(folder=folder, database=f"sqlite:///{folder.parent}/tocsin.db")
    yield instance.start()
    instance.close()


@pytest.fixture
def tocsin(tmp_path: Path) -> Iterator[Callable[..., Tocsin]]:
    """Starts a Tocsin on the given manifests (file name -> text); all are ended with the test."""
    started: list[Tocsin] = []

    def start(
        manifests: dict[str, str],
        *,
        arguments: tuple[str, ...] = (),
        environment: dict[str, str] | None = None,
        database: str = "",
    ) -> Tocsin:
        folder = tmp_path / f"manifests-{len(started)}"
        folder.mkdir()
        for name, text in manifests.items():
            (folder / name).write_text(text)
        url = database or f"sqlite:///{tmp_path}/tocsin-{len(started)}.db"
        instance = Tocsin(folder=folder, database=url, arguments=arguments, environment=environment or {})
        started.append(instance)
        return instance.start()

    yield start
    for instance in started:
        instance.close()


@pytest.fixture
def sink() -> Iterator[Sink]:
    """Where channels and webhooks of a test send to."""
    with Sink() as opened:
        yield opened
