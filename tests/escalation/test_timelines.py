"""Timelines: what is declared and what happens (`*.in.yaml`), and everything that came of it (`*.out.yaml`)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from escalating import World

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_timeline(case: str, *, update_golden: bool) -> None:
    """Every effect of every step, at its moment, and no other. `>` is what happens from outside.

    Every run, person and reminder passes through its stored form after each advance.
    """
    given = yaml.safe_load((GOLDEN / f"{case}.in.yaml").read_text())
    expected = GOLDEN / f"{case}.out.yaml"
    found = yaml.safe_dump(World(given).play(given["steps"]), width=1000, allow_unicode=True)
    if update_golden:
        expected.write_text(found)
    assert found == expected.read_text(), "run `make golden` and read the difference"


def test_every_case_has_its_timeline() -> None:
    """No output is left without an input."""
    assert sorted(path.name.removesuffix(".out.yaml") for path in GOLDEN.glob("*.out.yaml")) == CASES
