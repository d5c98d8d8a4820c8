"""What a batch owes the database, collected row by row and written in a few statements."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tocsin.flow.groups import Entry
from tocsin.store import events, states, wakeups
from tocsin.store.bulk import Bulk, Row
from tocsin.store.directory import Directory, Pair
from tocsin.store.logbook import encode_details
from tocsin.store.openings import TALLY, Opening
from tocsin.store.tables import (
    alert,
    alert_group,
    duplicate,
    event,
    group_label,
    group_tally,
    log_entry,
    timer,
    window_group,
)
from tocsin.store.text import clean
from tocsin.store.timers import EXPIRE

_ALERT = (
    "id",
    "group_id",
    "previous_id",
    "ordinal",
    "received_at",
    "evaluated_at",
    "manifest_id",
    "origin",
    "digested",
    "payload_id",
    "outcome",
    "body",
)
_TALLY = ("group_id", *TALLY)
_STATE = ("id", *states.CHANGING, "escalate_at", "renotified_at")
_GROUP = (
    *_STATE,
    "integration_id",
    "route_id",
    "grouping",
    "grouping_key",
    "place",
    "started_at",
    "title",
    "first_alert_id",
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
    first_alert: int
    received_at: int
    suppressed: bool
    demo: bool


class Pending:
    """Rows to write, in the order of the tables' growth. `write` empties it."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.alerts: list[Row] = []
        self.gone_payloads: list[int] = []
        self.opened: dict[int, Opened] = {}
        self.labels: list[tuple[int, Pair]] = []
        self.memberships: list[Row] = []
        self._touched: dict[int, Opening] = {}
        self._log: list[Row] = []
        self._events: list[Row] = []
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

    def tell(self, group: int, entry: Entry | None) -> None:
        """Of what happened; None: there is nothing to tell."""
        if entry is not None:
            self._events.append(events.row(group, entry))

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
        bulk.insert(alert, _ALERT, self.alerts)
        self._write_groups(bulk)
        bulk.insert(log_entry, _LOG, self._log)
        if self._events:
            bulk.insert(event, events.COLUMNS, self._events)
            bulk.topics.add(wakeups.EVENTS)
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
            gone = [(number, None, None) for number in self.gone_payloads]
            bulk.update(alert, ("id", "payload_id", "body"), gone)
        self._clear()

    def _write_groups(self, bulk: Bulk) -> None:
        fresh: list[Row] = []
        fresh_tallies: list[Row] = []
        tallies: list[Row] = []
        changed: list[Row] = []
        for group in self._touched.values():
            if group.fresh:
                fresh.append(self._fresh_row(group))
                fresh_tallies.append(_tally(group))
            else:
                if group.joined:
                    tallies.append(_tally(group))
                if group.changed:
                    changed.append(_state(group))
            group.fresh = group.joined = group.changed = False
        bulk.update(
            alert_group, _STATE, changed
        )  # before a new group of the same grouping id takes its place
        bulk.insert(alert_group, _GROUP, fresh)
        bulk.insert(group_tally, _TALLY, fresh_tallies)
        bulk.update(group_tally, _TALLY, sorted(tallies))

    def _fresh_row(self, group: Opening) -> Row:
        opened = self.opened[group.state.number]
        return (
            *_state(group),
            group.integration,
            group.route,
            group.grouping,
            group.key,
            group.place,
            group.state.started_at,
            opened.title,
            opened.first_alert,
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
        self._events.clear()
        self.opened.clear()
        self.alerts.clear()
        self.memberships.clear()
        self.gone_payloads.clear()
        self.labels.clear()


def _state(group: Opening) -> Row:
    return (
        group.state.number,
        *states.changing_values(group.state),
        group.escalate_at,
        group.renotified_at,
    )


def _tally(group: Opening) -> Row:
    return (
        group.state.number,
        group.count,
        group.last_alert,
        group.last_alert_at,
        group.digested,
        group.digest_first,
        group.digest_last,
    )
