"""Alert groups: lists, one, its log, and what people do to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web
from sqlalchemy import Connection

from tocsin.api import ids
from tocsin.console.api import filters
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
from tocsin.console.api.notes import note_document
from tocsin.console.api.paging import Paging, page_document, parse_paging
from tocsin.console.api.shapes import alert_document, group_document, log_document
from tocsin.console.api.telling import telling_documents
from tocsin.dispatch import maintenance, reminders
from tocsin.flow.groups import Action, Verb
from tocsin.flow.model import Micros
from tocsin.flow.program import Program
from tocsin.store import actions, alerts, groups, logbook, notes, pages
from tocsin.store.actions import Acted, NoSuchGroup
from tocsin.store.backend import disguise_of
from tocsin.store.groups import AlertGroup, Count, GroupFilter, GroupPage
from tocsin.store.notes import Note

NOTHING = frozenset[str]()
FOR_EVER = (-1, 0, None)
"""What `delay` may be for a silence without end (alert-flow R-ACT-5)."""

LONGEST_SILENCE = 10 * 366 * 86_400


async def list_groups(request: web.Request) -> web.Response:
    check_query(request, filters.KNOWN)
    asked, paging = filters.parse_filters(request), parse_paging(request.query)
    program = context_of(request).live.program

    def read(connection: Connection) -> tuple[Count, Paging, list[Document], str | None]:
        wanted = filters.resolve(connection, asked)
        if wanted is None:
            return Count(count=0, capped=False), paging.clamped(0), [], None
        if asked.group_id:
            return _only(connection, asked.group_id, wanted, program, paging)
        count = groups.count(connection, wanted)
        shown = paging.clamped(count.count)
        page = groups.list_groups(
            connection, wanted, before=_before(connection, wanted, shown), limit=shown.size
        )
        documents = [_document(connection, group, program) for group in page.items]
        return count, shown, documents, _cursor(connection, page)

    count, shown, documents, cursor = await context_of(request).store.read(read)
    return answer(page_document(request, shown, documents, count=count.count, next_cursor=cursor))


async def get_group(request: web.Request) -> web.Response:
    public_id = request.match_info["id"]
    program = context_of(request).live.program

    return answer(
        await context_of(request).store.read(
            lambda c: whole_document(c, find_group(c, public_id).number, program)
        )
    )


async def get_log(request: web.Request) -> web.Response:
    check_query(request, frozenset({"after", "perpage"}))
    public_id, paging = request.match_info["id"], parse_paging(request.query, 100)
    after = request.query.get("after", "0")
    if not (after.isascii() and after.isdigit() and len(after) < 19):
        raise bad_request("give the id of an entry", field="after")

    def read(connection: Connection) -> tuple[list[Document], int | None]:
        number = find_group(connection, public_id).number
        entries = logbook.list_entries(connection, number, after=int(after), limit=paging.size)
        full = len(entries) == paging.size
        disguise = disguise_of(connection)
        shown = [
            log_document(e, None if e.alert is None else disguise.id_of(ids.ALERT, e.alert)) for e in entries
        ]
        between = _notes_between(connection, number, int(after), entries[-1].at if full else None)
        shown += [_noted(note_document(connection, note)) for note in between]
        return sorted(shown, key=lambda one: one["time"]), entries[-1].id if full else None

    entries, following = await context_of(request).store.read(read)
    return answer({"results": entries, "next_after": following})


def _notes_between(connection: Connection, group: int, after: int, until: Micros | None) -> list[Note]:
    """The notes that belong among a page of log entries: later than entry `after`, up to `until`."""
    before = logbook.list_entries(connection, group, after=after - 1, limit=1) if after else ()
    since = before[0].at if before else None
    found = reversed(notes.list_notes(connection, group, limit=1000))
    return [one for one in found if (since is None or one.at > since) and (until is None or one.at <= until)]


def _noted(note: Document) -> Document:
    """A note as a line of the log (alert-flow R-LOG-3)."""
    return {
        "id": note["id"],
        "time": note["created_at"],
        "type": None,
        "action": "note",
        "author": note["author"],
        "action_source": None,
        "reason": "",
        "details": {"text": note["text"]},
        "alert_id": None,
    }


async def delete_group(request: web.Request) -> web.Response:
    """`mode` wipe (the default) or delete, in the query or in the body (alert-flow R-ACT-10, R-ACT-11)."""
    check_query(request, frozenset({"mode"}))
    body = await json_object(request, known=frozenset({"mode"}))
    mode = request.query.get("mode", body.get("mode", "wipe"))
    if mode not in ("wipe", "delete"):
        raise bad_request("unknown mode", field="mode", action="known: wipe, delete")
    await _act(request, lambda now: Action(verb=Verb(mode), at=now, actor=actor_of(request)))
    return web.Response(status=204)


def act(verb: Verb) -> Callable[[web.Request], Any]:
    """The handler of an action without parameters."""

    async def handle(request: web.Request) -> web.Response:
        await json_object(request, known=NOTHING)
        await _act(request, lambda now: Action(verb=verb, at=now, actor=actor_of(request)))
        return web.Response()

    return handle


async def silence(request: web.Request) -> web.Response:
    """`delay` in seconds; -1, 0 or null is for ever."""
    body = await json_object(request, known=frozenset({"delay"}))
    delay = _delay(body)

    def action(now: Micros) -> Action:
        until = None if delay is None else Micros(now + delay * 1_000_000)
        return Action(verb=Verb.SILENCE, at=now, actor=actor_of(request), until=until)

    await _act(request, action)
    return web.Response()


async def confirm(request: web.Request) -> web.Response:
    """Whoever is asked by an acknowledge reminder says that the group is being worked on (alert-flow 10.4)."""
    await json_object(request, known=NOTHING)
    context, public_id, actor = context_of(request), request.match_info["id"], actor_of(request)
    now = context.now()

    def write(connection: Connection) -> None:
        number = find_group(connection, public_id).number
        if not reminders.confirm(connection, number, actor.name, now):
            raise bad_request("nobody is asked whether this group is being worked on")

    await context.store.write(write)
    return web.Response()


async def attach(request: web.Request) -> web.Response:
    """`parent_id`: the public id of the group to attach to."""
    body = await json_object(request, known=frozenset({"parent_id"}))
    public_id, parent_id = request.match_info["id"], body.get("parent_id")
    if not isinstance(parent_id, str):
        raise bad_request("give the id of an alert group", field="parent_id")
    context, actor = context_of(request), actor_of(request)
    now = context.now()

    def write(connection: Connection) -> None:
        child, parent = find_group(connection, public_id), find_group(connection, parent_id)
        actions.attach(connection, child.number, parent.number, now=now, actor=actor)

    await context.store.write(write)
    return web.Response()


async def _act(request: web.Request, action: Callable[[Micros], Action]) -> Acted:
    """Does it under the maintenance windows in force. The state machine refuses what is impossible (answered 400)."""
    context, public_id = context_of(request), request.match_info["id"]
    wanted = action(context.now())
    program = context.live.program

    def write(connection: Connection) -> Acted:
        return maintenance.act(connection, program, find_group(connection, public_id), wanted)

    try:
        return await context.store.write(write)
    except NoSuchGroup:
        raise missing(f"alert group {public_id}") from None


def _delay(body: Mapping[str, Any]) -> int | None:
    if "delay" not in body:
        raise bad_request("say for how many seconds", field="delay", action="-1 is for ever")
    delay = body["delay"]
    if delay in FOR_EVER and not isinstance(delay, bool):
        return None
    if isinstance(delay, bool) or not isinstance(delay, int) or not 0 < delay <= LONGEST_SILENCE:
        raise bad_request(f"a whole number of seconds up to {LONGEST_SILENCE}, or -1 for ever", field="delay")
    return delay


def whole_document(connection: Connection, number: int, program: Program) -> Document:
    """One group with all that is shown of it."""
    group = groups.get(connection, number)
    if group is None:
        raise missing(f"alert group #{number}")
    return {
        **_document(connection, group, program),
        "attached": [child.public_id for child in groups.children(connection, number)],
        **telling_documents(connection, number, program),
    }


def find_group(connection: Connection, public_id: str) -> AlertGroup:
    """Raises ProblemError (404)."""
    found = groups.get_by_public_id(connection, public_id)
    if found is None:
        raise missing(f"alert group {public_id[:24]}")
    return found


def _only(
    connection: Connection, public_id: str, wanted: GroupFilter, program: Program, paging: Paging
) -> tuple[Count, Paging, list[Document], str | None]:
    """The list filtered by id: the group, if the other filters hold, too."""
    found = groups.get_by_public_id(connection, public_id)
    if found is not None:
        page = groups.list_groups(connection, wanted, before=found.number + 1, limit=1)
        found = next((group for group in page.items if group.number == found.number), None)
    documents = [] if found is None else [_document(connection, found, program)]
    return Count(count=len(documents), capped=False), paging.clamped(len(documents)), documents, None


def _before(connection: Connection, wanted: GroupFilter, paging: Paging) -> int | None:
    if paging.cursor is None:
        return pages.group_before(connection, wanted, paging.offset)
    if not paging.cursor:
        return None
    number = disguise_of(connection).number_of(ids.GROUP, paging.cursor)
    if number is None:
        raise bad_request("not a cursor of this list", field="cursor", action="start with an empty one")
    return number


def _cursor(connection: Connection, page: GroupPage) -> str | None:
    return None if page.next is None else disguise_of(connection).id_of(ids.GROUP, page.next)


def _document(connection: Connection, group: AlertGroup, program: Program) -> Document:
    parent = None if group.parent is None else disguise_of(connection).id_of(ids.GROUP, group.parent)
    latest = alerts.list_alerts(connection, group=group.number, limit=1).items
    last = alert_document(latest[0], alerts.payload_of(connection, latest[0].id)) if latest else None
    return group_document(group, program, parent=parent, last_alert=last)
