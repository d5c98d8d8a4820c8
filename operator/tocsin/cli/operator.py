"""`tocsin operator`: follow a cluster and publish, beside receivers and dispatchers on PostgreSQL."""

from __future__ import annotations

from typing import Any

import click

from tocsin.cli.admission import admission_options, read_admission
from tocsin.cli.cluster import cluster_keys, cluster_options, keys_option, operator_options
from tocsin.cli.options import HostPort, setting
from tocsin.cli.process import database_option, log_options, make_telemetry, run_service
from tocsin.cli.service import ServiceOptions
from tocsin.receive.settings import Settings


@click.command("operator")
@setting("--health-listen", type=HostPort(), default="127.0.0.1:8082", help="Health and metrics.")
@setting("--metrics-bearer", default="", help="Bearer token that /metrics asks for.")
@database_option
@keys_option
@cluster_options
@admission_options
@log_options
def command(
    *,
    health_listen: tuple[str, int],
    metrics_bearer: str,
    database: str,
    keys_secret: str,
    **given: Any,
) -> None:
    """Follow a Kubernetes cluster and publish its flow into the store. Several replicas elect a leader."""
    telemetry = make_telemetry(given)
    options = ServiceOptions(
        role="operator",
        cluster=operator_options(given, database),
        admission=read_admission(given),
        database=database,
        keys=cluster_keys(database, keys_secret, telemetry),
        listen=None,
        health_listen=health_listen,
        settings=Settings(metrics_bearer=metrics_bearer),
    )
    run_service(options, telemetry)
