"""What the previous release left behind (see record.py): its databases, its manifests, its code."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent

# importlib import mode knows no packages in tests/: shared modules are loaded by path, once.
for _name, _path in {
    "tocsin_process": HERE.parent / "e2e/process.py",
    "upgrade_left": HERE / "left.py",
}.items():
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(_name, _path)
        assert _spec is not None and _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)

from tocsin_process import Tocsin
from upgrade_left import PREVIOUS, Left


@pytest.fixture(params=["sqlite", "postgresql"])
def left(request: pytest.FixtureRequest, tmp_path: Path) -> Left:
    engine: str = request.param
    sql = (PREVIOUS / f"{engine}.sql").read_text(encoding="utf-8")
    said = json.loads((PREVIOUS / f"{engine}.json").read_text(encoding="utf-8"))
    if engine == "sqlite":
        with sqlite3.connect(tmp_path / "left.db") as connection:
            connection.executescript(sql)
        return Left(f"sqlite:///{tmp_path}/left.db", said)
    url: str = request.getfixturevalue("postgresql_url")
    request.getfixturevalue("postgresql_server").restore(url, sql)
    return Left(url, said)


@pytest.fixture(scope="session")
def previous_code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The previous release's package, to be put on PYTHONPATH."""
    (wheel,) = PREVIOUS.glob("*.whl")
    folder = tmp_path_factory.mktemp("previous")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Callable[..., Tocsin]]:
    """Starts a role on a database that was left; `code` is that of the previous release, or else today's."""
    running: list[Tocsin] = []

    def start(left: Left, *, command: tuple[str, ...] = ("run",), code: Path | None = None) -> Tocsin:
        manifests = tmp_path / "manifests"
        manifests.mkdir(exist_ok=True)
        (manifests / "flow.yaml").write_bytes((HERE / "flow.yaml").read_bytes())
        environment = left.environment | ({"PYTHONPATH": str(code)} if code else {})
        made = Tocsin(folder=manifests, database=left.database, command=command, environment=environment)
        running.append(made)
        return made.start()

    yield start
    for one in running:
        one.close()
