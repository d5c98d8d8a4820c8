"""What the chart makes of whole sets of values, as files to read and compare."""

from __future__ import annotations

import pytest
from charting import CASES, CHART, GOLDENS, helm, rendered, text_of


@pytest.mark.parametrize("name", CASES)
def test_a_set_of_values_gives_its_golden(name: str, update_golden: bool) -> None:
    """`<case>.in.yaml` are values, `<case>.out.yaml` is all that Helm would send to the cluster."""
    expected = GOLDENS / f"{name}.out.yaml"
    text = text_of(name)
    if update_golden:
        expected.write_text(text, encoding="utf-8")
    assert text == expected.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CASES)
def test_rendering_twice_gives_equal_bytes(name: str) -> None:
    """Without a cluster there is nothing random and no clock: GitOps tools see no difference where there is none."""
    assert rendered(GOLDENS / f"{name}.in.yaml") == text_of(name)


@pytest.mark.parametrize("name", CASES)
def test_helm_has_nothing_to_complain_about(name: str) -> None:
    """`helm lint --strict` passes without a warning."""
    done = helm("lint", "--strict", "--quiet", CHART, "--values", GOLDENS / f"{name}.in.yaml")
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


def test_no_golden_is_left_over() -> None:
    """Each expected output belongs to a set of values."""
    assert [path.name.removesuffix(".out.yaml") for path in sorted(GOLDENS.glob("*.out.yaml"))] == CASES
