"""What a batch owes the database, collected row by row and written in a few statements."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tocsin.flow.groups import Entry
from tocsin.store import states
from tocsin.store.bulk import Bulk, Row
from tocsin.store.directory import Directory, Pair
from tocsin.store.logbook import encode_details
from tocsin.store.openings import Opening
from tocsin.store.tables import (
    alert,
    alert_group,
    duplicate,
    group_label,
    log_entry,
    payload,
    timer,
    window_group,
)
from tocsin.store.text import clean
from tocsin.store.timers import EXPIRE

_PAYLOAD = ("id", "body")
_ALERT = (
    "id",
    "group_id",
    "ordinal",
    "received_at",
    "evaluated_at",
    "manifest_id",
    "origin",
    "digested",
    "payload_id",
    "outcome",
)
_COUNTS = (
    "id",
    "alerts_count",
    "last_alert_at",
    "digested_count",
    "digest_first_id",
    "digest_last_id",
    "renotified_at",
)
_STATE = ("id", *states.CHANGING, "escalate_at")
_GROUP = (
    *_COUNTS,
    *states.CHANGING,
    "escalate_at",
    "integration_id",
    "route_id",
    "grouping",
    "grouping_key",
    "place",
    "started_at",
    "title",
    "received_at",
    "suppressed",
    "demo",
    "wiped",
)
_LOG = ("group_id", "at", "kind", "actor", "via", "alert_id", "details")
_DUPLICATE = ("integration_id", "key", "alert_id", "group_id", "seen_at")
_DUPLICATE_CONFLICT = (
    "ON CONFLICT (integration_id, key) DO UPDATE SET alert_id = excluded.alert_id, "
    "group_id = excluded.group_id, seen_at = excluded.seen_at"
)
_TIMER = ("kind", "subject", "due_at", "data", "version", "attempts")
_LATER = "CASE WHEN timer.due_at > excluded.due_at THEN timer.due_at ELSE excluded.due_at END"
_TIMER_CONFLICT = (
    f"ON CONFLICT (kind, subject) DO UPDATE SET due_at = {_LATER}, version = timer.version + 1, "
    "claimed_by = NULL, attempts = 0"
)


class Opened(msgspec.Struct, frozen=True):
    """The part of a new group that only its first alert knows."""

    title: str
    received_at: int
    suppressed: bool
    demo: bool


class Pending:
    """Rows to write, in the order of the tables' growth. `write` empties it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.alerts: list[Row] = []
        self.payloads: list[Row] = []
        self.gone_payloads: list[Row] = []
        self.opened: dict[int, Opened] = {}
        self.labels: list[tuple[int, Pair]] = []
        self.memberships: list[Row] = []
        self._touched: dict[int, Opening] = {}
        self._log: list[Row] = []
        self._duplicates: dict[tuple[int, bytes], Row] = {}
        self._expiries: dict[int, int] = {}
        self._cancelled: set[tuple[str, str]] = set()

    def touch(self, opening: Opening) -> None:
        self._touched[opening.state.number] = opening

    def log(self, group: int, entries: Iterable[Entry], alert_id: int | None) -> None:
        for entry in entries:
            via = None if entry.actor.via is None else int(entry.actor.via)
            details = encode_details(entry)
            self._log.append(
                (group, entry.at, int(entry.kind), clean(entry.actor.name), via, alert_id, details)
            )

    def seen(self, integration: int, key: bytes, row: tuple[int, int, int]) -> None:
        """`row`: alert, group, moment."""
        self._duplicates[integration, key] = (integration, key, *row)

    def expire(self, group: int, at: int) -> None:
        self._expiries[group] = max(at, self._expiries.get(group, at))

    def cancel(self, kind: str, group: int) -> None:
        if kind == EXPIRE:
            self._expiries.pop(group, None)
        self._cancelled.add((kind, str(group)))

    def write(self, bulk: Bulk) -> None:
        """At most a dozen statements, however many alerts."""
        bulk.insert(payload, _PAYLOAD, self.payloads)
        bulk.insert(alert, _ALERT, self.alerts)
        self._write_groups(bulk)
        bulk.insert(log_entry, _LOG, self._log)
        if self.labels:
            numbers = self._directory.labels(bulk, {pair for _, pair in self.labels})
            rows = [(numbers[pair], group) for group, pair in self.labels]
            bulk.insert(group_label, ("label_id", "group_id"), rows)
        bulk.insert(window_group, ("occurrence_id", "group_id"), self.memberships)
        bulk.delete(timer, ("kind", "subject"), sorted(self._cancelled))
        expiries = [(EXPIRE, str(group), at, "", 1, 0) for group, at in sorted(self._expiries.items())]
        bulk.insert(timer, _TIMER, expiries, _TIMER_CONFLICT)
        bulk.insert(duplicate, _DUPLICATE, list(self._duplicates.values()), _DUPLICATE_CONFLICT)
        if self.gone_payloads:
            bulk.update(alert, ("id", "payload_id"), [(number, None) for (number,) in self.gone_payloads])
            bulk.delete(payload, ("id",), self.gone_payloads)
        self._clear()

    def _write_groups(self, bulk: Bulk) -> None:
        fresh: list[Row] = []
        counted: list[Row] = []
        changed: list[Row] = []
        for number, group in sorted(self._touched.items()):
            if group.fresh:
                fresh.append(self._fresh_row(group))
            else:
                if group.joined:
                    counted.append(_counts(group))
                if group.changed:
                    changed.append((number, *states.changing_values(group.state), group.escalate_at))
            group.fresh = group.joined = group.changed = False
        bulk.insert(alert_group, _GROUP, fresh)
        bulk.update(alert_group, _COUNTS, counted)
        bulk.update(alert_group, _STATE, changed)

    def _fresh_row(self, group: Opening) -> Row:
        opened = self.opened[group.state.number]
        return (
            *_counts(group),
            *states.changing_values(group.state),
            group.escalate_at,
            group.integration,
            group.route,
            group.grouping,
            group.key,
            group.place,
            group.state.started_at,
            opened.title,
            opened.received_at,
            opened.suppressed,
            opened.demo,
            group.state.wiped,
        )

    def _clear(self) -> None:
        self._touched.clear()
        self._duplicates.clear()
        self._expiries.clear()
        self._cancelled.clear()
        self._log.clear()
        self.opened.clear()
        for rows in (self.alerts, self.payloads, self.gone_payloads, self.memberships):
            rows.clear()
        self.labels.clear()


def _counts(group: Opening) -> Row:
    return (
        group.state.number,
        group.count,
        group.last_alert_at,
        group.digested,
        group.digest_first,
        group.digest_last,
        group.renotified_at,
    )
