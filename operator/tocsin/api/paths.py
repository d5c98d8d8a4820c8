"""Field paths as people read them: `spec.static[2].key`, `metadata.labels[app.kubernetes.io/name]`."""

from __future__ import annotations

import re
from collections.abc import Iterable

_PLAIN_KEY = re.compile(r"[A-Za-z_][-A-Za-z0-9_]*")
_PART = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")


def join(parts: Iterable[str | int]) -> str:
    """The text of a path. Indexes and keys that hold dots or slashes go into brackets."""
    text = ""
    for part in parts:
        if isinstance(part, str) and _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{part}]"
    return text


def split(path: str) -> tuple[str, ...]:
    """The parts of a path; indexes come back as text. "" has none."""
    return tuple(plain or bracketed for plain, bracketed in _PART.findall(path))
