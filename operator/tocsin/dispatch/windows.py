"""Maintenance windows, level-triggered: what is in force now against what the store says is running.

One standing timer compares the two at every boundary of any window, at every change of the flow and at every start of a
process. So it does not matter how the present state came about: an occurrence starts, goes on under edited terms, or
ends, and a restart in its middle is nothing special.

Alerts need none of this: the evaluator asks the schedules itself, exactly at the moment of each alert.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.dispatch import announcements
from tocsin.dispatch.announcements import Memory
from tocsin.dispatch.clock import DAY
from tocsin.dispatch.dispatcher import Job
from tocsin.dispatch.live import Live, catching_up
from tocsin.flow.decision import WindowInForce
from tocsin.flow.groups import Entry, LogKind
from tocsin.flow.model import Micros
from tocsin.flow.program import Program
from tocsin.flow.windows import Window
from tocsin.store import logbook, occurrences, timers, windows
from tocsin.store.occurrences import OccurrenceRow, Pair
from tocsin.store.windows import Ended
from tocsin.telemetry import Telemetry

KIND = "windows"
SUBJECT = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to do so that the store agrees with `force`. An occurrence in none of these is as it should be."""

    begin: Mapping[Pair, WindowInForce]
    retime: tuple[tuple[OccurrenceRow, WindowInForce], ...]
    end: tuple[OccurrenceRow, ...]


def plan(force: Mapping[Pair, WindowInForce], running: Iterable[OccurrenceRow]) -> Plan:
    """Pure. An occurrence goes on if the window is still in force and its times overlap; back to back is a new one."""
    begin = dict(force)
    retime: list[tuple[OccurrenceRow, WindowInForce]] = []
    end: list[OccurrenceRow] = []
    for row in sorted(
        running, key=lambda r: (force.get(r.pair) is None or force[r.pair].start != r.start, r.id)
    ):
        wanted = force.get(row.pair)
        if wanted is None or row.pair not in begin:
            end.append(row)
        elif _same(row, wanted):
            del begin[row.pair]
        elif wanted.start == row.start or (wanted.start < row.end and row.start < wanted.end):
            retime.append((row, wanted))
            del begin[row.pair]
        else:
            end.append(row)
    return Plan(begin=begin, retime=tuple(retime), end=tuple(end))


def in_force(program: Program, now: Micros) -> dict[Pair, WindowInForce]:
    """Every window that is open now, for every Integration that it covers, whatever the labels."""
    found: dict[Pair, WindowInForce] = {}
    for identity, integration in program.integrations.items():
        if integration.fragment.suspended:
            continue
        for window in integration.evaluator.windows:
            occurrence = None if window.schedule is None else window.schedule.occurrence_at(now)
            if occurrence is not None:
                found[window.name, identity] = WindowInForce(
                    window=window.name,
                    mode=window.fragment.mode,
                    start=occurrence.start,
                    end=occurrence.end,
                    on_end=window.fragment.on_end,
                )
    return found


def windows_of(program: Program) -> dict[str, Window]:
    """All windows that cover some Integration, by `namespace/name`."""
    return {
        window.name: window
        for integration in program.integrations.values()
        if not integration.fragment.suspended
        for window in integration.evaluator.windows
    }


class Reconciler:
    """The handler of the standing timer `windows`. Its data is what was announced so far."""

    def __init__(self, live: Live, telemetry: Telemetry) -> None:
        self._live = live
        self._log = telemetry.log

    def run(self, connection: Connection, job: Job) -> Micros | None:
        program, now = self._live.program, job.now
        later = catching_up(connection, program, now)
        if later is not None:
            return later
        force = in_force(program, now)
        self._apply(connection, program, now, plan(force, occurrences.running(connection)))
        windows_now = windows_of(program)
        memory = announcements.announce(connection, windows_now, now, Memory.parse(job.timer.data))
        boundary = _next_boundary(windows_now.values(), now)
        timers.schedule(connection, KIND, SUBJECT, boundary, data=memory.text())
        return None

    def _apply(self, connection: Connection, program: Program, now: Micros, todo: Plan) -> None:
        begin, end = dict(todo.begin), list(todo.end)
        for row, force in todo.retime:
            if occurrences.retime(connection, row, force):
                self._log.info("maintenance window edited while it runs", **_facts(row), until=force.end)
            else:
                begin[row.pair] = force
                end.append(row)
        begun = occurrences.begin(connection, begin)
        for pair, row in begun.items():
            if row.ended_at is None:
                self._log.info("maintenance window started", **_facts(row), mode=row.mode, until=row.end)
            else:
                self._log.debug("maintenance window stays ended by hand", window=pair[0])
        if not end:
            return
        open_now = occurrences.running(connection)
        for row in end:
            if row.end > now:
                occurrences.cut_short(connection, row.id, now)
            self._end(connection, program, now, row, open_now)

    def _end(
        self,
        connection: Connection,
        program: Program,
        now: Micros,
        row: OccurrenceRow,
        open_now: tuple[OccurrenceRow, ...],
    ) -> None:
        hand_over(connection, program, row, open_now)
        ended = windows.end(connection, row.id, now)
        if ended is None:
            return
        log_resumed(connection, ended, now)
        self._log.info(
            "maintenance window ended",
            **_facts(row),
            on_end=ended.occurrence.on_end,
            resumed=len(ended.resumed),
            resolved=len(ended.resolved),
            kept=len(ended.kept),
            still_covered=len(ended.still_covered),
        )


def hand_over(
    connection: Connection, program: Program, row: OccurrenceRow, open_now: Iterable[OccurrenceRow]
) -> None:
    """Before `row` ends: its open groups come under every other running occurrence that covers their labels.

    So the last window to end decides about them, also where they were opened before that one began.
    """
    integration = program.integrations.get(row.integration)
    others = [o for o in open_now if o.integration == row.integration and o.id != row.id]
    if integration is None or not others:
        return
    groups = occurrences.members(connection, row.id)
    by_name = {window.name: window for window in integration.evaluator.windows}
    for other in others:
        window = by_name.get(other.window)
        if window is None:
            continue
        fits = [g.group for g in groups if window.matchers is None or window.matchers.hold(g.labels)]
        occurrences.cover(connection, other.id, fits)


def log_resumed(connection: Connection, ended: Ended, now: Micros) -> None:
    """Each group whose escalation starts says so in its log."""
    window = f"{ended.occurrence.window.namespace}/{ended.occurrence.window.name}"
    for group in ended.resumed:
        entry = Entry(kind=LogKind.RESUMED, at=now, reason="maintenance ended", details=(("window", window),))
        logbook.append(connection, group, (entry,))


def _same(row: OccurrenceRow, force: WindowInForce) -> bool:
    return (row.start, row.end, row.mode, row.on_end) == (force.start, force.end, force.mode, force.on_end)


def _facts(row: OccurrenceRow) -> dict[str, str]:
    integration: Identity = row.integration
    return {"window": row.window, "integration": f"{integration.namespace}/{integration.name}"}


def _next_boundary(found: Iterable[Window], now: Micros) -> Micros:
    """When anything about any window changes next; a week at most, so that a mistake here cannot last."""
    boundary = Micros(now + 7 * DAY)
    for window in found:
        if window.schedule is None:
            continue
        mine = window.schedule.next_boundary(now)
        if mine is not None:
            boundary = min(boundary, mine)
        for moment in announcements.moments_before(window, now):
            boundary = min(boundary, moment)
    return boundary
