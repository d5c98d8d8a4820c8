"""Announcements of maintenance windows: at the start, at the end, and some time before the start.

What was announced is remembered as the set of windows that were open at the last reconciliation, so that each start and
each end is told once, also if the window was edited, deleted, suspended or over while nothing ran. An announcement is
a durable timer of kind `announce`; whoever sends messages to channels takes it from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

import msgspec
from sqlalchemy import Connection

from tocsin.dispatch.clock import DAY
from tocsin.flow.model import Micros, WindowFragment
from tocsin.flow.schedule import Occurrence
from tocsin.flow.windows import Window
from tocsin.store import timers

KIND = "announce"
KEPT_FOR = DAY
"""An announcement that nobody has sent by then is not worth sending any more."""


class OpenWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A window that was open, and who has to be told of its end (nobody: empty)."""

    start: Micros
    end: Micros
    mode: str
    channels: tuple[str, ...] = ()


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """`at`: the last reconciliation, 0 before the first. `open`: by `namespace/name`."""

    at: Micros = Micros(0)
    open: Mapping[str, OpenWindow] = {}

    @classmethod
    def parse(cls, text: str) -> Self:
        return msgspec.json.decode(text, type=cls) if text else cls()

    def text(self) -> str:
        return msgspec.json.encode(self).decode()


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What the timer carries. `event`: before, start or end; `channels` are `namespace/name`."""

    window: str
    event: str
    mode: str
    start: Micros
    end: Micros
    channels: tuple[str, ...]


def announce(connection: Connection, found: Mapping[str, Window], now: Micros, memory: Memory) -> Memory:
    """Schedules what has to be told since `memory`; what to remember from now on."""
    opened = {name: state for name, window in found.items() if (state := _open_state(window, now))}
    for name, before in memory.open.items():
        after = opened.get(name)
        if (after is None or after.start >= before.end) and before.channels:
            _schedule(connection, _told(name, "end", before, before.channels), now)
    for name, state in opened.items():
        earlier = memory.open.get(name)
        fragment = found[name].fragment
        if (earlier is None or state.start >= earlier.end) and fragment.announce_at_start:
            _schedule(connection, _told(name, "start", state, fragment.announce_channels), now)
    if memory.at:
        for name, window in found.items():
            for coming in _due_before(window, memory.at, now):
                state = _state(window.fragment, coming)
                told = _told(name, "before", state, window.fragment.announce_channels)
                _schedule(connection, told, now)
    return Memory(at=now, open=opened)


def moments_before(window: Window, now: Micros) -> Iterator[Micros]:
    """The moments, later than now, at which the coming occurrence is to be announced."""
    if window.schedule is None or not window.fragment.announce_before:
        return
    longest = max(window.fragment.announce_before)
    for coming in window.schedule.upcoming(now):
        for lead in window.fragment.announce_before:
            if coming.start - lead > now:
                yield Micros(coming.start - lead)
        if coming.start > now + longest:
            return


def _due_before(window: Window, since: Micros, now: Micros) -> Iterator[Occurrence]:
    """Occurrences that have not started and whose moment of announcement came after `since`, each once."""
    if window.schedule is None or not window.fragment.announce_before:
        return
    longest = max(window.fragment.announce_before)
    for coming in window.schedule.upcoming(now):
        if coming.start > now + longest:
            return
        if any(since < coming.start - lead <= now for lead in window.fragment.announce_before):
            yield coming


def _open_state(window: Window, now: Micros) -> OpenWindow | None:
    occurrence = None if window.schedule is None else window.schedule.occurrence_at(now)
    return None if occurrence is None else _state(window.fragment, occurrence)


def _state(fragment: WindowFragment, occurrence: Occurrence) -> OpenWindow:
    return OpenWindow(
        start=occurrence.start,
        end=occurrence.end,
        mode=fragment.mode,
        channels=fragment.announce_channels if fragment.announce_at_end else (),
    )


def _told(window: str, event: str, state: OpenWindow, channels: tuple[str, ...]) -> Announcement:
    return Announcement(
        window=window, event=event, mode=state.mode, start=state.start, end=state.end, channels=channels
    )


def _schedule(connection: Connection, told: Announcement, now: Micros) -> None:
    if told.channels:
        subject = f"{told.window} {told.event} {told.start} {now}"
        timers.schedule(connection, KIND, subject, now, data=msgspec.json.encode(told).decode())
