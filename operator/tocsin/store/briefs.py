"""Groups as those see them who act upon many at once: what decides, nothing of what is shown."""

from __future__ import annotations

from collections.abc import Collection

import msgspec
from sqlalchemy import Connection, select

from tocsin.api.common import Identity
from tocsin.flow.groups import GroupState, State
from tocsin.flow.model import Micros
from tocsin.store import identities, states
from tocsin.store.tables import alert_group

_EXTRA = ("integration_id", "route_id", "escalate_at", "suppressed")
_COLUMNS = [alert_group.c[name] for name in (*states.COLUMNS, *_EXTRA)]
_AT = len(states.COLUMNS)


class Brief(msgspec.Struct, frozen=True, kw_only=True):
    """`route` is `namespace/name` or `default`; the rest as in `groups.AlertGroup`."""

    number: int
    integration: Identity
    route: str
    life: GroupState
    escalate_at: Micros | None
    suppressed: bool

    @property
    def state(self) -> State:
        return self.life.state


def load(connection: Connection, numbers: Collection[int]) -> dict[int, Brief]:
    """Those of these groups that there are, by number."""
    rows = connection.execute(select(*_COLUMNS).where(alert_group.c.id.in_(numbers))).all()
    if not rows:
        return {}
    owners = {row[_AT] for row in rows} | {row[_AT + 1] for row in rows}
    names = identities.load(connection, owners)
    return {
        row[0]: Brief(
            number=row[0],
            integration=names[row[_AT]],
            route=identities.route_name(names[row[_AT + 1]]),
            life=states.state_of(row),
            escalate_at=row[_AT + 2],
            suppressed=row[_AT + 3],
        )
        for row in rows
    }
