"""`tocsin dispatcher`: run timers, windows, heartbeats and escalations, send messages, and nothing else."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli.options import (
    HostPort,
    allow_outgoing,
    key_ring,
    sending_options,
    sending_settings,
    setting,
)
from tocsin.cli.process import database_option, log_options, make_telemetry, run_service
from tocsin.cli.service import ServiceOptions
from tocsin.receive.settings import Settings


@click.command("dispatcher")
@setting("--health-listen", type=HostPort(), default="127.0.0.1:8082", help="Health and metrics.")
@setting("--metrics-bearer", default="", help="Bearer token that /metrics asks for.")
@database_option
@log_options
@allow_outgoing
@sending_options
def command(
    *,
    health_listen: tuple[str, int],
    metrics_bearer: str,
    database: str,
    outgoing_allowed: tuple[str, ...],
    **given: Any,
) -> None:
    """Run everything that time brings, and send messages. Any number of them may share one PostgreSQL."""
    telemetry = make_telemetry(given)
    options = ServiceOptions(
        role="dispatcher",
        database=database,
        keys=key_ring(database),
        listen=None,
        health_listen=health_listen,
        settings=Settings(metrics_bearer=metrics_bearer),
        sending=sending_settings(given, outgoing_allowed),
    )
    run_service(options, telemetry)
