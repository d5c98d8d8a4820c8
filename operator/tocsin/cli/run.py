"""`tocsin run`: all roles in one process, on a folder of manifests or on a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import orjson

from tocsin.cli.admission import admission_options, read_admission
from tocsin.cli.cluster import cluster_keys, cluster_options, keys_option, operator_options
from tocsin.cli.options import (
    FILE,
    HostPort,
    receiver_options,
    receiver_settings,
    sending_options,
    sending_settings,
    setting,
)
from tocsin.cli.process import database_option, log_options, make_telemetry, read_tokens, run_service
from tocsin.cli.service import ServiceOptions
from tocsin.sources import load_types
from tocsin.store.endpoints import EndpointUrls


@click.command("run")
@click.argument("roots", nargs=-1, metavar="[DIR|FILE...]", type=click.Path(exists=True, path_type=Path))
@click.option("--kubernetes", is_flag=True, help="Follow a cluster instead of a folder.")
@setting(
    "--listen",
    type=HostPort(),
    default="127.0.0.1:8080",
    help="Where alerts are received; answers API, health and metrics too.",
)
@setting("--console-listen", type=HostPort(), help="An address for the API, which then answers there alone.")
@setting("--health-listen", type=HostPort(), help="A further address for health and metrics alone.")
@database_option
@setting("--api-tokens", type=FILE, help="File of API tokens, a line each: NAME read[,act] TOKEN.")
@log_options
@receiver_options
@sending_options
@keys_option
@cluster_options
@admission_options
def command(
    *,
    roots: tuple[Path, ...],
    kubernetes: bool,
    database: str,
    api_tokens: Path | None,
    keys_secret: str,
    **given: Any,
) -> None:
    """Run Tocsin on a folder of manifests, or on a Kubernetes cluster. Changes are live within a second."""
    if kubernetes == bool(roots):
        raise click.UsageError("name a folder of manifests, or say --kubernetes to follow a cluster")
    telemetry = make_telemetry(given)
    settings, tls = receiver_settings(given)
    cluster = operator_options(given, database, wanted=kubernetes)
    admission = read_admission(given, wanted=kubernetes)
    options = ServiceOptions(
        roots=roots,
        cluster=cluster,
        admission=admission,
        database=database,
        keys=cluster_keys(database, keys_secret if kubernetes else "", telemetry),
        api_tokens=read_tokens(api_tokens),
        settings=settings,
        sending=sending_settings(given, settings.outgoing_allowed),
        tls=tls,
        **given,
    )
    if cluster is not None and not cluster.bases.internal and options.listen is not None:
        internal = replace(cluster.bases, internal=f"{options.base}:{options.listen[1]}")
        options = replace(options, cluster=replace(cluster, bases=internal))
    run_service(options, telemetry, announce)


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
