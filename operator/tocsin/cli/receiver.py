"""`tocsin receiver`: take alerts, and nothing else. It knows the store only, and holds no API token."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli.options import HostPort, key_ring, receiver_options, receiver_settings, setting
from tocsin.cli.process import database_option, log_options, make_telemetry, run_service
from tocsin.cli.service import ServiceOptions


@click.command("receiver")
@setting(
    "--listen", type=HostPort(), default="127.0.0.1:8080", help="Alerts; answers health and metrics too."
)
@setting("--health-listen", type=HostPort(), help="A further address for health and metrics alone.")
@database_option
@log_options
@receiver_options
def command(
    *, listen: tuple[str, int], health_listen: tuple[str, int] | None, database: str, **given: Any
) -> None:
    """Receive alerts. Any number of them may share one PostgreSQL."""
    telemetry = make_telemetry(given)
    settings, tls = receiver_settings(given)
    options = ServiceOptions(
        role="receiver",
        database=database,
        keys=key_ring(database),
        listen=listen,
        health_listen=health_listen,
        settings=settings,
        tls=tls,
    )
    run_service(options, telemetry)
