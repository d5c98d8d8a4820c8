"""A database as the previous release left it, see record.py."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

PREVIOUS = Path(__file__).parent / "previous"


@dataclass(frozen=True)
class Left:
    """`said`: what its API said of it."""

    database: str
    said: dict[str, Any]

    @property
    def environment(self) -> dict[str, str]:
        return {"TOCSIN_SECRET_KEY": self.said["key"]}

    def path(self, integration: str) -> str:
        path: str = self.said["endpoints"][integration]
        return path
