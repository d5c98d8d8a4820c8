"""Deleting what is old, in batches of at most a thousand rows, so that nothing else ever waits for it.

Open groups are never touched. A payload that has to go stays with its group as one of the first or last hundred;
what falls out of the last hundred goes, at the latest, when the alerts that pushed it out are old themselves.
"""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, Table, delete, func, select, text, update

from tocsin.flow.model import Micros
from tocsin.store import actions, alerts, credentials, dialects, removal, replicas, revisions, schema
from tocsin.store.tables import (
    alert,
    alert_group,
    dead_letter,
    delivery,
    duplicate,
    fragment,
    group_tally,
    manifest,
    revision,
)

DAY = 86_400_000_000
HOUR = 3_600_000_000
BATCH = 1000
CURSOR = "retention.payloads"

_LOCK = dialects.lock_key("retention")


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Ages in microseconds. `flows`: how long a superseded flow is kept for recomputing traces."""

    resolved_groups: int = 90 * DAY
    payloads: int = 30 * DAY
    kept_payloads: int = 100
    dead_letters: int = 7 * DAY
    deliveries: int = 30 * DAY
    duplicates: int = HOUR
    flows: int = 90 * DAY
    replicas: int = HOUR


class Swept(msgspec.Struct, frozen=True, kw_only=True):
    """Rows deleted by one sweep. `more`: something is left, sweep again soon."""

    groups: int = 0
    payloads: int = 0
    dead_letters: int = 0
    deliveries: int = 0
    duplicates: int = 0
    tokens: int = 0
    flows: int = 0
    replicas: int = 0
    more: bool = False


def sweep(connection: Connection, policy: Policy, now: Micros) -> Swept:
    """One batch of everything. Where several processes sweep, one does and the others find nothing to do."""
    if dialects.is_postgresql(connection) and not connection.scalar(
        text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": _LOCK}
    ):
        return Swept()
    groups, more_groups = _sweep_groups(connection, now - policy.resolved_groups)
    payloads, more_payloads = _sweep_payloads(connection, now - policy.payloads, policy.kept_payloads)
    letters = _sweep_rows(connection, dead_letter, "received_at", now - policy.dead_letters)
    sent = _sweep_rows(connection, delivery, "finished_at", now - policy.deliveries)
    duplicates = _sweep_rows(connection, duplicate, "seen_at", now - policy.duplicates)
    return Swept(
        groups=groups,
        payloads=payloads,
        dead_letters=letters,
        deliveries=sent,
        duplicates=duplicates,
        tokens=credentials.remove_expired(connection, now),
        flows=_sweep_flows(connection, now - policy.flows),
        replicas=replicas.remove_dead(connection, older_than=policy.replicas),
        more=more_groups or more_payloads or BATCH in (letters, sent, duplicates),
    )


def _sweep_groups(connection: Connection, before: int) -> tuple[int, bool]:
    """Resolved groups, oldest first, until a thousand alerts are gone; a larger group takes several sweeps."""
    expired = connection.scalars(
        select(alert_group.c.id)
        .where(alert_group.c.resolved_at <= before)
        .order_by(alert_group.c.resolved_at, alert_group.c.id)
        .limit(100)
    ).all()
    actions.lock_groups(connection, expired)
    done: list[int] = []
    budget = BATCH
    for number in expired:
        still = len(alerts.chain(connection, number, limit=budget + 1))
        if still > budget:
            if not done:
                removal.delete_alerts(connection, number, limit=BATCH)
            break
        done.append(number)
        budget -= still
    removal.delete_groups(connection, done)
    return len(done), len(done) < len(expired) or len(expired) == 100


def _sweep_payloads(connection: Connection, before: int, kept: int) -> tuple[int, bool]:
    """Walk over alerts once, in the order they came; the group of each says which payloads it can spare."""
    cursor = int(schema.read_setting(connection, CURSOR) or b"0")
    rows = connection.execute(
        select(alert.c.id, alert.c.group_id, alert.c.received_at)
        .where(alert.c.id > cursor)
        .order_by(alert.c.id)
        .limit(BATCH)
    ).all()
    newest: dict[int, int] = {}
    for row in rows:
        if row.received_at > before:
            break
        newest[row.group_id] = cursor = row.id
    gone = sum(_spare(connection, group, alert_id, kept) for group, alert_id in sorted(newest.items()))
    if newest:
        schema.write_setting(connection, CURSOR, str(cursor).encode())
    return gone, bool(rows) and cursor == rows[-1].id and len(rows) == BATCH


def _spare(connection: Connection, group: int, newest: int, kept: int) -> int:
    """Drop what lies between the first and the last payloads to keep, from alert `newest` (old enough) backwards."""
    tally = connection.execute(
        select(group_tally.c.alerts_count, group_tally.c.spared_to).where(group_tally.c.group_id == group)
    ).first()
    if tally is None or tally.alerts_count <= 2 * kept:
        return 0
    ordinal = connection.scalar(select(alert.c.ordinal).where(alert.c.id == newest)) or 0
    done = max(kept, tally.spared_to)
    if ordinal <= done:
        return 0
    walked = [*alerts.chain(connection, group, before=newest, limit=ordinal - done - 1), newest]
    gone = connection.scalars(
        select(alert.c.id).where(
            alert.c.id.in_(walked),
            alert.c.ordinal > done,
            alert.c.ordinal <= tally.alerts_count - kept,
            alert.c.payload_id.is_not(None),
        )
    ).all()
    removal.drop_payloads(connection, gone)
    spared_to = max(tally.spared_to, min(ordinal, tally.alerts_count - kept))
    connection.execute(update(group_tally).where(group_tally.c.group_id == group).values(spared_to=spared_to))
    return len(gone)


def _sweep_rows(connection: Connection, table: Table, column: str, before: int) -> int:
    keys = list(table.primary_key)
    some = select(*keys).where(table.c[column] <= before).order_by(table.c[column]).limit(BATCH)
    rows = connection.execute(some).all()
    for row in rows:
        connection.execute(delete(table).where(*(key == value for key, value in zip(keys, row, strict=True))))
    return len(rows)


def _sweep_flows(connection: Connection, before: int) -> int:
    """Revisions that were superseded long ago, then the manifests and fragments that nothing refers to any more."""
    newest = select(func.max(revision.c.number)).scalar_subquery()
    following = revision.alias()
    superseded = (
        select(revision.c.number)
        .where(
            revision.c.number < newest,
            select(func.min(following.c.published_at))
            .where(following.c.number > revision.c.number)
            .scalar_subquery()
            <= before,
        )
        .order_by(revision.c.number)
        .limit(BATCH)
    )
    numbers = connection.scalars(superseded).all()
    if not numbers:
        return 0
    connection.execute(delete(revision).where(revision.c.number.in_(numbers)))
    based = manifest.alias()
    while True:
        loose = connection.scalars(
            select(manifest.c.id).where(
                manifest.c.id.not_in(select(revision.c.manifest_id)),
                manifest.c.id.not_in(select(based.c.base_id).where(based.c.base_id.is_not(None))),
            )
        ).all()
        if not loose:
            break
        connection.execute(delete(manifest).where(manifest.c.id.in_(loose)))
    used = revisions.referenced_fragments(connection)
    for digest in connection.scalars(select(fragment.c.digest)).all():
        if bytes(digest).hex() not in used:
            connection.execute(delete(fragment).where(fragment.c.digest == digest))
    return len(numbers)
