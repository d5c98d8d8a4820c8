"""A world with chats: declared channels, people and Secrets, and requests as the chats send them."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web
from asking import Api, Reply
from dispatching import KEYS, TYPES, integration, obj

from tocsin.api.objects import parse_object
from tocsin.flow.compiler import compile_flow
from tocsin.flow.inventory import Inventory
from tocsin.flow.program import link
from tocsin.notify import buttons
from tocsin.store import credentials, revisions

SLACK = {
    "tokenSecretRef": {"name": "slack", "key": "token"},
    "signingSecretRef": {"name": "slack", "key": "signing"},
}
SECRETS = {
    ("slack", "token"): "xoxb-1",
    ("slack", "signing"): "signing-secret",
    ("evil", "token"): "xoxb-2",
    ("evil", "signing"): "evil-secret",
    ("telegram", "token"): "1:bot",
    ("telegram", "webhook"): "hook-secret",
    ("mattermost", "token"): "mm",
    ("person", "id"): "U0CAROL8\n",
}


def channel(name: str, **target: Any) -> dict:
    return obj("NotificationChannel", name, **target)


def person(name: str, *contacts: tuple[str, str | dict], **spec: Any) -> dict:
    """Contacts as (channel, address or Secret reference)."""
    made = [
        {
            "name": f"c{n}",
            "channelRef": {"name": where},
            **({"address": what} if isinstance(what, str) else {"addressSecretRef": what}),
        }
        for n, (where, what) in enumerate(contacts)
    ]
    return obj("Responder", name, username=name, contacts=made, **spec)


WORLD = (
    integration(),
    channel("ops", slack={**SLACK, "channel": "#ops"}),
    channel("direct", slack=SLACK),
    channel(
        "evil",
        slack={
            "tokenSecretRef": {"name": "evil", "key": "token"},
            "signingSecretRef": {"name": "evil", "key": "signing"},
        },
    ),
    channel(
        "bot",
        telegram={
            "tokenSecretRef": {"name": "telegram", "key": "token"},
            "webhookSecretRef": {"name": "telegram", "key": "webhook"},
        },
    ),
    channel(
        "town",
        mattermost={
            "serverUrl": "https://mm.example",
            "tokenSecretRef": {"name": "mattermost", "key": "token"},
        },
    ),
    person("alice", ("direct", "U0ALICE7"), ("bot", "4711"), ("town", "a" * 26)),
    person("carol", ("ops", {"name": "person", "key": "id"})),
    person("mallory", ("evil", "U0MALLORY")),
)


async def declare(a: Api, *objects: dict, secrets: Mapping[tuple[str, str], str] = SECRETS) -> None:
    """What an operator publishes: the flow and the credentials that it needs."""
    inventory = Inventory.of([parse_object(one) for one in objects])
    for holder in {name for name, _ in secrets}:
        digests = {
            key: KEYS.digest(value.encode()) for (name, key), value in secrets.items() if name == holder
        }
        inventory = inventory.with_secret("default", holder, digests)
    flow = compile_flow(inventory, types=TYPES, now=a.world.now).flow
    stored = {
        ("default", name, key): (KEYS.digest(value.encode()), value.encode())
        for (name, key), value in secrets.items()
    }

    def write(connection: Any) -> None:
        revisions.publish(connection, flow, 1)
        credentials.put_secrets(connection, KEYS, stored, a.world.now)

    await a.world.store.write(write)
    a.world.live.program = link(flow, types=TYPES, previous=a.world.live.program)


def button(a: Api, name: str, public_id: str) -> str:
    """What a button in a message of this channel carries."""
    fragment = a.world.live.program.targets.channels[f"default/{name}"]
    return f"{public_id}.{buttons.mark(KEYS, fragment.type, buttons.app_of(fragment), public_id)}"


async def log_of(a: Api, public_id: str) -> list[tuple[str, str, Any]]:
    """Kind, author and way of each entry."""
    shown = (await a.get(f"/alert_groups/{public_id}/log"))["results"]
    return [(entry["action"], entry["author"], entry["action_source"]) for entry in shown]


class Replies:
    """The URL at which Slack takes words for the person who pressed."""

    def __init__(self) -> None:
        self.got: asyncio.Queue[Any] = asyncio.Queue()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.got.put_nowait(await request.json())
        return web.Response(text="ok")

    async def next(self) -> str:
        said = await asyncio.wait_for(self.got.get(), 10)
        assert (said["response_type"], said["replace_original"]) == ("ephemeral", False)
        return said["text"]


def pressed(action: str, value: str, user: str = "U0ALICE7", url: str = "") -> dict[str, Any]:
    """Slack's payload of a press."""
    element: dict[str, Any] = {"action_id": action, "type": "button", "value": value}
    if action == "silence":
        element = {"action_id": action, "type": "static_select", "selected_option": {"value": value}}
    return {"type": "block_actions", "user": {"id": user}, "actions": [element], "response_url": url}


async def slack(
    a: Api,
    payload: Any,
    *,
    to: str = "ops",
    secret: str = "signing-secret",
    at: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Signed as Slack signs it."""
    body = urlencode({"payload": json.dumps(payload)}).encode()
    moment = str(a.world.now // 1_000_000 if at is None else at)
    signed = hmac.new(secret.encode(), f"v0:{moment}:".encode() + body, hashlib.sha256).hexdigest()
    sent = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Slack-Request-Timestamp": moment,
        "X-Slack-Signature": f"v0={signed}",
        **(headers or {}),
    }
    return await a.ask("POST", str(a.server.make_url(f"/chat/slack/default/{to}")), raw=body, headers=sent)


async def chat(a: Api, kind: str, name: str, body: Any, **headers: str) -> Reply:
    url = str(a.server.make_url(f"/chat/{kind}/default/{name}"))
    return await a.ask("POST", url, body, headers=headers)
