"""`tocsin console`: answer people and their tools, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tocsin.cli.options import (
    FILE,
    HostPort,
    answering_options,
    key_ring,
    sending_settings,
    setting,
)
from tocsin.cli.process import database_option, log_options, make_telemetry, read_tokens, run_service
from tocsin.cli.service import ServiceOptions
from tocsin.receive.settings import Settings


@click.command("console")
@setting(
    "--console-listen",
    type=HostPort(),
    default="127.0.0.1:8081",
    help="The API; answers health and metrics too.",
)
@setting("--health-listen", type=HostPort(), help="A further address for health and metrics alone.")
@setting("--api-tokens", type=FILE, help="File of API tokens, a line each: NAME read[,act] TOKEN.")
@setting("--metrics-bearer", default="", help="Bearer token that /metrics asks for.")
@setting("--email-domain", default="", help="Mails to <token>@DOMAIN are alerts.")
@answering_options
@database_option
@log_options
def command(
    *,
    console_listen: tuple[str, int],
    health_listen: tuple[str, int] | None,
    api_tokens: Path | None,
    database: str,
    outgoing_allowed: tuple[str, ...],
    **given: Any,
) -> None:
    """Serve the API, and what people press in chats. Any number of them may share one PostgreSQL."""
    telemetry = make_telemetry(given)
    sending = sending_settings(given, outgoing_allowed)
    options = ServiceOptions(
        role="console",
        database=database,
        keys=key_ring(database),
        listen=None,
        console_listen=console_listen,
        health_listen=health_listen,
        api_tokens=read_tokens(api_tokens),
        settings=Settings(**given),
        sending=sending,
    )
    run_service(options, telemetry)
