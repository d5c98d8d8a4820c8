"""An example folder through the real path: files, check, compiler, linker."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from tocsin.control.folder import Folder
from tocsin.flow.arrival import moment
from tocsin.flow.compiler import compile_flow
from tocsin.flow.program import Program, link
from tocsin.sources import load_types

EXAMPLES = Path(__file__).parents[2] / "examples"
NOON = moment("2026-03-02T12:00:00Z")


@cache
def program_of(example: str) -> tuple[Program, tuple[str, ...]]:
    """The linked flow of a folder, and everything that anybody has to say against it."""
    assert NOON is not None
    contents = Folder((EXAMPLES / example,), digest=lambda value: value.hex(), last_good={}).read()
    types = load_types()
    compiled = compile_flow(contents.inventory, types=types, now=NOON)
    complaints = [str(finding) for finding in contents.findings]
    complaints += [f"{identity}: {findings}" for identity, findings in contents.inventory.invalid.items()]
    complaints += [
        f"{identity}: {report.reason} {report.findings}"
        for identity, report in compiled.reports.items()
        if report.findings or not report.accepted or not report.resolved_refs
    ]
    return link(compiled.flow, types=types), tuple(complaints)


@pytest.fixture(scope="session")
def load() -> Callable[[str], tuple[Program, tuple[str, ...]]]:
    return program_of
