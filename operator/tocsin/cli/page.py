"""`tocsin page`: tell people or a team of something by hand, with a new alert group or one that is there."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from tocsin.cli.client import ApiError, call, output_option, print_json, url_option


@click.command("page")
@url_option
@output_option
@click.option(
    "--user", "users", multiple=True, metavar="USER", help="Username, NAMESPACE/NAME or id (repeatable)."
)
@click.option("--team", metavar="[NAMESPACE/]TEAM", help="A team, instead of users.")
@click.option(
    "--important", is_flag=True, help="By the important rules; of a team: the important escalation."
)
@click.option("--title", default="", help="What it is about. Default: who pages whom.")
@click.option("--message", default="", help="More about it.")
@click.option("--source-url", default="", help="Where to read on.")
@click.option("--group", metavar="NUMBER|ID", help="Add to this alert group instead of opening one.")
@click.option("--integration", default="", metavar="NAMESPACE/NAME", help="Which direct_paging integration.")
@click.option("--undo", is_flag=True, help="End what these users are still to be told of --group.")
def command(
    url: str,
    output: str,
    users: tuple[str, ...],
    team: str | None,
    group: str | None,
    *,
    important: bool,
    undo: bool,
    **words: str,
) -> None:
    """Page people or a team."""
    if bool(users) == bool(team):
        raise click.UsageError("give --user, or --team")
    if undo:
        _undo(url, users, group)
        return
    body: dict[str, Any] = {name: text for name, text in words.items() if text}
    if team:
        body |= {"team": team, "important_team_escalation": important}
    else:
        body["users"] = [{"id": user, "important": important} for user in users]
    if group:
        body["alert_group_id"] = group_id(url, group)
    found = call("POST", url, "/api/v1/escalation", body)
    if output == "json":
        print_json(found)
        return
    paged = ", ".join(one["username"] or one["responder"] for one in found["paged"]) or f"team {team}"
    click.echo(f"#{found['number']} {found['title']}: {paged}")


def _undo(url: str, users: tuple[str, ...], group: str | None) -> None:
    if not group or not users:
        raise click.UsageError("--undo needs --group and --user")
    public_id = group_id(url, group)
    for user in users:
        call("POST", url, f"/api/v1/alert_groups/{public_id}/unpage", {"user_id": user})


def group_id(url: str, text: str) -> str:
    """The id of an alert group that is given by id or number. Raises ApiError."""
    number = text.removeprefix("#")
    if not (number.isascii() and number.isdigit()):
        return quote(text, safe="")
    found = call("GET", url, f"/api/v1/alert_groups?search=%23{number}&perpage=1000")["results"]
    match = [group["id"] for group in found if group["number"] == int(number)]
    if not match:
        raise ApiError(f"there is no alert group #{number}")
    return str(match[0])
