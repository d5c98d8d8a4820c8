"""Occurrences of maintenance windows many at a time: what a reconciliation reads and writes.

`windows` holds what happens to one occurrence and its groups; these are the statements that compare all of them with
what should be in force. An occurrence that a person ended early keeps its `ends_at`: later than its `ended_at`, it says
that the rest of the occurrence is not wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec
from sqlalchemy import Connection, RowMapping, Select, delete, select, update

from tocsin.api.common import Identity
from tocsin.flow.decision import WindowInForce
from tocsin.flow.model import Micros
from tocsin.store import dialects, identities
from tocsin.store.tables import (
    alert_group,
    group_label,
    identity,
    label,
    window_group,
    window_occurrence,
)

Pair = tuple[str, Identity]
"""A window (`namespace/name`) and an Integration that it covers."""

_AT_ONCE = 500


class OccurrenceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One occurrence of one window for one Integration, as stored."""

    id: int
    window: str
    integration: Identity
    mode: str
    on_end: str
    start: Micros
    end: Micros
    group: int | None
    ended_at: Micros | None

    @property
    def pair(self) -> Pair:
        return (self.window, self.integration)

    @property
    def ended_by_hand(self) -> bool:
        return self.ended_at is not None and self.ended_at < self.end


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """An open group under an occurrence, with its labels."""

    group: int
    labels: Mapping[str, str]


def running(connection: Connection) -> tuple[OccurrenceRow, ...]:
    """All that have not ended, by id."""
    rows = connection.execute(_query().where(window_occurrence.c.ended_at.is_(None)))
    return tuple(_row(row) for row in rows.mappings())


def recent(connection: Connection, *, limit: int = 100) -> tuple[OccurrenceRow, ...]:
    """Those that ended, the latest first."""
    query = _query().where(window_occurrence.c.ended_at.is_not(None)).order_by(None)
    rows = connection.execute(query.order_by(window_occurrence.c.id.desc()).limit(limit))
    return tuple(_row(row) for row in rows.mappings())


def begin(connection: Connection, wanted: Mapping[Pair, WindowInForce]) -> Mapping[Pair, OccurrenceRow]:
    """The occurrences of these pairs, made or opened again where needed; ended ones are those a person ended.

    One that ended by itself and is in force again (its window was prolonged, or resumed after a suspension) opens with
    a maintenance group of its own: the old one is history.
    """
    if not wanted:
        return {}
    numbers = identities.ensure_all(
        connection, {window_identity(w) for w, _ in wanted} | {i for _, i in wanted}
    )
    rows = [
        {
            "window_id": numbers[window_identity(window)],
            "integration_id": numbers[integration],
            "mode": force.mode,
            "on_end": force.on_end,
            "starts_at": force.start,
            "ends_at": force.end,
        }
        for (window, integration), force in sorted(wanted.items())
    ]
    dialects.insert_missing(connection, window_occurrence, rows)
    found: dict[Pair, OccurrenceRow] = {}
    for row in _having(connection, {force.start for force in wanted.values()}):
        force = wanted.get(row.pair)
        if force is None or force.start != row.start:
            continue
        if row.ended_at is not None and not row.ended_by_hand and force.end > row.ended_at:
            found[row.pair] = _reopen(connection, row, force)
        else:
            found[row.pair] = row
    return found


def _reopen(connection: Connection, row: OccurrenceRow, force: WindowInForce) -> OccurrenceRow:
    connection.execute(
        update(window_occurrence)
        .where(window_occurrence.c.id == row.id)
        .values(ended_at=None, group_id=None, mode=force.mode, on_end=force.on_end, ends_at=force.end)
    )
    return msgspec.structs.replace(
        row, ended_at=None, group=None, mode=force.mode, on_end=force.on_end, end=force.end
    )


def retime(connection: Connection, row: OccurrenceRow, force: WindowInForce) -> bool:
    """The window was edited while it runs: the occurrence goes on under its new terms, with its groups.

    False (and nothing changed) if there is another occurrence with the new start already.
    """
    if force.start != row.start and any(
        other.pair == row.pair for other in _having(connection, {force.start})
    ):
        return False
    connection.execute(
        update(window_occurrence)
        .where(window_occurrence.c.id == row.id)
        .values(starts_at=force.start, ends_at=force.end, mode=force.mode, on_end=force.on_end)
    )
    return True


def cut_short(connection: Connection, occurrence: int, now: Micros) -> None:
    """The window is no longer in force: the occurrence's time ends now, which is not a person's doing."""
    connection.execute(
        update(window_occurrence)
        .where(window_occurrence.c.id == occurrence, window_occurrence.c.ends_at > now)
        .values(ends_at=now)
    )


def members(connection: Connection, occurrence: int) -> tuple[Member, ...]:
    """Open groups under this occurrence, by number."""
    numbers = connection.scalars(
        select(window_group.c.group_id)
        .join(alert_group, alert_group.c.id == window_group.c.group_id)
        .where(window_group.c.occurrence_id == occurrence, alert_group.c.resolved_at.is_(None))
        .order_by(window_group.c.group_id)
    ).all()
    labels: dict[int, dict[str, str]] = {number: {} for number in numbers}
    for at in range(0, len(numbers), _AT_ONCE):
        pairs = connection.execute(
            select(group_label.c.group_id, label.c.key, label.c.value)
            .join(label, label.c.id == group_label.c.label_id)
            .where(group_label.c.group_id.in_(numbers[at : at + _AT_ONCE]))
        )
        for group, key, value in pairs:
            labels[group][key] = value
    return tuple(Member(group=number, labels=labels[number]) for number in numbers)


def cover(connection: Connection, occurrence: int, groups: Collection[int]) -> None:
    """These groups are under this occurrence, too: the last one to end decides about them."""
    rows = [{"occurrence_id": occurrence, "group_id": number} for number in sorted(groups)]
    dialects.insert_missing(connection, window_group, rows)


def hold(connection: Connection, groups: Collection[int]) -> tuple[int, ...]:
    """Take escalation back from groups that a running occurrence covers; their numbers.

    What a person or a timer does to a group under maintenance must not call anybody before the window ends.
    """
    if not groups:
        return ()
    covered = connection.scalars(
        select(alert_group.c.id)
        .join(window_group, window_group.c.group_id == alert_group.c.id)
        .join(window_occurrence, window_occurrence.c.id == window_group.c.occurrence_id)
        .where(
            alert_group.c.id.in_(list(groups)),
            alert_group.c.escalate_at.is_not(None),
            window_occurrence.c.ended_at.is_(None),
        )
        .distinct()
    ).all()
    if covered:
        connection.execute(
            update(alert_group).where(alert_group.c.id.in_(covered)).values(escalate_at=None, suppressed=True)
        )
    return tuple(covered)


def covering(connection: Connection, groups: Collection[int]) -> dict[int, frozenset[str]]:
    """Of these groups those that a running occurrence covers, with the modes of all that do."""
    rows = connection.execute(
        select(window_group.c.group_id, window_occurrence.c.mode)
        .join(window_occurrence, window_occurrence.c.id == window_group.c.occurrence_id)
        .where(window_group.c.group_id.in_(list(groups)), window_occurrence.c.ended_at.is_(None))
    )
    found: dict[int, set[str]] = {}
    for group, mode in rows:
        found.setdefault(group, set()).add(mode)
    return {group: frozenset(modes) for group, modes in found.items()}


def forget_ended(connection: Connection, before: Micros, *, limit: int = 1000) -> int:
    """Remove occurrences that ended before this moment; how many. Their groups stay."""
    old = connection.scalars(
        select(window_occurrence.c.id)
        .where(window_occurrence.c.ended_at < before, window_occurrence.c.ends_at < before)
        .order_by(window_occurrence.c.id)
        .limit(limit)
    ).all()
    if old:
        connection.execute(delete(window_group).where(window_group.c.occurrence_id.in_(old)))
        connection.execute(delete(window_occurrence).where(window_occurrence.c.id.in_(old)))
    return len(old)


def window_identity(window: str) -> Identity:
    namespace, _, name = window.partition("/")
    return Identity(identities.WINDOW, namespace, name)


def _having(connection: Connection, starts: Collection[Micros]) -> list[OccurrenceRow]:
    found: list[OccurrenceRow] = []
    wanted = sorted(starts)
    for at in range(0, len(wanted), _AT_ONCE):
        rows = connection.execute(
            _query().where(window_occurrence.c.starts_at.in_(wanted[at : at + _AT_ONCE]))
        )
        found += [_row(row) for row in rows.mappings()]
    return found


def _query() -> Select[Any]:
    window, integration = identity.alias("window"), identity.alias("integration")
    return (
        select(
            window_occurrence,
            window.c.namespace.label("window_namespace"),
            window.c.name.label("window_name"),
            integration.c.namespace.label("integration_namespace"),
            integration.c.name.label("integration_name"),
        )
        .join(window, window.c.id == window_occurrence.c.window_id)
        .join(integration, integration.c.id == window_occurrence.c.integration_id)
        .order_by(window_occurrence.c.id)
    )


def _row(row: RowMapping) -> OccurrenceRow:
    return OccurrenceRow(
        id=row["id"],
        window=f"{row['window_namespace']}/{row['window_name']}",
        integration=Identity(identities.INTEGRATION, row["integration_namespace"], row["integration_name"]),
        mode=row["mode"],
        on_end=row["on_end"],
        start=Micros(row["starts_at"]),
        end=Micros(row["ends_at"]),
        group=row["group_id"],
        ended_at=row["ended_at"],
    )
