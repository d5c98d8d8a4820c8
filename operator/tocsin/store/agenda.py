"""What waits for the engine, in one look: asked for many times a second."""

from __future__ import annotations

import msgspec
from sqlalchemy import ColumnElement, Connection, exists, func, literal_column, select

from tocsin.flow.model import Micros
from tocsin.store.tables import escalation, event, group_tally, personal


class Agenda(msgspec.Struct, frozen=True, kw_only=True):
    """`events`: something happened. `escalation`, `personal`: when the next step or rule is due. `joined`: an alert
    joined a group whose escalation is paused.
    """

    events: bool
    escalation: Micros | None
    personal: Micros | None
    joined: bool

    @property
    def next_due(self) -> Micros | None:
        moments = (self.escalation, self.personal)
        return min((moment for moment in moments if moment is not None), default=None)


JOINED: tuple[ColumnElement[bool], ...] = (
    group_tally.c.group_id == escalation.c.group_id,
    literal_column("escalation.paused"),  # as the partial index says it
    escalation.c.seen_alert_id.is_distinct_from(group_tally.c.last_alert_id),
)
"""An escalation is paused, and its group took in an alert since."""

_LOOK = select(
    exists(select(event.c.id)),
    *(
        select(func.min(table.c.resume_at)).where(table.c.resume_at.is_not(None)).scalar_subquery()
        for table in (escalation, personal)
    ),
    exists(select(escalation.c.group_id).where(*JOINED)),
)


def look(connection: Connection) -> Agenda:
    events, step, rule, joined = connection.execute(_LOOK).one()
    return Agenda(events=bool(events), escalation=step, personal=rule, joined=bool(joined))
