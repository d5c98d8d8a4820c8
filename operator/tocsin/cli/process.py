"""What every long-running command has in common: its database, its log, its event loop."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import uvloop

from tocsin.cli.options import DEFAULT_DATABASE, setting
from tocsin.cli.service import Service, ServiceOptions
from tocsin.console.api import ApiToken, parse_tokens
from tocsin.store.endpoints import EndpointUrls
from tocsin.store.errors import StoreError
from tocsin.telemetry import Telemetry, standard_handler

_NEW_OBJECTS = 20_000
"""Objects more than at its last run, at which the collector looks at the young ones."""

F = TypeVar("F", bound=Callable[..., Any])

database_option = setting(
    "--database",
    metavar="URL",
    default=DEFAULT_DATABASE,
    help="sqlite:///path or postgresql://user:password@host/name.",
)

_LOG = (
    setting(
        "--log-format", type=click.Choice(["text", "json"]), default="text", help="Shape of lines on stderr."
    ),
    setting(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="info",
        help="The least that is logged.",
    ),
)


def log_options(command: F) -> F:
    """`make_telemetry` reads them."""
    for option in reversed(_LOG):
        command = option(command)
    return command


def make_telemetry(given: dict[str, Any]) -> Telemetry:
    """Takes the log's options out of `given`."""
    log_format = given.pop("log_format")
    telemetry = Telemetry.create(level=given.pop("log_level"), log_format=log_format)
    # What libraries say beside our own log: few warnings, in the same shape and without secrets.
    logging.getLogger().handlers[:] = [standard_handler(log_format)]
    return telemetry


def read_tokens(path: Path | None) -> tuple[ApiToken, ...]:
    """The API tokens of a file. Raises ClickException."""
    try:
        return parse_tokens(path.read_text()) if path else ()
    except ValueError as error:
        raise click.ClickException(f"{path}: {error}") from None


def say_nothing(_endpoints: Sequence[EndpointUrls]) -> None:
    """For processes that nobody watches start."""


def run_service(
    options: ServiceOptions,
    telemetry: Telemetry,
    announce: Callable[[Sequence[EndpointUrls]], None] = say_nothing,
) -> None:
    """Runs until SIGTERM or SIGINT. Raises ClickException with one line if it cannot start."""
    # What start-up makes lives as long as the process: the collector need not look at it again. Requests leave no
    # cycles behind, but dozens in flight look like growth to it: by default it would run every few requests.
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 10, 10)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Service(options, telemetry).run(announce))
    except (StoreError, OSError) as error:
        raise click.ClickException(str(error)) from None
