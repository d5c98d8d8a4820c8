"""Every rule of the specification is proven by exactly one test, or is a stated difference; never both, never neither.

`rules.txt` lists the ids of the sections that this version covers (2 to 9, 11, 16, 17). A test claims rules with a
docstring line `Rules: R-GRP-3, R-GRP-4`; `docs/differences.md` claims them in the first column of its tables.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
RULE = re.compile(r"R-[A-Z]+-[A-Z0-9]+[a-z]?")


def listed() -> set[str]:
    return {
        line.split()[1]
        for line in (ROOT / "tests/rules.txt").read_text().splitlines()
        if line and not line.startswith("#")
    }


def claimed_by_tests() -> list[str]:
    claims: list[str] = []
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                for line in (ast.get_docstring(node) or "").splitlines():
                    if line.strip().startswith("Rules:"):
                        claims += RULE.findall(line)
    return claims


def claimed_by_differences() -> list[str]:
    claims: list[str] = []
    for line in (ROOT / "docs/differences.md").read_text().splitlines():
        if line.startswith("| R-"):
            claims += RULE.findall(line.split("|")[1])
    return claims


def test_every_rule_is_claimed_exactly_once() -> None:
    """A missing claim is an untested rule; a double one means that two places disagree about who owns it."""
    claims = Counter(claimed_by_tests() + claimed_by_differences())
    assert sorted(listed() - set(claims)) == [], "rules that no test and no stated difference claims"
    assert sorted(rule for rule, count in claims.items() if count > 1) == [], "rules claimed more than once"
