"""docs/configuration.md says what the commands say, and nothing that a command has is without words."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path
from types import ModuleType

import click
import pytest

from tocsin.cli import COMMANDS

ROOT = Path(__file__).parents[2]
NO_OPTION = {"TOCSIN_SECRET_KEY", "TOCSIN_API_TOKEN"}


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("configuration", ROOT / "docs/schema/configuration.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    """After a change of an option `make docs` writes it anew."""
    for path, text in _script().generated().items():
        assert path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("name", COMMANDS)
def test_everything_is_explained(name: str) -> None:
    """Each command and each of its options has a text, and no two options share a variable."""
    command: click.Command = importlib.import_module(f"tocsin.cli.{name}").command
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [o.opts for o in options if not o.help] == []
    variables = [o.envvar for o in options if o.envvar]
    assert len(variables) == len(set(map(str, variables)))


def test_every_variable_that_is_read_is_on_the_page() -> None:
    """Options have theirs by their name; what the code asks the environment for itself is in the first table."""
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    read = set()
    for path in (ROOT / "operator").rglob("*.py"):
        read |= set(re.findall(r"\bTOCSIN_[A-Z_]+\b", path.read_text(encoding="utf-8")))
    assert read >= NO_OPTION
    assert [name for name in sorted(read) if f"`{name}`" not in page] == []


def test_the_chart_sets_only_variables_that_exist() -> None:
    """A misspelt one would be ignored without a word."""
    page = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
    told = set()
    for path in (ROOT / "tests/chart/golden").glob("*.out.yaml"):
        told |= set(re.findall(r"name: (TOCSIN_[A-Z_]+)", path.read_text(encoding="utf-8")))
    assert "TOCSIN_DATABASE" in told
    assert [name for name in sorted(told) if f"`{name}`" not in page] == []
