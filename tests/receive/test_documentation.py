"""docs/receiving.md lists what is really answered."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from tocsin.receive.settings import Settings

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/receiving.md").read_text()


def used() -> dict[str, int]:
    """Kind -> status of every problem that the receiver makes."""
    kinds: dict[str, int] = {}
    sources = [*(ROOT / "operator/tocsin/receive").glob("*.py"), ROOT / "operator/tocsin/problems.py"]
    for node in (node for path in sources for node in ast.walk(ast.parse(path.read_text()))):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id == "unavailable" and isinstance(node.args[0], ast.Constant):
            kinds[node.args[0].value] = 503
        if node.func.id == "Problem":
            given = {word.arg: word.value for word in node.keywords}
            kind, status = given.get("kind"), given.get("status")
            if isinstance(kind, ast.Constant) and isinstance(status, ast.Constant):
                kinds[kind.value] = status.value
    return kinds


def test_every_kind_of_refusal_is_documented() -> None:
    """Neither more nor fewer, each with its status."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (\d{3}) \|", DOCUMENT, re.MULTILINE)
    assert {kind: int(status) for kind, status in rows} == used()
    assert len(rows) == len(used())


def test_the_limits_are_the_defaults() -> None:
    settings = Settings()
    mib = 1024 * 1024
    for text in (
        f"| {settings.body_limit // mib} MiB | 413",
        f"| {settings.bodies_limit // mib} MiB | 503",
        f"| {settings.alerts_limit:,} | 413",
        f"| {settings.fields_limit:,} | 400",
        f"| {settings.waiting_limit:,} | 503",
        f"| {settings.header_timeout:.0f} s, {settings.body_timeout:.0f} s |",
        f"| {settings.header_count_limit}, {settings.header_line_limit:,} |",
        f"| {settings.connections_limit:,} | 503",
        f"| {settings.heartbeat_rate} in {settings.heartbeat_period / 60:.0f} min",
    ):
        assert text in DOCUMENT, text
