"""Open alert groups as ingest sees them, and SQLite's memory of them.

SQLite has one writer, so its open groups can be remembered. What any other statement does to a group (a person's
action, the end of a window) is noticed by a temporary trigger on the writing connection, which makes the memory
forget that key: right by construction, whoever writes.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from tocsin.flow.groups import GroupState
from tocsin.store import states

Key = tuple[int, bytes]
"""Integration and grouping key."""

CAPACITY = 50_000
"""Remembered keys (some 50 MiB when full); beyond it the least recently used is asked for again."""

_EXTRA = (
    "integration_id",
    "route_id",
    "grouping",
    "place",
    "renotified_at",
    "escalate_at",
)
TALLY = (
    "alerts_count",
    "last_alert_id",
    "last_alert_at",
    "digested_count",
    "digest_first_id",
    "digest_last_id",
)
COLUMNS = (*(f"t.{name}" for name in states.COLUMNS + _EXTRA), *(f"y.{name}" for name in TALLY))
"""What `Opening.from_row` reads, in this order: `t` is the group, `y` its tally."""

_AT = len(states.COLUMNS)


class Opening:
    """One group while alerts join it: mutable, owned by the committing thread.

    `joined`, `changed` and `fresh` say what the current batch still owes the database.
    """

    __slots__ = (
        "changed",
        "count",
        "digest_first",
        "digest_last",
        "digested",
        "escalate_at",
        "fresh",
        "grouping",
        "integration",
        "joined",
        "key",
        "last_alert",
        "last_alert_at",
        "place",
        "public_id",
        "renotified_at",
        "route",
        "route_name",
        "state",
    )

    def __init__(
        self, *, state: GroupState, integration: int, route: int, grouping: int, key: bytes | None
    ) -> None:
        self.state = state
        self.integration = integration
        self.route = route
        self.route_name = ""
        self.public_id = ""
        self.grouping = grouping
        self.key = key
        self.place = 0
        self.count = 0
        self.last_alert: int | None = None
        self.last_alert_at = 0
        self.digested = 0
        self.digest_first: int | None = None
        self.digest_last: int | None = None
        self.renotified_at: int | None = None
        self.escalate_at: int | None = None
        self.joined = False
        self.changed = False
        self.fresh = False

    @classmethod
    def from_row(cls, row: Sequence[Any]) -> Opening:
        made = cls(
            state=states.state_of(row),
            integration=row[_AT],
            route=row[_AT + 1],
            grouping=row[_AT + 2],
            key=None if row[_AT - 1] is None else bytes(row[_AT - 1]),
        )
        made.place, made.renotified_at, made.escalate_at = row[_AT + 3 : _AT + 6]
        made.count, made.last_alert, made.last_alert_at = row[_AT + 6 : _AT + 9]
        made.digested, made.digest_first, made.digest_last = row[_AT + 9 :]
        return made

    @property
    def number(self) -> int:
        return self.state.number


class Openings:
    """The open groups of recently used keys. An absent key means unknown, never none."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._known: OrderedDict[Key, list[Opening]] = OrderedDict()

    def get(self, key: Key) -> list[Opening] | None:
        """All open groups of this key, to be changed only by the committing batch."""
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def put(self, key: Key, opened: list[Opening]) -> None:
        """Remember all open groups of this key, as committed."""
        self._known[key] = opened
        if len(self._known) > self._capacity:
            self._known.popitem(last=False)

    def drop(self, key: Key) -> None:
        self._known.pop(key, None)

    def forget(self) -> None:
        """After a transaction that failed nothing remembered can be trusted."""
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)

    def watch(self, raw: sqlite3.Connection) -> None:
        """Have the writing connection tell about every change; its triggers live as long as it does."""
        raw.create_function("tocsin_changed", 2, self._changed)
        if raw.execute("SELECT 1 FROM main.sqlite_master WHERE name = 'alert_group'").fetchone():
            for statement in _TRIGGERS:
                raw.execute(statement)

    def _changed(self, integration: int, key: bytes | None) -> None:
        if key is not None:
            self._known.pop((integration, key), None)


_WATCHED = ", ".join((*states.CHANGING, "grouping_key", "place", "route_id", "integration_id"))
_CHANGED = "SELECT tocsin_changed({0}.integration_id, {0}.grouping_key);"
_OLD, _NEW = _CHANGED.format("OLD"), _CHANGED.format("NEW")
_TRIGGERS = tuple(
    f"CREATE TEMP TRIGGER IF NOT EXISTS tocsin_group_{event.split()[0].lower()} AFTER {event} ON main.alert_group "
    f"BEGIN {body} END"
    for event, body in (("INSERT", _NEW), ("DELETE", _OLD), (f"UPDATE OF {_WATCHED}", _OLD + _NEW))
)
