"""When a condition counts as true."""

from __future__ import annotations

_TRUE = frozenset({"1", "true", "ok"})


def is_true(text: str) -> bool:
    """Trimmed, in any case, it is `true`, `1` or `ok`; everything else is false (alert-flow R-TPL-15)."""
    return text.strip().lower() in _TRUE
