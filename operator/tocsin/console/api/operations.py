"""How Tocsin itself is doing: windows, dead letters, dead timers, replicas."""

from __future__ import annotations

from aiohttp import web
from sqlalchemy import Connection

from tocsin import __version__
from tocsin.console.api.context import (
    Context,
    Document,
    answer,
    bad_request,
    check_query,
    context_of,
    json_object,
    missing,
)
from tocsin.console.api.paging import paged, parse_paging
from tocsin.console.api.shapes import builtins, moment, seconds
from tocsin.dispatch.windows import windows_of
from tocsin.flow.arrival import NotAnAlert, alerts_of, duplicate_key, expires_at
from tocsin.flow.groups import State
from tocsin.flow.model import Micros
from tocsin.flow.program import IntegrationProgram
from tocsin.flow.windows import Window
from tocsin.receive.content import ContentReader
from tocsin.receive.jsonbody import encode_json
from tocsin.receive.settings import Settings
from tocsin.store import (
    Arrival,
    Stored,
    claims,
    deadletters,
    groups,
    occurrences,
    replicas,
    revisions,
)
from tocsin.store.deadletters import DeadLetter
from tocsin.store.groups import GroupFilter
from tocsin.store.occurrences import OccurrenceRow
from tocsin.store.within import ingest_within

_SHOWN_BODY = 1_000_000


async def list_windows(request: web.Request) -> web.Response:
    """Every window that covers an Integration: whether it is open, since when, until when, and when next."""
    check_query(request, frozenset({"page", "perpage"}))
    context = context_of(request)
    now = context.now()
    running = await context.store.read(occurrences.running)
    shown = [
        _window(context, window, now, [row for row in running if row.window == name])
        for name, window in sorted(windows_of(context.live.program).items())
    ]
    return answer(paged(request, shown))


async def status(request: web.Request) -> web.Response:
    context = context_of(request)

    def read(connection: Connection) -> Document:
        current = revisions.current(connection)
        return {
            "version": __version__,
            "revision": None if current is None else current.number,
            "revision_digest": None if current is None else current.digest,
            "published_at": None if current is None else moment(current.published_at),
            "shown_revision": context.live.revision,
            "replicas": [
                {
                    "id": one.id,
                    "role": one.role,
                    "version": one.version,
                    "revision": one.revision,
                    "registered_at": moment(one.registered_at),
                    "renewed_at": moment(one.renewed_at),
                }
                for one in replicas.live_replicas(connection)
            ],
            "alert_groups": {
                str(state): groups.count(connection, GroupFilter(states=(state,))).count for state in State
            },
            "dead_timers": claims.count_dead(connection),
        }

    document = await context.store.read(read)
    document["integrations"] = len(context.live.program.integrations)
    document["findings"] = context.findings()
    return answer(document)


async def list_dead_timers(request: web.Request) -> web.Response:
    """Timers that failed too often and were given up."""
    check_query(request, frozenset({"page", "perpage"}))
    found = await context_of(request).store.read(claims.list_dead)
    shown = [
        {
            "kind": one.kind,
            "subject": one.subject,
            "died_at": moment(one.died_at),
            "attempts": one.attempts,
            "error": one.error,
        }
        for one in found
    ]
    return answer(paged(request, shown))


async def revive_timer(request: web.Request) -> web.Response:
    """`kind` and `subject` as the list shows them."""
    body = await json_object(request, known=frozenset({"kind", "subject"}))
    kind, subject = body.get("kind"), body.get("subject")
    if not isinstance(kind, str) or not isinstance(subject, str):
        raise bad_request("give kind and subject of a dead timer")
    context = context_of(request)
    now = context.now()
    if not await context.store.write(lambda connection: claims.revive(connection, kind, subject, now)):
        raise missing(f"dead timer {kind} {subject}"[:200])
    return web.Response()


async def list_dead_letters(request: web.Request) -> web.Response:
    check_query(request, frozenset({"perpage", "cursor"}))
    paging = parse_paging(request.query)
    before = _cursor(paging.cursor)

    page = await context_of(request).store.read(
        lambda connection: deadletters.list_letters(connection, before=before, limit=paging.size)
    )
    following = None if page.next is None else str(request.url.update_query(cursor=str(page.next)))
    return answer(
        {"next": following, "results": [_letter(one) for one in page.items], "page_size": paging.size}
    )


async def get_dead_letter(request: web.Request) -> web.Response:
    """The letter with its body as text, up to a megabyte of it."""
    number = int(request.match_info["id"])

    def read(connection: Connection) -> Document:
        letter, body = _open(connection, number)
        shown = body[:_SHOWN_BODY].decode("utf-8", "replace")
        return {**_letter(letter), "body": shown, "truncated": len(body) > _SHOWN_BODY}

    return answer(await context_of(request).store.read(read))


async def delete_dead_letter(request: web.Request) -> web.Response:
    number = int(request.match_info["id"])
    if not await context_of(request).store.write(lambda c: deadletters.remove(c, number)):
        raise missing(f"dead letter {number}")
    return web.Response(status=204)


async def replay_dead_letter(request: web.Request) -> web.Response:
    """Takes the body in as if it came now, and removes the letter in the same transaction."""
    await json_object(request, known=frozenset())
    context, number = context_of(request), int(request.match_info["id"])
    letter, body = await context.store.read(lambda connection: _open(connection, number))
    integration = (
        None if letter.integration is None else context.live.program.integrations.get(letter.integration)
    )
    if integration is None:
        raise bad_request(
            "the Integration of this letter is not declared now", action="declare it again, then replay"
        )
    if integration.fragment.suspended:
        raise bad_request("the Integration is suspended", action="set spec.suspend to false, then replay")
    arrivals = _arrivals(context, integration, letter, body)

    def write(connection: Connection) -> tuple[Stored, ...]:
        if not deadletters.remove(connection, number):
            raise missing(f"dead letter {number}")
        return ingest_within(connection, arrivals)

    stored = await context.store.write(write)
    return answer([builtins(one) for one in stored])


def _arrivals(
    context: Context, integration: IntegrationProgram, letter: DeadLetter, body: bytes
) -> tuple[Arrival, ...]:
    source, now = integration.type, context.now()
    content = ContentReader(Settings()).parse(body, letter.media_type, source)
    try:
        payloads = alerts_of(source, content.value, now)
    except NotAnAlert as error:
        raise bad_request(str(error)) from None
    notes = (*content.notes, "replayed from the dead letters")
    return tuple(
        Arrival(
            integration=integration.identity,
            decision=integration.evaluate(payload, now, notes=notes),
            payload=encode_json(integration.redact(payload)),
            received_at=letter.received_at,
            now=now,
            manifest=context.live.program.digest,
            duplicate_key=duplicate_key(source, payload),
            expires_at=expires_at(source, payload, now) if source.expires else None,
        )
        for payload in payloads
    )


def _open(connection: Connection, number: int) -> tuple[DeadLetter, bytes]:
    page = deadletters.list_letters(connection, before=number + 1, limit=1)
    body = deadletters.body_of(connection, number)
    if body is None or not page.items or page.items[0].id != number:
        raise missing(f"dead letter {number}")
    return page.items[0], body


def _letter(letter: DeadLetter) -> Document:
    integration = letter.integration
    return {
        "id": letter.id,
        "integration": None if integration is None else f"{integration.namespace}/{integration.name}",
        "received_at": moment(letter.received_at),
        "reason": letter.reason,
        "media_type": letter.media_type,
        "size": letter.size,
    }


def _window(context: Context, window: Window, now: Micros, running: list[OccurrenceRow]) -> Document:
    fragment = window.fragment
    occurrence = None if window.schedule is None else window.schedule.occurrence_at(now)
    coming = None if window.schedule is None else window.schedule.next_occurrence(now)
    return {
        "window": window.name,
        "mode": fragment.mode,
        "on_end": fragment.on_end,
        "active": occurrence is not None,
        "start": None if occurrence is None else moment(occurrence.start),
        "end": None if occurrence is None else moment(occurrence.end),
        "next_start": None if coming is None else moment(coming.start),
        "next_end": None if coming is None else moment(coming.end),
        "duration": seconds(fragment.duration),
        "time_zone": fragment.time_zone,
        "recurrence": fragment.recurrence,
        "problem": window.problem,
        "integrations": sorted(
            f"{identity.namespace}/{identity.name}"
            for identity, integration in context.live.program.integrations.items()
            if window.name in integration.fragment.windows
        ),
        "running_for": sorted(f"{row.integration.namespace}/{row.integration.name}" for row in running),
    }


def _cursor(text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise bad_request("not a cursor of this list", field="cursor", action="start without one")
    return int(text)
