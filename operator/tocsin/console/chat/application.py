"""`/chat/<type>/<namespace>/<name>`: where each NotificationChannel's app sends what people press."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from typing import Any

import orjson
from aiohttp import web
from sqlalchemy import Connection
from yarl import URL

from tocsin.console.api.context import Context
from tocsin.console.chat import proofs
from tocsin.console.chat.acting import Outcome, Press, act
from tocsin.flow.groups import Via
from tocsin.flow.model import ChannelFragment
from tocsin.notify.buttons import SILENCE
from tocsin.notify.client import FetchFailed
from tocsin.problems import Problem, ProblemError
from tocsin.store import credentials

PREFIX = "/chat"
LARGEST_BODY = 1024 * 1024
_TELEGRAM_TEXT = 200
_REPLIES = 100

_Next = Callable[[web.Request], Awaitable[web.StreamResponse]]


def chat_application(context: Context) -> web.Application:
    """To be mounted with `app.add_subapp(PREFIX, ...)` below an application that answers errors."""
    app = web.Application(client_max_size=LARGEST_BODY)
    chat = _Chat(context)
    for kind, handler in (
        ("slack", chat.slack),
        ("telegram", chat.telegram),
        ("mattermost", chat.mattermost),
    ):
        app.router.add_post(f"/{kind}/{{namespace:[-a-z0-9]+}}/{{name:[-.a-z0-9]+}}{{slash:/?}}", handler)
    app.cleanup_ctx.append(chat.replying)
    return app


class _Chat:
    """The three handlers. Each proves the sender before it looks at anything else."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._replies: set[asyncio.Task[None]] = set()

    async def replying(self, _app: web.Application) -> AsyncIterator[None]:
        """Answers to Slack go out behind the request; the last ones end with the application."""
        yield
        for task in self._replies:
            task.cancel()
        await asyncio.gather(*self._replies, return_exceptions=True)

    async def slack(self, request: web.Request) -> web.Response:
        """Slack wants 200 within three seconds and takes words for the person at the URL that came with the press."""
        channel, secrets = await self._channel(request, "slack")
        body = await request.read()
        signed = proofs.is_from_slack(
            secrets.get("slack.signingSecretRef", ""),
            request.headers.get("X-Slack-Request-Timestamp", ""),
            request.headers.get("X-Slack-Signature", ""),
            body,
            self._context.now(),
        )
        if not signed:
            raise _stranger()
        form = await request.post()
        payload = _object(str(form.get("payload", "")))
        press = _slack_press(payload)
        if press is None:
            return web.Response()
        outcome = await act(self._context, channel, press, Via.SLACK)
        if not outcome.done:
            self._reply(self._tell_slack(str(payload.get("response_url") or ""), outcome))
        return web.Response()

    async def telegram(self, request: web.Request) -> web.Response:
        """The answer is a call of the Bot API in itself: what the person sees over the chat."""
        channel, secrets = await self._channel(request, "telegram")
        token = request.headers.get("X-Telegram-Bot-Api-Secret-Token", "")
        if not proofs.is_from_telegram(secrets.get("telegram.webhookSecretRef", ""), token):
            raise _stranger()
        query = _member(_object(await request.read()), "callback_query")
        press = _telegram_press(query)
        if press is None:
            return web.Response()
        outcome = await act(self._context, channel, press, Via.TELEGRAM)
        return web.json_response(
            {
                "method": "answerCallbackQuery",
                "callback_query_id": str(query.get("id") or ""),
                "text": outcome.text[:_TELEGRAM_TEXT],
                "show_alert": not outcome.done,
            }
        )

    async def mattermost(self, request: web.Request) -> web.Response:
        """Mattermost signs nothing: the mark in the button, which only its server and Tocsin have seen, is the proof."""
        channel, _ = await self._channel(request, "mattermost")
        body = _object(await request.read())
        given = _member(body, "context")
        seconds = given.get("seconds")
        press = Press(
            action=str(given.get("action") or ""),
            value=str(given.get("value") or ""),
            user=str(body.get("user_id") or ""),
            seconds=seconds if isinstance(seconds, int) else None,
        )
        outcome = await act(self._context, channel, press, Via.MATTERMOST)
        return web.json_response({} if outcome.done else {"ephemeral_text": outcome.text})

    async def _channel(self, request: web.Request, kind: str) -> tuple[ChannelFragment, Mapping[str, str]]:
        """The channel that the path names, and its secrets by path. Unknown ones look like wrong credentials."""
        name = f"{request.match_info['namespace']}/{request.match_info['name']}"
        fragment = self._context.live.program.targets.channels.get(name)
        if fragment is None or fragment.type != kind:
            raise _stranger()
        wanted = {path: (key.namespace, key.name, key.key) for path, key in fragment.secrets.items()}
        store = self._context.store

        def read(connection: Connection) -> Mapping[credentials.SecretName, str]:
            return credentials.load_texts(connection, store.keys, tuple(wanted.values()))

        values = await store.read(read)
        return fragment, {path: values[key] for path, key in wanted.items() if key in values}

    def _reply(self, coroutine: Coroutine[Any, Any, None]) -> None:
        if len(self._replies) >= _REPLIES:
            coroutine.close()
            return
        task = asyncio.create_task(coroutine, name="answer in Slack")
        self._replies.add(task)
        task.add_done_callback(self._replies.discard)

    async def _tell_slack(self, url: str, outcome: Outcome) -> None:
        """Words that only this person sees. Losing them loses nothing else, so it is tried once."""
        http = self._context.http
        if http is None or not url:
            return
        document = {"response_type": "ephemeral", "replace_original": False, "text": outcome.text}
        headers = {"Content-Type": "application/json; charset=utf-8"}
        try:
            await http.exchange("POST", url, body=orjson.dumps(document), headers=headers)
        except FetchFailed as failed:
            self._context.telemetry.log.warning("no answer in Slack", host=URL(url).host, error=str(failed))


def _slack_press(payload: Mapping[str, Any]) -> Press | None:
    """None for what is no press of ours: links under a message are told, too."""
    actions = payload.get("actions")
    if payload.get("type") != "block_actions" or not isinstance(actions, list) or not actions:
        return None
    pressed = actions[0] if isinstance(actions[0], dict) else {}
    action, value = str(pressed.get("action_id") or ""), str(pressed.get("value") or "")
    seconds = None
    if action == SILENCE:
        chosen, _, value = str(_member(pressed, "selected_option").get("value") or "").partition(".")
        seconds = _seconds(chosen)
    if not value:
        return None
    user = str(_member(payload, "user").get("id") or "")
    return Press(action=action, value=value, user=user, seconds=seconds)


def _telegram_press(query: Mapping[str, Any]) -> Press | None:
    action, _, value = str(query.get("data") or "").partition(".")
    action, _, chosen = action.partition(":")
    if not value:
        return None
    user = str(_member(query, "from").get("id") or "")
    return Press(action=action, value=value, user=user, seconds=_seconds(chosen))


def _seconds(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else None


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        found = None
    if not isinstance(found, dict):
        raise ProblemError(Problem(status=400, kind="bad-request", detail="the body has no JSON object"))
    return found


def _member(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _stranger() -> ProblemError:
    return ProblemError(
        Problem(
            status=401,
            kind="unauthorized",
            detail="this request does not prove that it comes from the app of this channel",
            action="see docs/channels.md: the URL names the NotificationChannel, its Secret what proves the sender",
        )
    )
