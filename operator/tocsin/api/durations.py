"""Durations as users write them: `90s`, `1h30m`, `7d`. Inside Tocsin a duration is an int of microseconds."""

from __future__ import annotations

import re

SECOND = 1_000_000
"""Microseconds."""
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

_UNITS = {"d": DAY, "h": HOUR, "m": MINUTE, "s": SECOND}
# The same form as in the CRDs: every text of 32 characters stays below 600 years.
_FORM = re.compile(r"(?:[0-9]{1,4}d|[0-9]{1,6}[hms])+")
_PART = re.compile(r"([0-9]+)([dhms])")


def parse_duration(text: str) -> int:
    """Microseconds; the parts add up, in any order. Raises ValueError with the expected form."""
    if len(text) > 32 or not _FORM.fullmatch(text):
        raise ValueError(f"`{text[:40]}` is no duration: write numbers with units d, h, m or s, as in 1h30m")
    return sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def format_duration(micros: int) -> str:
    """The shortest text that `parse_duration` reads back, rounded down to whole seconds; `0s` for none."""
    text, left = "", max(micros, 0) // SECOND * SECOND
    for unit, size in _UNITS.items():
        count, left = divmod(left, size)
        text += f"{count}{unit}" if count else ""
    return text or "0s"
