"""The page about escalation shows what works."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from tocsin.api.escalationchain import Step
from tocsin.api.objects import parse_object
from tocsin.flow.escalation.telling import member_of

PAGE = (Path(__file__).parents[2] / "docs/escalation.md").read_text()


def test_the_chain_of_the_page_is_one() -> None:
    """Its schema takes it."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    chain = parse_object(yaml.safe_load(text))
    assert len(chain.spec.steps) == 8


def test_the_page_names_every_type_of_step() -> None:
    """And no other."""
    table = PAGE.split("## Steps")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Step.__struct_encode_fields__)
    assert member_of(Step()) == "unspecified"
