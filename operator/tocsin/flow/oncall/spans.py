"""Stretches of time with somebody in them, and how one plan covers another. Pure set arithmetic on `[start, end)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import msgspec

from tocsin.flow.model import Micros


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """These people are on call together from `start` up to and without `end`. `responders`: sorted `namespace/name`."""

    start: Micros
    end: Micros
    responders: tuple[str, ...]


def clip(shifts: Iterable[Shift], start: Micros, end: Micros) -> Iterator[Shift]:
    """What of them lies in `[start, end)`; those without people or time are dropped."""
    for shift in shifts:
        first, last = max(shift.start, start), min(shift.end, end)
        if first < last and shift.responders:
            yield Shift(start=first, end=last, responders=shift.responders)


def within(shifts: Iterable[Shift], stretches: Iterable[tuple[Micros, Micros]]) -> Iterator[Shift]:
    """What of the shifts lies in the stretches of time. Both are ascending and without overlap; so is the result."""
    open_stretches = iter(stretches)
    stretch = next(open_stretches, None)
    for shift in shifts:
        while stretch is not None and stretch[1] <= shift.start:
            stretch = next(open_stretches, None)
        while stretch is not None and stretch[0] < shift.end:
            yield from clip((shift,), *stretch)
            if stretch[1] > shift.end:
                break
            stretch = next(open_stretches, None)


def cover(base: Sequence[Shift], top: Sequence[Shift]) -> list[Shift]:
    """`top` wherever it has somebody, `base` everywhere else. Each of them is sorted and without overlap; so is the result."""
    return sorted((*top, *within(base, between(top))), key=lambda shift: shift.start)


def between(shifts: Sequence[Shift]) -> Iterator[tuple[Micros, Micros]]:
    """The stretches before, between and after sorted shifts, from the first to the last moment there is."""
    since = _FIRST
    for shift in shifts:
        if since < shift.start:
            yield since, shift.start
        since = max(since, shift.end)
    yield since, _LAST


def together(shifts: Iterable[Shift]) -> list[Shift]:
    """Shifts that may overlap as ones that do not: where several run, all their people are on call."""
    known = list(shifts)
    bounds = sorted({bound for shift in known for bound in (shift.start, shift.end)})
    starting: dict[Micros, list[Shift]] = {}
    for shift in known:
        starting.setdefault(shift.start, []).append(shift)
    found: list[Shift] = []
    running: list[Shift] = []
    for start, end in pairwise(bounds):
        running = [shift for shift in running if shift.end > start] + starting.get(start, [])
        people = {name for shift in running for name in shift.responders}
        if people:
            found.append(Shift(start=start, end=end, responders=tuple(sorted(people))))
    return found


def joined(shifts: Iterable[Shift]) -> tuple[Shift, ...]:
    """Neighbours with the same people as one shift: each is as long as nothing changes."""
    found: list[Shift] = []
    for shift in shifts:
        last = found[-1] if found else None
        if last is not None and last.end == shift.start and last.responders == shift.responders:
            found[-1] = Shift(start=last.start, end=shift.end, responders=shift.responders)
        else:
            found.append(shift)
    return tuple(found)


_FIRST, _LAST = Micros(-(2**62)), Micros(2**62)
