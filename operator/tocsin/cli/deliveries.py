"""`tocsin deliveries`: what was sent to whom, and what could not be."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import click

from tocsin.cli.client import ApiError, call, output_option, print_json, print_table, shown_time, url_option
from tocsin.cli.page import group_id

ERROR_WIDTH = 60


@click.command("deliveries")
@url_option
@output_option
@click.option("--failed", is_flag=True, help="Only those that could not be delivered.")
@click.option("--pending", is_flag=True, help="Only those that are not sent yet.")
@click.option("--group", metavar="NUMBER|ID", help="Only those about this alert group.")
@click.option("--channel", metavar="NAMESPACE/NAME", help="Only those to this channel.")
@click.option("--retry", is_flag=True, help="Try all that failed (of those shown) again.")
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most."
)
def command(
    url: str,
    output: str,
    group: str | None,
    channel: str | None,
    limit: int,
    *,
    failed: bool,
    pending: bool,
    retry: bool,
) -> None:
    """List deliveries, latest first; or try again what failed."""
    query: list[tuple[str, str]] = [("perpage", str(limit))]
    query += [("state", "failed")] if failed or retry else []
    query += [("state", "pending")] if pending and not retry else []
    query += [("group", group_id(url, group))] if group else []
    query += [("channel", channel)] if channel else []
    found = call("GET", url, f"/api/v1/deliveries?{urlencode(query)}")["results"]
    if retry:
        _retry(url, found)
    elif output == "json":
        print_json(found)
    else:
        head = ("ID", "CREATED", "KIND", "STATE", "TO", "GROUP", "TRIES", "ERROR")
        print_table([head, *(_row(one) for one in found)])


def _retry(url: str, found: list[dict[str, Any]]) -> None:
    refused = 0
    for one in found:
        try:
            call("POST", url, f"/api/v1/deliveries/{one['id']}/retry", {})
        except ApiError as error:
            refused += 1
            click.echo(f"{one['id']}: {error.message}", err=True)
    click.echo(f"{len(found) - refused} of {len(found)} are tried again")
    if refused:
        raise ApiError(f"{refused} of {len(found)} were not")


def _row(one: dict[str, Any]) -> tuple[str, ...]:
    to = one["channel"] or "-"
    if one["responder"]:
        to = f"{one['responder']} by {one['contact'] or to}"
    error = " ".join(one["error"].split())
    return (
        str(one["id"]),
        shown_time(one["created_at"]),
        one["kind"],
        one["state"],
        to,
        one["alert_group_id"] or "-",
        str(one["attempts"]),
        error if len(error) <= ERROR_WIDTH else f"{error[: ERROR_WIDTH - 2]}..",
    )
