"""People as OnCall's API names them: users are Responders, teams are names, chains and schedules are declared objects.

Whoever asks may name a person by public id, by `namespace/name`, or by username.
"""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from tocsin.api import ids
from tocsin.api.common import Identity
from tocsin.console.api.context import Document, answer, bad_request, check_query, context_of, missing
from tocsin.console.api.paging import paged
from tocsin.console.api.shapes import builtins, seconds
from tocsin.dispatch import paging
from tocsin.flow.model import ChainFragment, ResponderFragment, RuleFragment
from tocsin.flow.program import Program
from tocsin.store import identities

Team = tuple[str, str]
"""Namespace and name."""


async def list_users(request: web.Request) -> web.Response:
    """Every Responder; `username` and `team` filter."""
    check_query(request, frozenset({"username", "team", "page", "perpage"}))
    program = context_of(request).live.program
    responders: Iterable[ResponderFragment] = program.targets.responders.values()
    if "username" in request.query:
        responders = [one for one in responders if one.username == request.query["username"]]
    if "team" in request.query:
        namespace, team = team_named(program, request.query["team"], field="team")
        responders = [one for one in responders if one.namespace == namespace and team in one.teams]
    shown = sorted(responders, key=lambda one: (one.username, one.namespace, one.name))
    return answer(paged(request, [_user(one) for one in shown], 100))


async def get_user(request: web.Request) -> web.Response:
    program, wanted = context_of(request).live.program, request.match_info["id"]
    for responder in program.targets.responders.values():
        if user_id(f"{responder.namespace}/{responder.name}") == wanted:
            return answer(_user(responder))
    raise missing(f"user {wanted}")


async def list_teams(request: web.Request) -> web.Response:
    """Every team that some object names. `is_contactable`: it can be paged (alert-flow R-PAG-5)."""
    check_query(request, frozenset({"page", "perpage"}))
    program = context_of(request).live.program
    return answer(paged(request, [_team(program, team) for team in sorted(teams_of(program))]))


async def list_chains(request: web.Request) -> web.Response:
    check_query(request, frozenset({"name", "page", "perpage"}))
    chains = context_of(request).live.program.targets.chains
    name = request.query.get("name")
    shown = [_chain(key, chain) for key, chain in sorted(chains.items()) if name in (None, chain.name)]
    return answer(paged(request, shown))


def user_id(responder: str) -> str:
    """The public id of a Responder, given as `namespace/name`; also of one that is not declared now."""
    namespace, _, name = responder.partition("/")
    return identities.public_id(Identity("Responder", namespace, name))


def person_document(program: Program, responder: str) -> Document:
    """Who that is, in short."""
    known = program.targets.responders.get(responder)
    return {
        "id": user_id(responder),
        "responder": responder,
        "username": None if known is None else known.username,
        "name": None if known is None else known.display_name,
    }


def responder_named(program: Program, text: str, *, field: str) -> str:
    """`namespace/name` of the Responder. Raises ProblemError (400)."""
    responders = program.targets.responders
    if text in responders:
        return text
    found = [key for key, one in responders.items() if one.username == text or user_id(key) == text]
    if len(found) == 1:
        return found[0]
    if found:
        choice = ", ".join(sorted(found)[:5])
        raise bad_request(f"more than one Responder is called {text[:100]!r}", field=field, action=choice)
    raise bad_request(
        f"there is no Responder {text[:100]!r}",
        field=field,
        action="give an id of `users`, namespace/name, or a username",
    )


def teams_of(program: Program) -> set[Team]:
    targets = program.targets
    owners = [
        *((one.fragment.namespace, one.fragment.team) for one in program.integrations.values()),
        *((one.namespace, one.team) for one in targets.chains.values()),
        *((one.namespace, one.team) for one in targets.schedules.values()),
    ]
    return set(targets.teams) | {team for team in owners if team[1]}


def team_named(program: Program, text: str, *, field: str) -> Team:
    """By id, `namespace/team`, or the name alone where there is only one. Raises ProblemError (400)."""
    found = [
        team
        for team in teams_of(program)
        if text in (team[1], f"{team[0]}/{team[1]}", ids.derived_id(ids.TEAM, *team))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        choice = ", ".join(sorted(f"{namespace}/{name}" for namespace, name in found)[:5])
        raise bad_request(f"more than one namespace has a team {text[:100]!r}", field=field, action=choice)
    raise bad_request(f"there is no team {text[:100]!r}", field=field, action="see `teams`")


def _user(responder: ResponderFragment) -> Document:
    """Addresses of contacts are nobody else's business."""
    key = f"{responder.namespace}/{responder.name}"
    return {
        "id": user_id(key),
        "responder": key,
        "email": responder.email or None,
        "slack": None,
        "username": responder.username,
        "name": responder.display_name,
        "role": "user",
        "is_phone_number_verified": False,
        "timezone": responder.time_zone,
        "teams": [ids.derived_id(ids.TEAM, responder.namespace, team) for team in responder.teams],
        "team_names": list(responder.teams),
        "contacts": [{"name": one.name, "channel": one.channel} for one in responder.contacts],
        "rules": {"default": _rules(responder.default), "important": _rules(responder.important)},
    }


def _rules(rules: Iterable[RuleFragment]) -> list[Document]:
    return [{"notify": rule.contact} if rule.contact else {"wait": seconds(rule.wait)} for rule in rules]


def _team(program: Program, team: Team) -> Document:
    integration = paging.integration_for(program, *team)
    members = program.targets.teams.get(team, ())
    return {
        "id": ids.derived_id(ids.TEAM, *team),
        "namespace": team[0],
        "name": team[1],
        "email": None,
        "avatar_url": None,
        "members": [user_id(key) for key in members],
        "integration": None
        if integration is None
        else f"{integration.identity.namespace}/{integration.identity.name}",
        "is_contactable": integration is not None and paging.is_contactable(program, integration),
    }


def _chain(key: str, chain: ChainFragment) -> Document:
    return {
        "id": identities.public_id(chain.identity),
        "name": chain.name,
        "namespace": chain.namespace,
        "resource": key,
        "team_id": ids.derived_id(ids.TEAM, chain.namespace, chain.team) if chain.team else None,
        "team": chain.team,
        "steps": builtins(chain.steps),
        "broken_steps": [{"step": index, "reason": reason} for index, reason in chain.broken],
        "acknowledge_reminder": seconds(chain.remind_every) or None,
        "unacknowledge_after": seconds(chain.unacknowledge_after) or None,
    }
