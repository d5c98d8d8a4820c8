"""Buttons in Telegram and Mattermost, and the question whether a group is still being worked on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from asking import Api, Reply
from chatting import WORLD, button, chat, declare, log_of
from dispatching import integration, obj

from tocsin.flow.groups import Via

Start = Callable[..., Awaitable[Api]]
ALICE = "a" * 26


@pytest.fixture
async def a(api: Start) -> Api:
    made = await api()
    await declare(made, *WORLD)
    return made


async def state(a: Api, group: str) -> str:
    return (await a.get(f"/alert_groups/{group}"))["state"]


async def telegram(a: Api, data: str, user: int = 4711, token: str = "hook-secret") -> Reply:
    query = {"id": "q-1", "from": {"id": user}, "message": {"message_id": 1}, "data": data}
    headers = {"X-Telegram-Bot-Api-Secret-Token": token}
    return await chat(a, "telegram", "bot", {"update_id": 1, "callback_query": query}, **headers)


async def mattermost(a: Api, user: str = ALICE, **context: Any) -> Any:
    reply = await chat(a, "mattermost", "town", {"user_id": user, "user_name": "alice", "context": context})
    assert reply.status == 200
    return reply.json


async def test_telegram(a: Api) -> None:
    """Words over the chat come as the answer itself: short if it was done, to be confirmed if not."""
    group = await a.firing("u1")
    value = button(a, "bot", group)
    said = (await telegram(a, f"acknowledge.{value}")).json
    assert said == {
        "method": "answerCallbackQuery",
        "callback_query_id": "q-1",
        "text": "Group #1 acknowledged.",
        "show_alert": False,
    }
    assert ("acknowledged", "alice", Via.TELEGRAM) in await log_of(a, group)
    await telegram(a, f"silence:1800.{value}")
    assert (await a.get(f"/alert_groups/{group}"))["silenced_until"] == "2026-07-01T12:30:00Z"
    said = (await telegram(a, f"unresolve.{value}")).json
    assert (said["show_alert"], "not resolved" in said["text"]) == (True, True)
    said = (await telegram(a, f"resolve.{value}", user=1)).json
    assert (said["show_alert"], "not known" in said["text"], len(said["text"]) <= 200) == (True, True, True)


@pytest.mark.parametrize("token", ["", "wrong", "hook-secre", "hook-secrett", "Hook-secret"])
async def test_who_is_not_telegram_gets_nowhere(a: Api, token: str) -> None:
    """The secret token of the bot's webhook, whole and exact."""
    group = await a.firing("u1")
    assert (await telegram(a, f"resolve.{button(a, 'bot', group)}", token=token)).status == 401
    assert await state(a, group) == "firing"


@pytest.mark.parametrize(
    "update", [{}, {"message": {"text": "hello"}}, {"callback_query": {"data": 5}}, {"callback_query": []}]
)
async def test_other_updates_are_only_answered(a: Api, update: dict) -> None:
    """A bot hears whatever is written to it; Telegram would send it again otherwise."""
    reply = await chat(a, "telegram", "bot", update, **{"X-Telegram-Bot-Api-Secret-Token": "hook-secret"})
    assert (reply.status, reply.body) == (200, b"")


async def test_mattermost(a: Api) -> None:
    """The post shows what was done; refusals are for the person who pressed."""
    group = await a.firing("u1")
    value = button(a, "town", group)
    assert await mattermost(a, action="acknowledge", value=value, seconds=None) == {}
    assert ("acknowledged", "alice", Via.MATTERMOST) in await log_of(a, group)
    assert await mattermost(a, action="silence", value=value, seconds=14_400) == {}
    assert (await a.get(f"/alert_groups/{group}"))["silenced_until"] == "2026-07-01T16:00:00Z"
    assert "not resolved" in (await mattermost(a, action="unresolve", value=value))["ephemeral_text"]
    assert "not known" in (await mattermost(a, "alice", action="resolve", value=value))["ephemeral_text"]


async def test_only_buttons_of_tocsin_work_in_mattermost(a: Api) -> None:
    """The mark is the proof: without it, or with that of another group or chat, nothing happens."""
    one, two = await a.firing("u1"), await a.firing("u2")
    mark = button(a, "town", two).partition(".")[2]
    for value in ("", one, f"{one}.", f"{one}.{mark}", button(a, "bot", one), f"{one}.é"):
        said = await mattermost(a, action="resolve", value=value)
        assert "no longer valid" in said["ephemeral_text"], value
    assert await state(a, one) == "firing"


async def test_still_working_on_it(a: Api) -> None:
    """The button of an acknowledge reminder keeps the group acknowledged; anybody who may acknowledge may confirm, and the
    log says who. Pressed when nobody asks, it says so.
    """
    reminding = obj(
        "EscalationChain",
        "c",
        steps=[{"wait": {"duration": "1h"}}],
        acknowledgeReminder={"every": "1h", "unacknowledgeAfter": "30m"},
    )
    linked = integration(defaultRoute={"escalationChainRef": {"name": "c"}})
    await declare(a, *[one for one in WORLD if one["kind"] != "Integration"], reminding, linked)
    group = await a.firing("u1")
    value = button(a, "town", group)
    assert "nobody is asked" in (await mattermost(a, action="confirm", value=value))["ephemeral_text"]
    await mattermost(a, action="acknowledge", value=value)
    await a.world.run()
    await a.world.after(hours=1, minutes=10)
    assert await mattermost(a, action="confirm", value=value) == {}
    await a.world.after(minutes=40)
    assert await state(a, group) == "acknowledged"
    await a.world.after(hours=2)
    assert await state(a, group) == "firing"
