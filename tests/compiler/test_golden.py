"""Goldens: manifests in, flow and statuses out. One mistake or feature a case; rewritten by `make golden`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import yaml
from compiler_cases import NOW, compile_text

from tocsin.api.check import check_status
from tocsin.api.common import Status
from tocsin.flow.compiler import Compiled
from tocsin.flow.model import AnyFragment
from tocsin.flow.status import PROGRAMMED, Circumstances, status_of

GOLDEN = Path(__file__).parent / "golden"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))


@pytest.mark.parametrize("case", CASES)
def test_golden(case: str, *, update_golden: bool) -> None:
    """The flow and the statuses of a case are those that people have read and agreed to."""
    compiled = compile_text((GOLDEN / f"{case}.in.yaml").read_text())
    expected = GOLDEN / f"{case}.out.yaml"
    found = yaml.safe_dump(outcome(compiled), sort_keys=False, allow_unicode=True, width=120)
    if update_golden:
        expected.write_text(found)
    assert found == expected.read_text(), "run `make golden` and read the difference"


def test_there_are_enough_cases() -> None:
    """Every input has its output, and no output is left without an input."""
    assert len(CASES) >= 30
    assert sorted(path.name.removesuffix(".out.yaml") for path in GOLDEN.glob("*.out.yaml")) == CASES


def outcome(compiled: Compiled) -> dict:
    """What a golden shows: fragments as far as they say something, and the conditions that say something."""
    return {
        "flow": {
            str(identity): fragment_of(compiled.flow.fragments[digest])
            for identity, digest in sorted(compiled.flow.manifest.items())
        },
        "statuses": {
            str(identity): status_shown(compiled, identity) for identity in sorted(compiled.reports)
        },
    }


def fragment_of(fragment: AnyFragment) -> dict:
    shown = msgspec.to_builtins(fragment, order="sorted")
    for name in ("kind", "namespace", "name"):
        shown.pop(name, None)
    for name, plain in (
        ("auth", {"rotation_overlap": 86_400_000_000}),
        ("default_target", {}),
        ("target", {}),
    ):
        if shown.get(name) == plain:
            del shown[name]
    return shown


def status_shown(compiled: Compiled, identity) -> dict:
    circumstances = Circumstances(now=NOW, programming=PROGRAMMED, fragment=compiled.flow.fragment(identity))
    status = status_of(compiled.reports[identity], circumstances)
    written = msgspec.to_builtins(status)
    assert check_status(identity.kind, written) == (), "the API server would refuse this status"
    return {"conditions": conditions_shown(status), **{k: v for k, v in written.items() if k != "conditions"}}


def conditions_shown(status: Status) -> dict[str, str]:
    """`Type: Status Reason`; the messages are those of the findings."""
    return {c.type: f"{c.status.value} {c.reason}" for c in status.conditions}
