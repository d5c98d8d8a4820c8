"""How each channel does: when something was sent last, what failed last, and since when nothing works."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from sqlalchemy import Connection, RowMapping, delete, func, select

from tocsin.flow.model import Micros
from tocsin.store import bulk, dialects
from tocsin.store.tables import channel_health
from tocsin.store.text import clean, cut

ERROR_LIMIT = 500


class ChannelHealth(msgspec.Struct, frozen=True, kw_only=True):
    """`channel` is `namespace/name`. `failing_since` None: the last attempt worked. `failures` in a row."""

    channel: str
    last_sent: Micros | None
    last_error: str
    reason: str
    failing_since: Micros | None
    failures: int


def success(connection: Connection, channel: str, at: Micros) -> None:
    succeeded(connection, [channel], at)


def succeeded(connection: Connection, channels: Iterable[str], at: Micros) -> None:
    """`success` of several."""
    rows = [
        {
            "channel": channel,
            "last_sent": at,
            "last_error": "",
            "reason": "",
            "failing_since": None,
            "failures": 0,
        }
        for channel in sorted(set(channels))
    ]
    bulk.upsert_together(connection, channel_health, rows, key=("channel",))


def failure(connection: Connection, channel: str, at: Micros, *, reason: str, error: str) -> None:
    """`reason` is a word, `error` one line without secrets."""
    values = {"last_error": cut(clean(error), ERROR_LIMIT), "reason": reason}
    statement = dialects.insert(connection, channel_health).values(
        channel=channel, last_sent=None, failing_since=at, failures=1, **values
    )
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["channel"],
            set_={
                **values,
                "failing_since": func.coalesce(channel_health.c.failing_since, at),
                "failures": channel_health.c.failures + 1,
            },
        )
    )


def get(connection: Connection, channel: str) -> ChannelHealth | None:
    wanted = select(channel_health).where(channel_health.c.channel == channel)
    row = connection.execute(wanted).mappings().first()
    return None if row is None else _health(row)


def list_channels(connection: Connection) -> tuple[ChannelHealth, ...]:
    """By name."""
    rows = connection.execute(select(channel_health).order_by(channel_health.c.channel)).mappings()
    return tuple(_health(row) for row in rows)


def forget(connection: Connection, channel: str) -> None:
    """The channel is gone."""
    connection.execute(delete(channel_health).where(channel_health.c.channel == channel))


def _health(row: RowMapping) -> ChannelHealth:
    return ChannelHealth(**row)
