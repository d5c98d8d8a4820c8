"""What of requirements.lock is needed to run: the closure of the project's dependencies, without the tools of development."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.markers import Marker

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
PROJECT = "tocsin (pyproject.toml)"
_HEAD = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^\]]*\])?==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")
_VIA = re.compile(r"^    #(?: via|  ) +(\S.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """One entry. `text` is the entry as pip reads it; `via` are those who ask for it."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    via: tuple[str, ...]
    text: str


def read(lock: Path = LOCK) -> dict[str, Pinned]:
    """All entries by name. Raises ValueError for a line that is none of uv's."""
    entries: dict[str, Pinned] = {}
    block: list[str] = []
    for line in [*lock.read_text(encoding="utf-8").splitlines(), ""]:
        if line and not line.startswith("#"):
            if not line.startswith(" ") and block:
                _add(entries, block)
                block = []
            block.append(line)
    _add(entries, block)
    return entries


def runtime(entries: Mapping[str, Pinned]) -> list[Pinned]:
    """The entries that a running Tocsin needs on this kind of machine, in order of their names."""
    needed: set[str] = set()
    while more := {
        name
        for name, entry in entries.items()
        if name not in needed and any(via == PROJECT or via in needed for via in entry.via)
    }:
        needed |= more
    found = (entries[name] for name in sorted(needed))
    return [entry for entry in found if not entry.marker or Marker(entry.marker).evaluate()]


def _add(entries: dict[str, Pinned], block: list[str]) -> None:
    head = _HEAD.match(block[0])
    if head is None:
        raise ValueError(f"requirements.lock: {block[0]!r} pins nothing")
    comments = [found[1] for line in block if (found := _VIA.match(line))]
    entries[head[1]] = Pinned(
        name=head[1],
        version=head[2],
        marker=head[3] or "",
        hashes=tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", "\n".join(block))),
        via=tuple(comments),
        text="\n".join(line for line in block if not line.lstrip().startswith("#")).rstrip(" \\"),
    )


def requirements() -> str:
    """A requirements file with hashes, for `pip install --require-hashes`."""
    return "\n".join(entry.text for entry in runtime(read())) + "\n"


if __name__ == "__main__":
    print(requirements(), end="")
