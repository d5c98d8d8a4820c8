"""What people do to alert groups, as far as maintenance windows have a say in it."""

from __future__ import annotations

from sqlalchemy import Connection

from tocsin.dispatch.windows import hand_over
from tocsin.flow.groups import Action, Entry, LogKind, Verb
from tocsin.flow.program import Program
from tocsin.store import actions, groups, logbook, occurrences
from tocsin.store.actions import Acted
from tocsin.store.groups import AlertGroup


def act(connection: Connection, program: Program, group: AlertGroup, action: Action) -> Acted:
    """`actions.act`. Resolving a maintenance group ends the maintenance; acting on a group that a window covers calls
    nobody before that window ends. Raises Refused or NoSuchGroup.
    """
    ends = group.maintenance_of is not None and action.verb is Verb.RESOLVE
    if ends:
        running = occurrences.running(connection)
        for row in running:
            if row.id == group.maintenance_of:
                hand_over(connection, program, row, running)
    done = actions.act(connection, group.number, action)
    occurrences.hold(connection, done.affected)
    if ends:
        _log_resumed(connection, done, action, group)
    return done


def _log_resumed(connection: Connection, done: Acted, action: Action, collector: AlertGroup) -> None:
    for number in done.affected[1:]:
        released = groups.get(connection, number)
        if released is not None and released.escalate_at is not None:
            entry = Entry(
                kind=LogKind.RESUMED,
                at=action.at,
                actor=action.actor,
                reason="maintenance ended by hand",
                details=(("maintenance", str(collector.number)),),
            )
            logbook.append(connection, number, (entry,))
