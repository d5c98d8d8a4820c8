"""Between a row of `alert_group` and the pure `GroupState`."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from tocsin.flow.groups import Cause, GroupState, Mark, Silence, State
from tocsin.flow.model import Micros
from tocsin.store.tables import ACKNOWLEDGED, FIRING, RESOLVED, SILENCED

NUMBERS = MappingProxyType(
    {
        State.FIRING: FIRING,
        State.ACKNOWLEDGED: ACKNOWLEDGED,
        State.SILENCED: SILENCED,
        State.RESOLVED: RESOLVED,
    }
)
STATES = MappingProxyType({number: state for state, number in NUMBERS.items()})

COLUMNS = (
    "id",
    "started_at",
    "acknowledged_at",
    "acknowledged_cause",
    "acknowledged_by",
    "silenced_at",
    "silenced_until",
    "silenced_by",
    "resolved_at",
    "resolved_cause",
    "resolved_by",
    "response_time",
    "parent_id",
    "occurrence_id",
    "wiped",
    "grouping_key",
)
"""What `state_of` reads, in this order."""

CHANGING = (
    "state",
    "acknowledged_at",
    "acknowledged_cause",
    "acknowledged_by",
    "silenced_at",
    "silenced_until",
    "silenced_by",
    "resolved_at",
    "resolved_cause",
    "resolved_by",
    "response_time",
    "parent_id",
)
"""What `changing_values` gives, in this order: every column that a transition may change."""


def state_of(row: Sequence[Any]) -> GroupState:
    """`row`: values of COLUMNS."""
    acknowledged = silenced = resolved = None
    if row[2] is not None:
        acknowledged = Mark(at=Micros(row[2]), cause=Cause(row[3]), actor=row[4])
    if row[5] is not None:
        silenced = Silence(at=Micros(row[5]), until=row[6], actor=row[7])
    if row[8] is not None:
        resolved = Mark(at=Micros(row[8]), cause=Cause(row[9]), actor=row[10])
    return GroupState(
        number=row[0],
        started_at=row[1],
        acknowledged=acknowledged,
        silenced=silenced,
        resolved=resolved,
        response_time=row[11],
        parent=row[12],
        maintenance=row[13] is not None,
        wiped=bool(row[14]),
        keyed=row[15] is not None,
    )


def changing_values(group: GroupState) -> tuple[Any, ...]:
    """The row's side of a state: values of CHANGING."""
    acknowledged, silenced, resolved = group.acknowledged, group.silenced, group.resolved
    return (
        NUMBERS[group.state],
        *(
            (None, None, None)
            if acknowledged is None
            else (acknowledged.at, acknowledged.cause.value, acknowledged.actor)
        ),
        *((None, None, None) if silenced is None else (silenced.at, silenced.until, silenced.actor)),
        *((None, None, None) if resolved is None else (resolved.at, resolved.cause.value, resolved.actor)),
        group.response_time,
        group.parent,
    )
