"""When a condition counts as true."""

from __future__ import annotations

import pytest

from tocsin.flow.templates import is_true


@pytest.mark.parametrize("text", ["true", "True", "TRUE", " True\n", "1", "\t1 ", "ok", "OK", " oK\r\n"])
def test_true(text: str) -> None:
    """Trimmed and in any case: `true`, `1`, `ok`.

    Rules: R-TPL-15
    """
    assert is_true(text)


@pytest.mark.parametrize(
    "text", ["", " ", "yes", "on", "2", "1.0", "none", "None", "false", "0", "true.", "okay", "t r u e", "11"]
)
def test_false(text: str) -> None:
    """BUG-039: one written rule for routes, acknowledge and resolve; everything else is false."""
    assert not is_true(text)


def test_a_template_that_prints_nothing_is_false(render) -> None:
    """BUG-039: setting a variable is no result."""
    text = '{%- if payload.state == "alerting" %}{% set severity="11" %}{% endif -%}'
    assert not is_true(render(text, {"state": "alerting"}))
