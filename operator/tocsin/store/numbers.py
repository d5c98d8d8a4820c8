"""Numbers for new groups and alerts, from the database's sequences; what a batch does not use is a gap."""

from __future__ import annotations

from collections.abc import Iterator

from tocsin.store.bulk import Bulk

_SQLITE = "SELECT name, seq FROM sqlite_sequence WHERE name IN (?, ?)"
_POSTGRESQL = (
    "SELECT nextval('alert_id_seq'), 0 FROM generate_series(1, %s) "
    "UNION ALL SELECT nextval('alert_group_id_seq'), 1 FROM generate_series(1, %s)"
)
_ONE_ALERT = "SELECT nextval('alert_id_seq')"
_ONE_GROUP = "SELECT nextval('alert_group_id_seq')"


class Numbers:
    """One batch's supply. On PostgreSQL `alerts` and `groups` of them are drawn at once, more one by one."""

    def __init__(self, bulk: Bulk, *, alerts: int, groups: int) -> None:
        self._bulk = bulk
        if bulk.arrays:
            rows = bulk.query("", _POSTGRESQL, (alerts, groups))
            self._alerts: Iterator[int] = iter(sorted(n for n, kind in rows if kind == 0))
            self._groups: Iterator[int] = iter(sorted(n for n, kind in rows if kind == 1))
        else:
            last: dict[str, int] = {
                row[0]: row[1] for row in bulk.query(_SQLITE, "", ("alert", "alert_group"))
            }
            self._alerts = iter(range(last.get("alert", 0) + 1, 1 << 60))
            self._groups = iter(range(last.get("alert_group", 0) + 1, 1 << 60))

    def alert(self) -> int:
        drawn = next(self._alerts, None)
        return self._draw(_ONE_ALERT) if drawn is None else drawn

    def group(self) -> int:
        drawn = next(self._groups, None)
        return self._draw(_ONE_GROUP) if drawn is None else drawn

    def _draw(self, text: str) -> int:
        (row,) = self._bulk.query("", text, ())
        return int(row[0])
