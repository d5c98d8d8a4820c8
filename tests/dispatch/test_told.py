"""Who is told what, when: whole chains through the real store, hours of them in virtual time, on both engines.

`told/<case>.in.yaml` says what is declared and what happens, `told/<case>.out.yaml` every message, every change of a
group, and at the end each group's log.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml
from dispatching import World, declared, play, read_yaml, shown

from tocsin.store import logbook

TOLD = Path(__file__).parent / "told"
NAMES = sorted(path.name.removesuffix(".in.yaml") for path in TOLD.glob("*.in.yaml"))
PEOPLE = read_yaml((TOLD / "people.yaml").read_text())

Make = Callable[..., Awaitable[World]]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.parametrize("name", NAMES)
async def test_told(
    world: Make, request: pytest.FixtureRequest, update_golden: bool, name: str, engine: str
) -> None:
    """Everybody is told what the chain says, at its moment, once, and nobody else; the log says the same.

    Rules: R-ESC-1
    """
    url = request.getfixturevalue("postgresql_url") if engine == "postgresql" else ""
    given = read_yaml((TOLD / f"{name}.in.yaml").read_text())
    at = given["at"].isoformat().replace("+00:00", "Z")
    w = await world(*declared(PEOPLE + given["flow"]), at=at, url=url)
    told = {"happened": await play(w, given["steps"]), "logs": await logs(w)}
    expected = TOLD / f"{name}.out.yaml"
    if update_golden and engine == "sqlite":
        expected.write_text(yaml.safe_dump(told, width=200, allow_unicode=True, sort_keys=False))
    assert told == read_yaml(expected.read_text())


async def logs(w: World) -> dict[str, list[str]]:
    """Of every group: when, what, why, and the details of it that are not numbers of Tocsin's own."""
    found = {}
    for group in await w.groups():
        entries = await w.store.read(lambda c, n=group.number: logbook.list_entries(c, n, limit=1000))
        lines = []
        for e in entries:
            shown_at = {k: shown(int(v)) if v.isdigit() and len(v) > 12 else v for k, v in e.details.items()}
            details = ", ".join(f"{k}={v}" for k, v in sorted(shown_at.items()))
            line = f"{shown(e.at)} {e.kind.name.lower()} {e.actor.name} {details} {e.reason}"
            lines.append(" ".join(line.split()))
        found[f"#{group.number}"] = lines
    return found
