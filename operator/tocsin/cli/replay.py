"""`tocsin replay`: what came to a deleted or suspended Integration, or could not be stored, taken in as alerts of now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from tocsin.cli.client import ApiError, call, output_option, print_json, print_table, shown_time, url_option

_PAGE = 200


@click.command("replay")
@url_option
@output_option
@click.argument("numbers", nargs=-1, type=click.IntRange(min=1), metavar="[NUMBER...]")
@click.option("--integration", metavar="[NAMESPACE/]NAME", help="All that came to this integration.")
@click.option("--all", "everything", is_flag=True, help="All of them.")
def command(
    url: str, output: str, numbers: tuple[int, ...], integration: str | None, *, everything: bool
) -> None:
    """Take dead letters in as alerts of now, oldest first, and remove them. Without arguments: list them."""
    if sum(map(bool, (numbers, integration, everything))) > 1:
        raise click.UsageError("give numbers, or --integration, or --all")
    if numbers:
        _replay(url, output, numbers)
        return
    name = integration if not integration or "/" in integration else f"default/{integration}"
    letters = [one for one in _letters(url) if not name or one["integration"] == name]
    if name or everything:
        _replay(url, output, tuple(one["id"] for one in letters))
    else:
        _show(output, letters)


def _letters(url: str) -> list[dict[str, Any]]:
    """Oldest first."""
    return sorted(_pages(url), key=lambda one: int(one["id"]))


def _pages(url: str) -> Iterator[dict[str, Any]]:
    cursor = ""
    while True:
        page = call("GET", url, f"/api/v1/dead_letters?perpage={_PAGE}&cursor={cursor}")
        yield from page["results"]
        if not page["next"]:
            return
        cursor = page["next"].rpartition("cursor=")[2].partition("&")[0]


def _replay(url: str, output: str, numbers: tuple[int, ...]) -> None:
    """One after another, so that each alert meets the groups that the ones before it have opened."""
    failed = 0
    results: list[dict[str, Any]] = []
    for number in numbers:
        try:
            stored = call("POST", url, f"/api/v1/dead_letters/{number}/replay", {})
            results.append({"id": number, "alerts": stored})
            said = ", ".join(f"alert {one['alert_id']} of group {one['alert_group_id']}" for one in stored)
        except ApiError as error:
            failed += 1
            said = error.message
            results.append({"id": number, "error": said})
        if output == "table":
            click.echo(f"{number}: {said}")
    if output == "json":
        print_json(results)
    if failed:
        raise ApiError(f"{failed} of {len(numbers)} were not taken; they are kept")


def _show(output: str, letters: list[dict[str, Any]]) -> None:
    if output == "json":
        print_json(letters)
        return
    rows = [("#", "RECEIVED", "INTEGRATION", "BYTES", "REASON")]
    rows += [
        (
            str(one["id"]),
            shown_time(one["received_at"]),
            one["integration"] or "-",
            str(one["size"]),
            one["reason"],
        )
        for one in letters
    ]
    print_table(rows)
