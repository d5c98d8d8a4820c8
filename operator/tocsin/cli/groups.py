"""`tocsin groups`: the alert groups, newest first."""

from __future__ import annotations

from urllib.parse import urlencode

import click
from rich.console import Console
from rich.table import Table

from tocsin.cli.client import call, output_option, print_json, url_option

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
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
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
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("#", "STATE", "ALERTS", "INTEGRATION", "ROUTE", "STARTED", "TITLE", "LABELS"):
        table.add_column(column, overflow="fold")
    for group in page["results"]:
        labels = ", ".join(f"{one['key']['name']}={one['value']['name']}" for one in group["labels"])
        table.add_row(
            str(group.get("number", "")),
            group["state"],
            str(group["alerts_count"]),
            group.get("integration", ""),
            group.get("route", ""),
            group["created_at"],
            group["title"],
            labels,
        )
    # rich must not read brackets of alert titles as markup.
    Console(markup=False, highlight=False).print(table)
