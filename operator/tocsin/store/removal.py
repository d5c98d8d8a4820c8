"""Taking alert groups away: the content of one (wipe), or whole groups with all that belongs to them."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, delete, select, update

from tocsin.flow.decision import Outcome
from tocsin.store import timers
from tocsin.store.tables import (
    alert,
    alert_group,
    duplicate,
    group_label,
    log_entry,
    payload,
    timer,
    window_group,
    window_occurrence,
)
from tocsin.store.text import clean, decode_outcome, encode_outcome, pack

EMPTY = b"{}"
_AT_ONCE = 1000


def wipe(connection: Connection, number: int, *, actor: str) -> None:
    """Empty every payload and text of a group; numbers, times, labels and log stay (alert-flow R-ACT-10)."""
    notice = clean(f"Wiped by {actor}" if actor else "Wiped")
    connection.execute(update(alert_group).where(alert_group.c.id == number).values(title=notice))
    last = 0
    while True:
        rows = connection.execute(
            select(alert.c.id, alert.c.outcome)
            .where(alert.c.group_id == number, alert.c.id > last)
            .order_by(alert.c.id)
            .limit(_AT_ONCE)
        ).all()
        if not rows:
            return
        for row in rows:
            before = decode_outcome(bytes(row.outcome))
            emptied = Outcome(
                route=before.route,
                title=notice,
                grouping=before.grouping,
                acknowledge=before.acknowledge,
                resolve=before.resolve,
                windows=before.windows,
            )
            connection.execute(
                update(alert)
                .where(alert.c.id == row.id)
                .values(payload_id=row.id, outcome=encode_outcome(emptied))
            )
        numbers = [row.id for row in rows]
        drop_payloads(connection, numbers)
        connection.execute(payload.insert(), [{"id": n, "body": pack(EMPTY)} for n in numbers])
        last = numbers[-1]


def delete_groups(connection: Connection, numbers: Collection[int]) -> None:
    """Remove groups with their alerts, payloads, labels, log and timers. Attached groups must be detached before."""
    wanted = list(numbers)
    if not wanted:
        return
    for number in wanted:
        while delete_alerts(connection, number, limit=_AT_ONCE):
            pass
    connection.execute(delete(duplicate).where(duplicate.c.group_id.in_(wanted)))
    connection.execute(delete(log_entry).where(log_entry.c.group_id.in_(wanted)))
    connection.execute(delete(group_label).where(group_label.c.group_id.in_(wanted)))
    connection.execute(delete(window_group).where(window_group.c.group_id.in_(wanted)))
    connection.execute(
        delete(timer).where(
            timer.c.kind.in_((timers.UNSILENCE, timers.EXPIRE)), timer.c.subject.in_([str(n) for n in wanted])
        )
    )
    connection.execute(
        update(window_occurrence).where(window_occurrence.c.group_id.in_(wanted)).values(group_id=None)
    )
    connection.execute(update(alert_group).where(alert_group.c.parent_id.in_(wanted)).values(parent_id=None))
    connection.execute(delete(alert_group).where(alert_group.c.id.in_(wanted)))


def delete_alerts(connection: Connection, number: int, *, limit: int) -> int:
    """Remove the oldest alerts of a group; how many."""
    wanted = select(alert.c.id).where(alert.c.group_id == number).order_by(alert.c.id).limit(limit)
    some = connection.scalars(wanted).all()
    connection.execute(delete(alert).where(alert.c.id.in_(some)))
    drop_payloads(connection, some)
    return len(some)


def drop_payloads(connection: Connection, numbers: Collection[int]) -> None:
    """Remove the payload rows of these alerts, handing a row that others share to the first of them."""
    shared = connection.execute(
        select(alert.c.id, alert.c.payload_id)
        .where(alert.c.payload_id.in_(numbers), alert.c.payload_id != alert.c.id, alert.c.id.not_in(numbers))
        .order_by(alert.c.id)
    ).all()
    heirs: dict[int, int] = {}
    for row in shared:
        heir = heirs.get(row.payload_id)
        if heir is None:
            heirs[row.payload_id] = row.id
            body = connection.scalar(select(payload.c.body).where(payload.c.id == row.payload_id))
            if body is not None:
                connection.execute(payload.insert().values(id=row.id, body=body))
        connection.execute(update(alert).where(alert.c.id == row.id).values(payload_id=heirs[row.payload_id]))
    connection.execute(delete(payload).where(payload.c.id.in_(numbers)))
