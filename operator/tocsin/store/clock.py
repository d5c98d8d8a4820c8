"""Which clock rules: PostgreSQL's own, so that replicas with wrong clocks agree; this process's on SQLite."""

from __future__ import annotations

import time

from sqlalchemy import Connection, text

from tocsin.flow.model import Micros

_POSTGRESQL = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


def now(connection: Connection) -> Micros:
    """The moment that leases and timers are compared with."""
    if connection.dialect.name == "postgresql":
        return Micros(connection.scalar(_POSTGRESQL) or 0)
    return Micros(time.time_ns() // 1000)
