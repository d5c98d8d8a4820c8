"""What people add to a group by hand: notes, and whom they paged."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, RowMapping, delete, select, update

from tocsin.api import ids
from tocsin.flow.groups import Actor, Via
from tocsin.flow.model import Micros
from tocsin.store import dialects
from tocsin.store.backend import disguise_of
from tocsin.store.tables import note, paged
from tocsin.store.text import clean


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """`public_id` is the number in disguise."""

    id: int
    public_id: str
    group: int
    at: Micros
    actor: Actor
    text: str


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """`responder` (`namespace/name`) is told about this group because `actor` said so."""

    group: int
    responder: str
    important: bool
    at: Micros
    actor: str = ""


def add(connection: Connection, group: int, text: str, *, actor: Actor, at: Micros) -> Note:
    values = {
        "group_id": group,
        "at": at,
        "author": clean(actor.name),
        "via": None if actor.via is None else int(actor.via),
        "text": clean(text),
    }
    made = connection.execute(note.insert().values(values)).inserted_primary_key
    assert made is not None
    found = get(connection, int(made[0]))
    assert found is not None
    return found


def get(connection: Connection, number: int) -> Note | None:
    row = connection.execute(select(note).where(note.c.id == number)).mappings().first()
    return None if row is None else _note(connection, row)


def find(connection: Connection, public_id: str) -> Note | None:
    number = disguise_of(connection).number_of(ids.NOTE, public_id)
    return None if number is None else get(connection, number)


def list_notes(
    connection: Connection, group: int | None = None, *, before: int | None = None, limit: int = 100
) -> tuple[Note, ...]:
    """Latest first; `before` is the number of the last one already seen."""
    wanted = select(note).order_by(note.c.id.desc()).limit(limit)
    if group is not None:
        wanted = wanted.where(note.c.group_id == group)
    if before is not None:
        wanted = wanted.where(note.c.id < before)
    return tuple(_note(connection, row) for row in connection.execute(wanted).mappings())


def change(connection: Connection, number: int, text: str) -> bool:
    """False if there is no such note."""
    done = connection.execute(update(note).where(note.c.id == number).values(text=clean(text)))
    return done.rowcount > 0


def remove(connection: Connection, number: int) -> bool:
    return connection.execute(delete(note).where(note.c.id == number)).rowcount > 0


def page(connection: Connection, page: Page) -> None:
    """From now on, with these terms; paging again replaces the earlier page."""
    row = {
        "group_id": page.group,
        "responder": page.responder,
        "important": page.important,
        "at": page.at,
        "actor": clean(page.actor),
    }
    dialects.upsert(connection, paged, [row], key=["group_id", "responder"])


def unpage(connection: Connection, group: int, responder: str) -> bool:
    """False if the responder was not paged."""
    done = connection.execute(delete(paged).where(paged.c.group_id == group, paged.c.responder == responder))
    return done.rowcount > 0


def list_paged(connection: Connection, groups: Sequence[int]) -> tuple[Page, ...]:
    """Who is paged into these groups now, first paged first."""
    wanted = select(paged).where(paged.c.group_id.in_(groups)).order_by(paged.c.at, paged.c.responder)
    return tuple(
        Page(
            group=row["group_id"],
            responder=row["responder"],
            important=row["important"],
            at=Micros(row["at"]),
            actor=row["actor"],
        )
        for row in connection.execute(wanted).mappings()
    )


def _note(connection: Connection, row: RowMapping) -> Note:
    via = row["via"]
    return Note(
        id=row["id"],
        public_id=disguise_of(connection).id_of(ids.NOTE, row["id"]),
        group=row["group_id"],
        at=Micros(row["at"]),
        actor=Actor(name=row["author"], via=None if via is None else Via(via)),
        text=row["text"],
    )
