"""Notes on alert groups: the resolution notes of OnCall's API (alert-flow R-API-12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from tocsin.api import ids
from tocsin.console.api.context import (
    Document,
    actor_of,
    answer,
    bad_request,
    check_query,
    context_of,
    json_object,
    missing,
)
from tocsin.console.api.deliveries import group_number, number_of_cursor, walk_document
from tocsin.console.api.paging import parse_paging
from tocsin.console.api.shapes import moment
from tocsin.store import groups, notes
from tocsin.store.backend import disguise_of
from tocsin.store.notes import Note

LONGEST = 3000
"""Characters of a note (alert-flow R-ACT-3)."""


async def list_notes(request: web.Request) -> web.Response:
    """Latest first; `alert_group_id`."""
    check_query(request, frozenset({"alert_group_id", "perpage", "cursor"}))
    paging = parse_paging(request.query)
    before = number_of_cursor(paging.cursor)

    def read(connection: Connection) -> tuple[list[Document], int | None]:
        group = group_number(connection, request.query.get("alert_group_id", ""))
        found = notes.list_notes(connection, group, before=before, limit=paging.size + 1)
        shown = found[: paging.size]
        following = shown[-1].id if len(found) > paging.size else None
        return [note_document(connection, one) for one in shown], following

    shown, following = await context_of(request).store.read(read)
    return answer(walk_document(request, shown, following, paging.size))


async def get_note(request: web.Request) -> web.Response:
    public_id = request.match_info["id"]
    return answer(await context_of(request).store.read(lambda c: note_document(c, _found(c, public_id))))


async def create_note(request: web.Request) -> web.Response:
    """`alert_group_id` and `text`; 201."""
    body = await json_object(request, known=frozenset({"alert_group_id", "text"}))
    text, public_id = _text(body), body.get("alert_group_id")
    context, actor = context_of(request), actor_of(request)
    now = context.now()
    if not isinstance(public_id, str):
        raise bad_request("give the id of an alert group", field="alert_group_id")

    def write(connection: Connection) -> Document:
        group = groups.get_by_public_id(connection, public_id)
        if group is None:
            raise bad_request("there is no such alert group", field="alert_group_id")
        return note_document(connection, notes.add(connection, group.number, text, actor=actor, at=now))

    return answer(await context.store.write(write), status=201)


async def change_note(request: web.Request) -> web.Response:
    """`text`. Author and time stay."""
    body = await json_object(request, known=frozenset({"alert_group_id", "text"}))
    text, public_id = _text(body), request.match_info["id"]

    def write(connection: Connection) -> Document:
        found = _found(connection, public_id)
        notes.change(connection, found.id, text)
        return note_document(connection, _found(connection, public_id))

    return answer(await context_of(request).store.write(write))


async def delete_note(request: web.Request) -> web.Response:
    public_id = request.match_info["id"]
    await context_of(request).store.write(lambda c: notes.remove(c, _found(c, public_id).id))
    return web.Response(status=204)


def note_document(connection: Connection, note: Note) -> Document:
    return {
        "id": note.public_id,
        "alert_group_id": disguise_of(connection).id_of(ids.GROUP, note.group),
        "author": note.actor.name or None,
        "source": "web" if note.actor.via is None else note.actor.via.name.lower(),
        "created_at": moment(note.at),
        "text": note.text,
    }


def _found(connection: Connection, public_id: str) -> Note:
    found = notes.find(connection, public_id)
    if found is None:
        raise missing(f"note {public_id[:24]}")
    return found


def _text(body: Mapping[str, Any]) -> str:
    text = body.get("text")
    if not isinstance(text, str) or not text.strip() or len(text) > LONGEST:
        raise bad_request(f"a text of 1 to {LONGEST} characters", field="text")
    return text
