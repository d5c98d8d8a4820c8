"""Paging people by hand: `escalation` of OnCall's public API (alert-flow R-API-18), and its undoing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from aiohttp import web
from msgspec.structs import replace
from sqlalchemy import Connection

from tocsin.api.common import DEFAULT_NAMESPACE, Identity
from tocsin.console.api.context import actor_of, answer, bad_request, context_of, json_object
from tocsin.console.api.groups import find_group, whole_document
from tocsin.console.api.people import Team, responder_named, team_named
from tocsin.dispatch import paging
from tocsin.dispatch.paging import Call, Who, Words
from tocsin.flow.program import IntegrationProgram, Program
from tocsin.store import notes

MOST_PEOPLE = 64
LONGEST_TITLE, LONGEST_TEXT = 1500, 20_000
_WORDS = ("title", "message", "source_url")
_KNOWN = frozenset({*_WORDS, "team", "users", "important_team_escalation", "alert_group_id", "integration"})


class _Order(NamedTuple):
    """What was asked for. `group` empty: a new one."""

    people: tuple[Who, ...]
    team: Team | None
    important: bool
    group: str
    words: Words
    integration: str


async def page(request: web.Request) -> web.Response:
    """`users` (a list of `{"id", "important"}`) or `team` with `important_team_escalation`; and either `alert_group_id` or
    `title`, `message`, `source_url` of a new group. `integration` (namespace/name) chooses among several of type
    direct_paging. Answers the group.
    """
    context, actor = context_of(request), actor_of(request)
    program = context.live.program
    order = _order(program, await json_object(request, known=_KNOWN))
    call = Call(actor=actor, now=context.now())

    def write(connection: Connection) -> dict[str, Any]:
        if order.group:
            number = find_group(connection, order.group).number
            paging.page(connection, number, _all_of(program, order), call)
        else:
            integration = _integration(program, order)
            words = _titled(program, order, actor.name)
            number = paging.open_group(connection, program, integration, words, call)
            if order.people:
                paging.page(connection, number, order.people, call)
        return whole_document(connection, number, program)

    return answer(await context.store.write(write))


async def unpage(request: web.Request) -> web.Response:
    """`user_id`: an id, `namespace/name` or a username; who is paged may be un-paged also when no longer declared."""
    context, public_id = context_of(request), request.match_info["id"]
    body = await json_object(request, known=frozenset({"user_id"}))
    text = body.get("user_id")
    if not isinstance(text, str):
        raise bad_request("say who", field="user_id")
    program, call = context.live.program, Call(actor=actor_of(request), now=context.now())

    def write(connection: Connection) -> None:
        number = find_group(connection, public_id).number
        paged = [one.responder for one in notes.list_paged(connection, [number])]
        who = text if text in paged else responder_named(program, text, field="user_id")
        paging.unpage(connection, number, who, call)

    await context.store.write(write)
    return web.Response()


def _order(program: Program, body: Mapping[str, Any]) -> _Order:
    """Raises ProblemError (400); alert-flow R-PAG-1, R-PAG-3."""
    team, users, group = body.get("team"), body.get("users"), body.get("alert_group_id")
    if bool(team) == bool(users):
        detail = "page a team or users, not both" if team else "say whom to page: users, or a team"
        raise bad_request(detail, field="users")
    given = [name for name in _WORDS if body.get(name)]
    if group and given:
        raise bad_request("an existing alert group has words of its own", field=given[0])
    if group is not None and not isinstance(group, str):
        raise bad_request("give the id of an alert group", field="alert_group_id")
    important = _flag(body, "important_team_escalation")
    return _Order(
        people=_people(program, users) if users else (),
        team=team_named(program, _text(body, "team", 200), field="team") if team else None,
        important=important,
        group=group or "",
        words=Words(
            title=_text(body, "title", LONGEST_TITLE),
            message=_text(body, "message", LONGEST_TEXT),
            source_url=_text(body, "source_url", 2000),
            important=important,
        ),
        integration=_text(body, "integration", 400),
    )


def _people(program: Program, users: object) -> tuple[Who, ...]:
    if not isinstance(users, list) or len(users) > MOST_PEOPLE:
        raise bad_request(f'a list of up to {MOST_PEOPLE} objects {{"id", "important"}}', field="users")
    found: dict[str, Who] = {}
    for position, user in enumerate(users):
        field = f"users[{position}]"
        if (
            not isinstance(user, dict)
            or not isinstance(user.get("id"), str)
            or set(user) - {"id", "important"}
        ):
            raise bad_request('an object {"id": text, "important": true or false}', field=field)
        responder = responder_named(program, user["id"], field=field)
        found[responder] = Who(responder=responder, important=_flag(user, "important", field=field))
    return tuple(found.values())


def _all_of(program: Program, order: _Order) -> Sequence[Who]:
    """Those named, or everybody of the team: into a group that is there a team is paged person by person."""
    if order.team is None:
        return order.people
    members = program.targets.teams.get(order.team, ())
    if not members:
        raise bad_request(
            "nobody is in this team", field="team", action="name it in spec.teams of a Responder"
        )
    return [Who(responder=key, important=order.important) for key in members]


def _integration(program: Program, order: _Order) -> IntegrationProgram:
    """The Integration that the page comes in through. Raises ProblemError (400)."""
    found = _named(program, order.integration) if order.integration else _fitting(program, order)
    if order.team is not None and not paging.is_contactable(program, found):
        name = f"{found.identity.namespace}/{found.identity.name}"
        raise bad_request(
            f"nobody would be told: no route of Integration {name} leads to a chain or a channel",
            field="team",
            action="give its default route an escalation chain",
        )
    return found


def _fitting(program: Program, order: _Order) -> IntegrationProgram:
    if order.team is not None:
        namespaces, team = [order.team[0]], order.team[1]
    else:
        namespaces, team = sorted({who.responder.partition("/")[0] for who in order.people}), ""
    for namespace in namespaces:
        integration = paging.integration_for(program, namespace, team)
        if integration is not None:
            return integration
    everywhere = {one.namespace for one in program.integrations} if not team else set()
    others = [one for one in (paging.integration_for(program, n, "") for n in everywhere) if one is not None]
    if len(others) == 1:
        return others[0]
    whose = f"of team {team}" if team else "without a team"
    raise bad_request(
        f"there is no Integration of type {paging.TYPE} {whose} in namespace {', '.join(namespaces)}",
        field="integration" if others else "team" if team else "users",
        action="name one in `integration`" if others else "declare one, and lead it to an escalation chain",
    )


def _named(program: Program, text: str) -> IntegrationProgram:
    namespace, _, name = text.rpartition("/")
    found = program.integrations.get(Identity("Integration", namespace or DEFAULT_NAMESPACE, name))
    if found is None or found.fragment.type != paging.TYPE or found.fragment.suspended:
        raise bad_request(f"not an Integration of type {paging.TYPE} that is in force", field="integration")
    return found


def _titled(program: Program, order: _Order, author: str) -> Words:
    if order.words.title:
        return order.words
    responders = program.targets.responders
    called = (
        [f"team {order.team[1]}"]
        if order.team
        else [responders[w.responder].display_name for w in order.people]
    )
    more = f" and {len(called) - 5} more" if len(called) > 5 else ""
    title = f"{author} pages {', '.join(called[:5])}{more}"
    return replace(order.words, title=title)


def _text(body: Mapping[str, Any], name: str, limit: int) -> str:
    value = body.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limit:
        raise bad_request(f"a text of at most {limit} characters", field=name)
    return value


def _flag(body: Mapping[str, Any], name: str, *, field: str = "") -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise bad_request("true or false", field=f"{field}.{name}" if field else name)
    return value
