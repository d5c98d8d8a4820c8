"""Time zones and wall time, without the machine's own settings.

Zones come from the packaged `tzdata` only, never from the operating system, so that an offline result equals the
one in production; `TZ` and /etc/localtime have no influence at all (BUG-070).
"""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from functools import cache, lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from tocsin.flow.model import Micros

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - naive datetimes here are UTC or wall time by name
_MICROSECOND = timedelta(microseconds=1)
_NO_ZONES = frozenset({"Factory"})


class UnknownTimeZone(ValueError):
    """Not the name of an IANA time zone."""


@cache
def zone_names() -> frozenset[str]:
    """Every name that a window may use."""
    return frozenset((files("tzdata") / "zones").read_text("utf-8").split()) - _NO_ZONES


@lru_cache(maxsize=1024)
def load_zone(name: str) -> ZoneInfo:
    """Raises UnknownTimeZone for anything that is not in `zone_names()`: paths, abbreviations, other spellings."""
    if name not in zone_names():
        raise UnknownTimeZone(name)
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


def micros_of(utc: datetime) -> Micros:
    """A naive datetime that means UTC, as Micros."""
    return Micros((utc - _EPOCH) // _MICROSECOND)


def utc_of(moment: Micros) -> datetime:
    """The inverse of `micros_of`; a moment outside the years 1 to 9999 raises OverflowError."""
    return _EPOCH + timedelta(microseconds=moment)


def exact_time(moment: int) -> str:
    """`2026-07-01T12:00:00Z` (RFC 3339), with microseconds where there are some."""
    return utc_of(Micros(moment)).isoformat() + "Z"


def wall_time(moment: Micros, zone: tzinfo) -> datetime:
    """What a clock on the wall shows in `zone`, as a naive datetime."""
    return zone.fromutc(utc_of(moment).replace(tzinfo=zone)).replace(tzinfo=None, fold=0)


def instant_of(wall: datetime, zone: tzinfo) -> Micros:
    """The moment at which a clock on the wall shows `wall` in `zone`.

    A repeated time is its first one. A skipped time is the end of the gap: the first moment after it.
    """
    earlier = wall - _offset(wall, zone, fold=0)
    later = wall - _offset(wall, zone, fold=1)
    if earlier <= later:
        return micros_of(earlier)
    return micros_of(_end_of_gap(later, earlier, zone))


def _offset(wall: datetime, zone: tzinfo, *, fold: int) -> timedelta:
    return wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta(0)


def _end_of_gap(before: datetime, after: datetime, zone: tzinfo) -> datetime:
    """The transition between two UTC moments on either side of it, to the second."""
    offset_before = _offset_at(before, zone)
    low, high = 0, int((after - before).total_seconds())
    while low < high:
        middle = (low + high) // 2
        if _offset_at(before + timedelta(seconds=middle), zone) == offset_before:
            low = middle + 1
        else:
            high = middle
    return before + timedelta(seconds=low)


def _offset_at(utc: datetime, zone: tzinfo) -> timedelta:
    return zone.fromutc(utc.replace(tzinfo=zone)).utcoffset() or timedelta(0)
