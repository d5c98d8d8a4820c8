"""Durations as users write them: `30s`, `1h30m`, `7d`."""

from __future__ import annotations

import re

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
_DURATION = re.compile(r"(?:[0-9]{1,9}[dhms])+")
_PART = re.compile(r"([0-9]+)([dhms])")


def parse_duration(text: str) -> int:
    """Microseconds. Raises ValueError for anything but numbers with the units d, h, m and s."""
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration: write 30s, 1h30m or 7d")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def format_duration(micros: int) -> str:
    """The shortest text that `parse_duration` reads back, in whole seconds; `0s` for nothing."""
    parts: list[str] = []
    rest = micros // SECOND
    for unit in "dhm":
        count, rest = divmod(rest, _UNITS[unit] // SECOND)
        if count:
            parts.append(f"{count}{unit}")
    if rest or not parts:
        parts.append(f"{rest}s")
    return "".join(parts)
