"""`tocsin run`: all roles in one process, on a folder of manifests."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Sequence
from pathlib import Path

import click
import orjson
import uvloop

from tocsin.cli.options import DEFAULT_DATABASE, HostPort, key_ring
from tocsin.cli.service import Service, ServiceOptions
from tocsin.console.api import parse_tokens
from tocsin.receive.settings import MIB, Settings
from tocsin.receive.tls import Tls
from tocsin.sources import load_types
from tocsin.store.endpoints import EndpointUrls
from tocsin.store.errors import StoreError
from tocsin.telemetry import Telemetry

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command("run")
@click.argument(
    "roots", nargs=-1, required=True, metavar="DIR|FILE...", type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--listen",
    type=HostPort(),
    default="127.0.0.1:8080",
    show_default=True,
    help="Where alerts are received; answers API, health and metrics too.",
)
@click.option("--console-listen", type=HostPort(), help="A further address for the API alone.")
@click.option("--health-listen", type=HostPort(), help="A further address for health and metrics alone.")
@click.option(
    "--database",
    metavar="URL",
    default=DEFAULT_DATABASE,
    show_default=True,
    help="sqlite:///path or postgresql://user:password@host/name.",
)
@click.option("--api-tokens", type=_FILE, help="File of API tokens, a line each: NAME read[,act] TOKEN.")
@click.option(
    "--body-limit",
    type=click.IntRange(1, 1024),
    default=16,
    show_default=True,
    metavar="MIB",
    help="Largest body of an alert, in MiB.",
)
@click.option("--tls-certificate", type=_FILE, help="PEM certificate chain; reloaded when it changes.")
@click.option("--tls-key", type=_FILE, help="PEM key of the certificate.")
@click.option(
    "--tls-client-ca", type=_FILE, help="PEM bundle: senders must show a certificate that it signed."
)
@click.option("--metrics-bearer", default="", help="Bearer token that /metrics asks for.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option("--access-log", is_flag=True, help="Log every request, by integration, never by path.")
def command(
    *,
    roots: tuple[Path, ...],
    listen: tuple[str, int],
    console_listen: tuple[str, int] | None,
    health_listen: tuple[str, int] | None,
    database: str,
    api_tokens: Path | None,
    body_limit: int,
    tls_certificate: Path | None,
    tls_key: Path | None,
    tls_client_ca: Path | None,
    metrics_bearer: str,
    log_format: str,
    log_level: str,
    access_log: bool,
) -> None:
    """Run Tocsin on a folder of manifests. Changes of the folder are live within a second."""
    if (tls_certificate is None) != (tls_key is None):
        raise click.UsageError("--tls-certificate and --tls-key go together")
    try:
        tokens = parse_tokens(api_tokens.read_text()) if api_tokens else ()
    except ValueError as error:
        raise click.ClickException(f"{api_tokens}: {error}") from None
    tls = None
    if tls_certificate is not None and tls_key is not None:
        tls = Tls(certificate=tls_certificate, key=tls_key, client_ca=tls_client_ca)
    options = ServiceOptions(
        roots=roots,
        database=database,
        keys=key_ring(database),
        listen=listen,
        console_listen=console_listen,
        health_listen=health_listen,
        api_tokens=tokens,
        settings=Settings(body_limit=body_limit * MIB, metrics_bearer=metrics_bearer, access_log=access_log),
        tls=tls,
    )
    telemetry = Telemetry.create(level=log_level, log_format="json" if log_format == "json" else "text")
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
        example = orjson.dumps(types[endpoint.type].example).decode().replace("'", "'\\''")
        click.echo(f"  try: curl -s -H 'Content-Type: application/json' -d '{example}' {endpoint.url}")
        if endpoint.heartbeat_url:
            click.echo(f"  heartbeat: curl -s -X POST {endpoint.heartbeat_url}")
    click.echo("\nReady. `tocsin groups` lists alert groups; Ctrl-C ends.")
