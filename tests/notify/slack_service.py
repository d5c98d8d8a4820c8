"""A server with the limits and errors of Slack's public documentation (https://docs.slack.dev)."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from vendors import Received, Service

from tocsin.api.common import KeyRef
from tocsin.api.notificationchannel import ChannelTarget, SlackChannel

TOKEN = "xoxb-1-secret-token"
SECRETS = {"slack.tokenSecretRef": TOKEN, "slack.signingSecretRef": "shhh"}


class SlackService(Service):
    """chat.postMessage and chat.update with the rules of https://docs.slack.dev."""

    def __init__(self) -> None:
        super().__init__()
        self.posts: dict[str, dict[str, Any]] = {}
        self.broken_images: set[str] = set()

    def answer(self, got: Received) -> web.Response:
        return web.json_response(self._answer(got))

    def _answer(self, got: Received) -> dict[str, Any]:
        if got.headers.get("Authorization") != f"Bearer {TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        if got.headers["Content-Type"] != "application/json; charset=utf-8":
            return {"ok": False, "error": "invalid_post_type"}
        sent = got.json
        if not sent.get("text"):
            return {"ok": False, "error": "no_text"}
        if len(sent["text"]) > 40_000:
            return {"ok": False, "error": "msg_too_long"}
        blocks = list(sent.get("blocks", []))
        for attachment in sent.get("attachments", []):
            blocks += attachment["blocks"]
        if len(blocks) > 50 or not all(map(self._sound, blocks)):
            return {"ok": False, "error": "invalid_blocks"}
        if got.path.endswith("chat.update"):
            if sent["ts"] not in self.posts:
                return {"ok": False, "error": "message_not_found"}
            self.posts[sent["ts"]] = sent
            return {"ok": True, "channel": sent["channel"], "ts": sent["ts"]}
        if sent["channel"] not in ("#alerts", "C0ALERTS", "U0ALICE7"):
            return {"ok": False, "error": "channel_not_found"}
        if "thread_ts" in sent and sent["thread_ts"] not in self.posts:
            return {"ok": False, "error": "thread_not_found"}
        ts = f"17820000.{len(self.posts):06}"
        self.posts[ts] = sent
        return {"ok": True, "channel": "C0ALERTS", "ts": ts}

    def _sound(self, block: dict[str, Any]) -> bool:
        match block["type"]:
            case "section":
                return 0 < len(block["text"]["text"]) <= 3_000
            case "context":
                return 0 < len(block["elements"]) <= 10 and all(
                    0 < len(e["text"]) <= 3_000 for e in block["elements"]
                )
            case "image":
                return block["image_url"] not in self.broken_images and bool(block["alt_text"])
            case "actions":
                ids = [element["action_id"] for element in block["elements"]]
                return (
                    0 < len(ids) <= 25 and len(set(ids)) == len(ids) and all(map(_sound, block["elements"]))
                )
        return False


def _sound(element: dict[str, Any]) -> bool:
    if element["type"] == "static_select":
        options = element["options"]
        return 0 < len(options) <= 100 and all(
            len(o["value"]) <= 150 and len(o["text"]["text"]) <= 75 for o in options
        )
    return (
        len(element["text"]["text"]) <= 75
        and len(element.get("value", "")) <= 2_000
        and len(element.get("url", "")) <= 3_000
        and element.get("style", "primary") in ("primary", "danger")
    )


def target(service: Service, place: str = "#alerts", *, signed: bool = True) -> ChannelTarget:
    return ChannelTarget(
        slack=SlackChannel(
            token_secret_ref=KeyRef(name="s", key="token"),
            signing_secret_ref=KeyRef(name="s", key="signing") if signed else None,
            channel=place,
            api_url=f"{service.url}/api",
        )
    )


def texts(sent: dict[str, Any]) -> str:
    """Everything that people see."""
    return json.dumps(sent, ensure_ascii=False)


def actions(sent: dict[str, Any]) -> list[str]:
    return [
        element["action_id"]
        for attachment in sent["attachments"]
        for block in attachment["blocks"]
        if block["type"] == "actions"
        for element in block["elements"]
    ]
