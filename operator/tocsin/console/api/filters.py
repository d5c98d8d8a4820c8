"""The filters of the list of alert groups (alert-flow R-API-15, R-LBL-18). What cannot be understood is refused."""

from __future__ import annotations

import msgspec
from aiohttp import web
from sqlalchemy import Connection

from tocsin.api.common import DEFAULT_NAMESPACE, Identity
from tocsin.console.api.context import bad_request
from tocsin.console.api.shapes import parse_moment
from tocsin.flow.groups import State
from tocsin.flow.model import Micros
from tocsin.store import identities
from tocsin.store.groups import GroupFilter

KNOWN = frozenset(
    {
        "id",
        "route_id",
        "route",
        "integration_id",
        "integration",
        "state",
        "label",
        "started_at",
        "search",
        "is_root",
        "page",
        "perpage",
        "cursor",
    }
)

STATES = {**{state.value: state for state in State}, "new": State.FIRING}
"""`new` is what OnCall's API calls firing in filters (alert-flow R-AGS-1)."""


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """Filters as asked for. Public ids are looked up later, in the transaction that lists."""

    filter: GroupFilter
    group_id: str = ""
    integration_id: str = ""
    route_id: str = ""


def parse_filters(request: web.Request) -> Asked:
    """Raises ProblemError (400) naming the parameter."""
    query = request.query
    started_from, started_to = _range(query.get("started_at", ""))
    return Asked(
        filter=GroupFilter(
            states=tuple(_state(text) for text in query.getall("state", [])),
            integration=_integration(query.get("integration", "")),
            route=query.get("route") or None,
            labels=tuple(_label(text) for text in query.getall("label", [])),
            started_from=started_from,
            started_to=started_to,
            text=query.get("search", ""),
            roots_only=_flag(query.get("is_root", ""), "is_root"),
        ),
        group_id=query.get("id", ""),
        integration_id=query.get("integration_id", ""),
        route_id=query.get("route_id", ""),
    )


def resolve(connection: Connection, asked: Asked) -> GroupFilter | None:
    """The filter with public ids looked up; None if one of them is unknown, so that nothing can match."""
    wanted = asked.filter
    if asked.integration_id:
        found = identities.by_public_id(connection, asked.integration_id)
        if found is None or wanted.integration not in (None, found):
            return None
        wanted = msgspec.structs.replace(wanted, integration=found)
    if asked.route_id:
        found = identities.by_public_id(connection, asked.route_id)
        if found is None or found.kind != identities.ROUTE:
            return None
        name = identities.route_name(found)
        if wanted.route not in (None, name):
            return None
        wanted = msgspec.structs.replace(wanted, route=name)
    return wanted


def _state(text: str) -> State:
    if text not in STATES:
        raise bad_request(
            f"unknown state {text[:40]!r}", field="state", action=f"known: {', '.join(sorted(STATES))}"
        )
    return STATES[text]


def _integration(text: str) -> Identity | None:
    if not text:
        return None
    namespace, _, name = text.rpartition("/")
    if not name or "/" in namespace:
        raise bad_request("an Integration is named namespace/name", field="integration")
    return Identity("Integration", namespace or DEFAULT_NAMESPACE, name)


def _label(text: str) -> tuple[str, str]:
    """The first colon ends the key; the value may hold more of them (not as alert-flow S-34)."""
    key, colon, value = text.partition(":")
    if not colon or not key:
        raise bad_request("a label is given as key:value", field="label")
    return key, value


def _range(text: str) -> tuple[Micros | None, Micros | None]:
    if not text:
        return None, None
    start, separator, end = text.partition("_")
    hint = "write two UTC times as 2026-07-01T00:00:00_2026-07-02T00:00:00"
    try:
        found = parse_moment(start), parse_moment(end)
    except ValueError:
        raise bad_request("the range cannot be read", field="started_at", action=hint) from None
    if not separator or found[0] >= found[1]:
        raise bad_request("the range ends before it begins", field="started_at", action=hint)
    return found


def _flag(text: str, name: str) -> bool:
    if text not in ("", "true", "false"):
        raise bad_request("write true or false", field=name)
    return text == "true"
