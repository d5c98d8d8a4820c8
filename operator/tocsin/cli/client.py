"""The REST API as the commands use it: one request, one answer, errors in one line that says what to do."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from typing import Any

import aiohttp
import click
import orjson

DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT = aiohttp.ClientTimeout(total=30)

url_option = click.option(
    "--url",
    default=DEFAULT_URL,
    show_default=True,
    metavar="BASE",
    envvar="TOCSIN_URL",
    help="Where Tocsin listens; printed URLs begin with it.",
)
alerts_url_option = click.option(
    "--alerts-url",
    default="",
    metavar="BASE",
    envvar="TOCSIN_ALERTS_URL",
    help="Where senders reach Tocsin, if not at --url.",
)
output_option = click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="Output format.",
)


class ApiError(click.ClickException):
    """The API could not be asked or refused; printed in one line, exit code 1."""


def call(method: str, base: str, path: str, body: Any = None) -> Any:
    """One exchange with the API at `base`; returns the decoded JSON answer (None if empty).

    The bearer token is `TOCSIN_API_TOKEN`, if set. Raises ApiError.
    """
    return asyncio.run(_call(method, base.rstrip("/") + path, body))


async def _call(method: str, url: str, body: Any) -> Any:
    headers = {"Accept": "application/json"}
    token = os.environ.get("TOCSIN_API_TOKEN", "")
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None or method != "GET":
        headers["Content-Type"] = "application/json"
    data = None if body is None else orjson.dumps(body)
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.request(method, url, data=data, headers=headers) as response,
        ):
            answer = await response.read()
            if response.status >= 400:
                raise ApiError(f"{method} {response.url.path}: {response.status} {_reason(answer)}")
            return orjson.loads(answer) if answer else None
    except (aiohttp.ClientError, TimeoutError) as error:
        raise ApiError(
            f"no Tocsin answers at {url.partition('/api/')[0]} ({type(error).__name__}): start one with `tocsin run DIR`, or give --url"
        ) from error
    except orjson.JSONDecodeError as error:
        raise ApiError(f"{url} answered something that is not JSON: is --url right?") from error


def _reason(answer: bytes) -> str:
    try:
        problem = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return answer[:200].decode("utf-8", "replace")
    if not isinstance(problem, dict):
        return str(problem)[:200]
    return str(problem.get("detail") or problem.get("title") or "")[:500]


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Columns as wide as their longest text; the first row is the head."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        click.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def shown_time(text: str | None) -> str:
    """A time of the API to the second; `-` for none."""
    return f"{text[:19]}Z" if text else "-"


def print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
