"""Taking alert groups away: the content of one (wipe), or whole groups with all that belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import Connection, delete, select, update

from tocsin.flow.decision import Outcome
from tocsin.store import alerts, timers
from tocsin.store.tables import (
    alert,
    alert_group,
    delivery,
    duplicate,
    escalation,
    event,
    group_label,
    group_tally,
    log_entry,
    note,
    paged,
    personal,
    posted,
    timer,
    webhook_run,
    window_group,
    window_occurrence,
)
from tocsin.store.text import clean, decode_outcome, encode_outcome, pack

EMPTY = b"{}"
_AT_ONCE = 1000

_WITH_GROUP = (
    duplicate,
    log_entry,
    group_label,
    window_group,
    event,
    escalation,
    personal,
    delivery,
    posted,
    webhook_run,
    note,
    paged,
)
"""What goes with its group, by `group_id`."""


def wipe(connection: Connection, number: int, *, actor: str) -> None:
    """Empty every payload and text of a group; numbers, times, labels and log stay (alert-flow R-ACT-10)."""
    notice = clean(f"Wiped by {actor}" if actor else "Wiped")
    connection.execute(update(alert_group).where(alert_group.c.id == number).values(title=notice))
    last: int | None = None
    while numbers := alerts.chain(connection, number, before=last, limit=_AT_ONCE):
        hand_over_payloads(connection, numbers)
        rows = connection.execute(select(alert.c.id, alert.c.outcome).where(alert.c.id.in_(numbers))).all()
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
            values = {"payload_id": row.id, "outcome": encode_outcome(emptied), "body": pack(EMPTY)}
            connection.execute(update(alert).where(alert.c.id == row.id).values(values))
        last = numbers[-1]


def delete_groups(connection: Connection, numbers: Collection[int]) -> None:
    """Remove groups with their alerts, payloads, labels, log and timers. Attached groups must be detached before."""
    wanted = list(numbers)
    if not wanted:
        return
    for number in wanted:
        while delete_alerts(connection, number, limit=_AT_ONCE):
            pass
    for table in _WITH_GROUP:
        connection.execute(delete(table).where(table.c.group_id.in_(wanted)))
    connection.execute(
        delete(timer).where(timer.c.kind.in_(timers.OF_GROUPS), timer.c.subject.in_([str(n) for n in wanted]))
    )
    connection.execute(
        update(window_occurrence).where(window_occurrence.c.group_id.in_(wanted)).values(group_id=None)
    )
    connection.execute(update(alert_group).where(alert_group.c.parent_id.in_(wanted)).values(parent_id=None))
    connection.execute(delete(group_tally).where(group_tally.c.group_id.in_(wanted)))
    connection.execute(delete(alert_group).where(alert_group.c.id.in_(wanted)))


def delete_alerts(connection: Connection, number: int, *, limit: int) -> int:
    """Remove the newest alerts of a group that is on its way out; how many."""
    some = alerts.chain(connection, number, limit=limit)
    if some:
        following = select(alert.c.previous_id).where(alert.c.id == some[-1]).scalar_subquery()
        connection.execute(
            update(group_tally).where(group_tally.c.group_id == number).values(last_alert_id=following)
        )
        hand_over_payloads(connection, some)
        connection.execute(delete(alert).where(alert.c.id.in_(some)))
    return len(some)


def drop_payloads(connection: Connection, numbers: Sequence[int]) -> None:
    """Forget the payloads of these alerts; the alerts stay."""
    hand_over_payloads(connection, numbers)
    connection.execute(update(alert).where(alert.c.id.in_(numbers)).values(payload_id=None, body=None))


def hand_over_payloads(connection: Connection, numbers: Sequence[int]) -> None:
    """Before these alerts lose their bodies: give a body that other alerts share to the first of those."""
    shared = connection.execute(
        select(alert.c.id, alert.c.payload_id)
        .where(alert.c.payload_id.in_(numbers), alert.c.payload_id != alert.c.id, alert.c.id.not_in(numbers))
        .order_by(alert.c.id)
    ).all()
    heirs: dict[int, int] = {}
    for row in shared:
        heir = heirs.setdefault(row.payload_id, row.id)
        values: dict[str, object] = {"payload_id": heir}
        if heir == row.id:
            body = connection.scalar(select(alert.c.body).where(alert.c.id == row.payload_id))
            values["body"] = body
        connection.execute(update(alert).where(alert.c.id == row.id).values(values))
