"""The log of an alert group."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from tocsin.flow.groups import Actor, Entry, LogKind, Via
from tocsin.flow.model import Micros
from tocsin.store import bulk
from tocsin.store.tables import log_entry
from tocsin.store.text import clean

REASON = "reason"

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(dict[str, str])


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry as stored. `alert` is the number of the alert that brought it, if one did."""

    id: int
    group: int
    at: Micros
    kind: LogKind
    actor: Actor
    reason: str
    details: dict[str, str]
    alert: int | None


def encode_details(entry: Entry) -> str:
    details = {name: clean(value) for name, value in entry.details}
    if entry.reason:
        details[REASON] = clean(entry.reason)
    return _encoder.encode(details).decode() if details else "{}"


def decode_details(text: str) -> tuple[str, dict[str, str]]:
    """The reason and the rest of what `encode_details` wrote."""
    details = _decoder.decode(text)
    return details.pop(REASON, ""), details


def append(connection: Connection, group: int, entries: Iterable[Entry], *, alert: int | None = None) -> None:
    rows = [
        {
            "group_id": group,
            "at": entry.at,
            "kind": int(entry.kind),
            "actor": clean(entry.actor.name),
            "via": None if entry.actor.via is None else int(entry.actor.via),
            "alert_id": alert,
            "details": encode_details(entry),
        }
        for entry in entries
    ]
    if rows:
        connection.execute(log_entry.insert(), rows)


def append_all(connection: Connection, entries: Iterable[tuple[int, Entry]]) -> None:
    """Entries of many groups, each with the number of its group."""
    rows = [
        (
            group,
            entry.at,
            int(entry.kind),
            clean(entry.actor.name),
            None if entry.actor.via is None else int(entry.actor.via),
            encode_details(entry),
        )
        for group, entry in entries
    ]
    bulk.insert_together(connection, log_entry, ("group_id", "at", "kind", "actor", "via", "details"), rows)


def list_entries(
    connection: Connection, group: int, *, after: int = 0, limit: int = 100
) -> tuple[LogEntry, ...]:
    """Oldest first; `after` is the id of the last entry already seen."""
    rows = connection.execute(
        select(log_entry)
        .where(log_entry.c.group_id == group, log_entry.c.id > after)
        .order_by(log_entry.c.id)
        .limit(limit)
    )
    return tuple(_entry(row) for row in rows)


def _entry(row: Row[Any]) -> LogEntry:
    reason, details = decode_details(row.details)
    via = row.via
    return LogEntry(
        id=row.id,
        group=row.group_id,
        at=row.at,
        kind=LogKind(row.kind),
        actor=Actor(name=row.actor, via=None if via is None else Via(via)),
        reason=reason,
        details=details,
        alert=row.alert_id,
    )
