"""Timelines: what is declared and what happens (`*.in.yaml`), and everything that changed because of it (`*.out.yaml`)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import yaml
from dispatching import World, play, read_yaml

GOLDEN = Path(__file__).parent / "golden"
NAMES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))


@pytest.mark.parametrize("name", NAMES)
async def test_timeline(world: Callable[..., Awaitable[World]], name: str, update_golden: bool) -> None:
    """Every change of every group, window and announcement is as expected, at its moment, and there is no other.

    `>` is a step of the timeline, the other lines are what changed.
    """
    given = read_yaml((GOLDEN / f"{name}.in.yaml").read_text())
    w = await world(*given["flow"], at=given["at"].isoformat().replace("+00:00", "Z"))
    told = await play(w, given["steps"])
    expected = GOLDEN / f"{name}.out.yaml"
    if update_golden:
        expected.write_text(yaml.safe_dump(told, width=200, allow_unicode=True))
    assert told == read_yaml(expected.read_text())
