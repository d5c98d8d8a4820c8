"""`tocsin run`: all roles in one process, on a folder of manifests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import orjson
import uvloop

from tocsin.cli.options import (
    DEFAULT_DATABASE,
    FILE,
    HostPort,
    key_ring,
    receiver_options,
    receiver_settings,
    setting,
)
from tocsin.cli.service import Service, ServiceOptions
from tocsin.console.api import parse_tokens
from tocsin.sources import load_types
from tocsin.store.endpoints import EndpointUrls
from tocsin.store.errors import StoreError
from tocsin.telemetry import LogFormat, Telemetry


@click.command("run")
@click.argument(
    "roots", nargs=-1, required=True, metavar="DIR|FILE...", type=click.Path(exists=True, path_type=Path)
)
@setting(
    "--listen",
    type=HostPort(),
    default="127.0.0.1:8080",
    help="Where alerts are received; answers API, health and metrics too.",
)
@setting("--console-listen", type=HostPort(), help="A further address for the API alone.")
@setting("--health-listen", type=HostPort(), help="A further address for health and metrics alone.")
@setting(
    "--database",
    metavar="URL",
    default=DEFAULT_DATABASE,
    help="sqlite:///path or postgresql://user:password@host/name.",
)
@setting("--api-tokens", type=FILE, help="File of API tokens, a line each: NAME read[,act] TOKEN.")
@setting("--log-format", type=click.Choice(["text", "json"]), default="text")
@setting("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info")
@receiver_options
def command(
    *,
    roots: tuple[Path, ...],
    database: str,
    api_tokens: Path | None,
    log_format: LogFormat,
    log_level: str,
    **given: Any,
) -> None:
    """Run Tocsin on a folder of manifests. Changes of the folder are live within a second."""
    settings, tls = receiver_settings(given)
    try:
        tokens = parse_tokens(api_tokens.read_text()) if api_tokens else ()
    except ValueError as error:
        raise click.ClickException(f"{api_tokens}: {error}") from None
    options = ServiceOptions(
        roots=roots,
        database=database,
        keys=key_ring(database),
        api_tokens=tokens,
        settings=settings,
        tls=tls,
        **given,
    )
    telemetry = Telemetry.create(level=log_level, log_format=log_format)
    # What start-up makes lives as long as the process: the collector need not look at it again.
    gc.freeze()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(Service(options, telemetry).run(announce))
    except (StoreError, OSError) as error:
        raise click.ClickException(str(error)) from None


def announce(endpoints: Sequence[EndpointUrls]) -> None:
    """Prints each URL with a line to try it."""
    types = load_types()
    for endpoint in endpoints:
        click.echo(f"\n{endpoint.namespace}/{endpoint.name} ({endpoint.type})")
        if not endpoint.url:
            click.echo("  takes no alerts by URL")
            continue
        click.echo(f"  {endpoint.url}")
        if "://" not in endpoint.url:
            continue  # a mail address
        example = orjson.dumps(types[endpoint.type].example).decode().replace("'", "'\\''")
        click.echo(f"  try: curl -s -H 'Content-Type: application/json' -d '{example}' {endpoint.url}")
        if endpoint.heartbeat_url:
            click.echo(f"  heartbeat: curl -s -X POST {endpoint.heartbeat_url}")
    click.echo("\nReady. `tocsin groups` lists alert groups; Ctrl-C ends.")
