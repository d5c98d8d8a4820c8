"""Bodies that were received but became no alert: kept for a week, to be looked at or sent again."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Connection, Row, Select, delete, select

from tocsin.api.common import Identity
from tocsin.flow.model import Micros
from tocsin.store import identities
from tocsin.store.tables import dead_letter
from tocsin.store.text import clean, cut, pack, unpack


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """`size` is that of the body in bytes. `integration` None: not known."""

    id: int
    integration: Identity | None
    received_at: Micros
    reason: str
    media_type: str
    size: int


class DeadLetterPage(msgspec.Struct, frozen=True, kw_only=True):
    """`next`: the `before` of the next page, None at the end."""

    items: tuple[DeadLetter, ...]
    next: int | None


class Undelivered(msgspec.Struct, frozen=True, kw_only=True):
    """A body to keep. `reason` is a short constant, `media_type` as the sender gave it."""

    integration: Identity | None
    body: bytes
    reason: str
    media_type: str
    received_at: Micros


def put(connection: Connection, letter: Undelivered) -> int:
    """The id of the new dead letter."""
    integration = letter.integration
    made = connection.execute(
        dead_letter.insert().values(
            integration_id=None if integration is None else identities.ensure(connection, integration),
            received_at=letter.received_at,
            reason=cut(clean(letter.reason), 200),
            media_type=cut(clean(letter.media_type), 200),
            size=len(letter.body),
            body=pack(letter.body),
        )
    ).inserted_primary_key
    assert made is not None
    return int(made[0])


def list_letters(
    connection: Connection, *, integration: Identity | None = None, before: int | None = None, limit: int = 50
) -> DeadLetterPage:
    """Newest first."""
    query: Select[Any] = select(
        dead_letter.c.id,
        dead_letter.c.integration_id,
        dead_letter.c.received_at,
        dead_letter.c.reason,
        dead_letter.c.media_type,
        dead_letter.c.size,
    )
    if integration is not None:
        number = identities.find(connection, integration)
        if number is None:
            return DeadLetterPage(items=(), next=None)
        query = query.where(dead_letter.c.integration_id == number)
    if before is not None:
        query = query.where(dead_letter.c.id < before)
    rows = connection.execute(query.order_by(dead_letter.c.id.desc()).limit(limit + 1)).all()
    shown = rows[:limit]
    names = identities.load(
        connection, {row.integration_id for row in shown if row.integration_id is not None}
    )
    return DeadLetterPage(
        items=tuple(_letter(row, names.get(row.integration_id)) for row in shown),
        next=shown[-1].id if len(rows) > limit else None,
    )


def body_of(connection: Connection, number: int) -> bytes | None:
    """The body as received, None if there is no such dead letter."""
    body = connection.scalar(select(dead_letter.c.body).where(dead_letter.c.id == number))
    return None if body is None else unpack(bytes(body))


def remove(connection: Connection, number: int) -> bool:
    """Whether it was there."""
    return connection.execute(delete(dead_letter).where(dead_letter.c.id == number)).rowcount > 0


def _letter(row: Row[Any], integration: Identity | None) -> DeadLetter:
    return DeadLetter(
        id=row.id,
        integration=integration,
        received_at=row.received_at,
        reason=row.reason,
        media_type=row.media_type,
        size=row.size,
    )
