"""`tocsin send`: post an alert to an integration, from a file, from stdin, or the type's demo."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import click
import orjson

from tocsin.cli.client import ApiError, alerts_url_option, call, print_json, url_option


@click.command("send")
@url_option
@alerts_url_option
@click.argument("integration", metavar="[NAMESPACE/]NAME")
@click.argument("payload", type=click.File("rb"), required=False)
@click.option(
    "--demo",
    is_flag=True,
    help="Send a marked demo alert: it takes the normal route but joins and resolves no group.",
)
def command(url: str, alerts_url: str, integration: str, payload: Any, *, demo: bool) -> None:
    """Send the JSON file PAYLOAD (- is stdin) to an integration, or a demo alert."""
    namespace, _, name = integration.rpartition("/")
    namespace = namespace or "default"
    body = payload.read() if payload else None
    if demo:
        content = _decode(body, payload) if body is not None else None
        print_json(
            call(
                "POST",
                url,
                f"/api/v1/integrations/{namespace}/{name}/demo_alert",
                {"payload": content} if content is not None else {},
            )
        )
        return
    if body is None:
        raise click.UsageError("give a JSON file (or -), or --demo")
    _decode(body, payload)
    endpoints = call("GET", url, f"/api/v1/endpoints?url={(alerts_url or url).rstrip('/')}")
    target = next((e["url"] for e in endpoints if (e["namespace"], e["name"]) == (namespace, name)), None)
    if not target:
        known = ", ".join(f"{e['namespace']}/{e['name']}" for e in endpoints) or "none"
        raise ApiError(f"there is no integration {namespace}/{name} with a URL; known: {known}")
    print_json(asyncio.run(_post(target, body)))


def _decode(body: bytes, source: Any) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ApiError(
            f"{Path(getattr(source, 'name', 'stdin')).name}:{error.lineno}:{error.colno}: not JSON: {error.msg}"
        ) from error


async def _post(target: str, body: bytes) -> Any:
    timeout = aiohttp.ClientTimeout(total=30)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(target, data=body, headers={"Content-Type": "application/json"}) as response,
        ):
            answer = orjson.loads(await response.read())
    except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
        raise ApiError(f"the alert was not taken: {type(error).__name__}") from error
    if response.status >= 400:
        raise ApiError(f"{response.status} {answer.get('detail') or answer.get('title')}")
    return answer
