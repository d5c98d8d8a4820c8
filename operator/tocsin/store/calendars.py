"""Calendars as they were last fetched, so that a restart, or an outage of the host of one, loses none."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from sqlalchemy import Connection, delete, select

from tocsin.flow.model import Micros
from tocsin.store import schema
from tocsin.store.tables import setting
from tocsin.store.text import pack, unpack

_STATE = "calendar/state/"
_TEXT = "calendar/text/"


class Fetched(msgspec.Struct, frozen=True, kw_only=True):
    """How it went with one schedule's calendar. `source`: digest of the URL. `checked_at`: the last try.

    `read_at`: when the host last gave or confirmed the text; 0 if it never did. `digest`: that of the text. `problem`: what
    went wrong with the last try. `etag`, `modified`: what the host called the text.
    """

    source: str
    checked_at: Micros
    read_at: Micros = Micros(0)
    digest: str = ""
    problem: str = ""
    etag: str = ""
    modified: str = ""


def load(connection: Connection) -> Mapping[str, Fetched]:
    """By the `namespace/name` of the schedule, without the texts."""
    rows = connection.execute(
        select(setting.c.name, setting.c.value).where(setting.c.name.startswith(_STATE, autoescape=True))
    )
    return {
        row.name.removeprefix(_STATE): msgspec.json.decode(bytes(row.value), type=Fetched) for row in rows
    }


def text_of(connection: Connection, schedule: str) -> str:
    """The last good text; "" if there is none."""
    data = schema.read_setting(connection, _TEXT + schedule)
    return "" if data is None else unpack(data).decode()


def put(connection: Connection, schedule: str, fetched: Fetched, text: str | None = None) -> None:
    """`text` None: the one that is there stays."""
    schema.write_setting(connection, _STATE + schedule, msgspec.json.encode(fetched))
    if text is not None:
        schema.write_setting(connection, _TEXT + schedule, pack(text.encode("utf-8", "replace")))


def forget(connection: Connection, schedules: Collection[str]) -> None:
    names = [prefix + schedule for schedule in schedules for prefix in (_STATE, _TEXT)]
    connection.execute(delete(setting).where(setting.c.name.in_(names)))
