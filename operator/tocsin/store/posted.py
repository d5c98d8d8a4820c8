"""Messages of groups in channels that can be edited: where each is and what it says now."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, RowMapping, literal_column, or_, select, update

from tocsin.flow.groups import State
from tocsin.flow.model import Micros
from tocsin.store import bulk, states
from tocsin.store.tables import alert_group, group_tally, posted
from tocsin.store.text import clean


class Posted(msgspec.Struct, frozen=True, kw_only=True):
    """`reference`: what the channel wants for an edit. `shown`: a digest of what it says. `open`: keep it up to date."""

    group: int
    channel: str
    reference: str
    shown: str
    alerts_count: int
    state: State
    posted_at: Micros
    updated_at: Micros
    open: bool = True


def put(connection: Connection, message: Posted) -> None:
    """Remember a message, or what it says now."""
    put_all(connection, [message])


def put_all(connection: Connection, messages: Iterable[Posted]) -> None:
    """The same of several; at most one of each group and channel."""
    rows = [
        {
            "group_id": message.group,
            "channel": message.channel,
            "reference": clean(message.reference),
            "shown": clean(message.shown),
            "alerts_count": message.alerts_count,
            "state": states.NUMBERS[message.state],
            "posted_at": message.posted_at,
            "updated_at": message.updated_at,
            "open": message.open,
        }
        for message in messages
    ]
    bulk.upsert_together(connection, posted, rows, key=("group_id", "channel"))


def get(connection: Connection, group: int, channel: str) -> Posted | None:
    wanted = select(posted).where(posted.c.group_id == group, posted.c.channel == channel)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _posted(row)


def list_posted(connection: Connection, groups: list[int]) -> tuple[Posted, ...]:
    """All messages of these groups."""
    wanted = select(posted).where(posted.c.group_id.in_(groups)).order_by(posted.c.group_id, posted.c.channel)
    return tuple(_posted(row) for row in connection.execute(wanted).mappings())


def behind(connection: Connection, before: Micros, *, limit: int = 100) -> tuple[Posted, ...]:
    """Open messages not edited since `before` that say another state or fewer alerts than there are; oldest first."""
    wanted = (
        select(posted)
        .join(alert_group, alert_group.c.id == posted.c.group_id)
        .join(group_tally, group_tally.c.group_id == posted.c.group_id)
        .where(
            literal_column("posted.open"),  # as the partial index says it
            posted.c.updated_at <= before,
            or_(
                posted.c.state != alert_group.c.state,
                posted.c.alerts_count != group_tally.c.alerts_count,
            ),
        )
        .order_by(posted.c.updated_at)
        .limit(limit)
    )
    return tuple(_posted(row) for row in connection.execute(wanted).mappings())


def close(connection: Connection, group: int, channel: str) -> None:
    """The message is not edited any more: the group is over, or the channel says that it is gone."""
    connection.execute(
        update(posted).where(posted.c.group_id == group, posted.c.channel == channel).values(open=False)
    )


def _posted(row: RowMapping) -> Posted:
    return Posted(
        group=row["group_id"],
        channel=row["channel"],
        reference=row["reference"],
        shown=row["shown"],
        alerts_count=row["alerts_count"],
        state=states.STATES[row["state"]],
        posted_at=Micros(row["posted_at"]),
        updated_at=Micros(row["updated_at"]),
        open=row["open"],
    )
