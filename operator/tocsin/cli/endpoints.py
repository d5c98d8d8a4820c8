"""`tocsin endpoints`: where senders post to."""

from __future__ import annotations

import click

from tocsin.cli.client import alerts_url_option, call, output_option, print_json, url_option


@click.command("endpoints")
@url_option
@alerts_url_option
@output_option
def command(url: str, alerts_url: str, output: str) -> None:
    """List each integration's alert and heartbeat URL. The URLs hold tokens: treat them as credentials."""
    endpoints = call("GET", url, f"/api/v1/endpoints?url={(alerts_url or url).rstrip('/')}")
    if output == "json":
        print_json(endpoints)
        return
    width = max((len(f"{e['namespace']}/{e['name']}") for e in endpoints), default=0)
    for endpoint in endpoints:
        name = f"{endpoint['namespace']}/{endpoint['name']}"
        click.echo(f"{name:<{width}}  {endpoint['type']:<18}  {endpoint['url'] or '-'}")
        if endpoint["heartbeat_url"]:
            click.echo(f"{'':<{width}}  {'heartbeat':<18}  {endpoint['heartbeat_url']}")
