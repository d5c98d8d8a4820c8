"""`tocsin groups`: the alert groups, newest first."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import click

from tocsin.cli.client import call, output_option, print_json, print_table, shown_time, url_option

TITLE_WIDTH = 60
_STATES = ("firing", "acknowledged", "silenced", "resolved")


@click.command("groups")
@url_option
@output_option
@click.option("--state", type=click.Choice(_STATES), multiple=True, help="Only these states (repeatable).")
@click.option("--integration", metavar="[NAMESPACE/]NAME", help="Only this integration.")
@click.option(
    "--label",
    metavar="KEY:VALUE",
    multiple=True,
    help="Only groups with this label (repeatable: all must match).",
)
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="No more than so many."
)
def command(
    url: str, output: str, state: tuple[str, ...], integration: str | None, label: tuple[str, ...], limit: int
) -> None:
    """List alert groups."""
    query: list[tuple[str, str]] = [
        ("perpage", str(limit)),
        *(("state", s) for s in state),
        *(("label", one) for one in label),
    ]
    if integration:
        query.append(("integration", integration if "/" in integration else f"default/{integration}"))
    page = call("GET", url, f"/api/v1/alert_groups?{urlencode(query)}")
    if output == "json":
        print_json(page["results"])
        return
    rows: list[tuple[str, ...]] = [
        ("#", "STATE", "ALERTS", "INTEGRATION", "ROUTE", "STARTED", "TITLE", "LABELS")
    ]
    rows += [_row(group) for group in page["results"]]
    print_table(rows)


def _row(group: dict[str, Any]) -> tuple[str, ...]:
    labels = ",".join(f"{one['key']['name']}={one['value']['name']}" for one in group["labels"])
    title = " ".join(group["title"].split())
    return (
        str(group["number"]),
        group["state"],
        str(group["alerts_count"]),
        group["integration"],
        group["route"],
        shown_time(group["created_at"]),
        title if len(title) <= TITLE_WIDTH else f"{title[: TITLE_WIDTH - 2]}..",
        labels,
    )
