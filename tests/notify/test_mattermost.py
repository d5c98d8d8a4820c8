"""Mattermost, against a server with the calls and rules of its public API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from vendors import EVIL, NOBODY, Received, Scripted, Service, channel, failure, group

from tocsin.api.common import KeyRef
from tocsin.api.notificationchannel import ChannelTarget, MattermostChannel
from tocsin.flow.groups import State
from tocsin.notify.channel import FailureReason
from tocsin.notify.message import BundleItem, Recipient

TOKEN = "mm-secret-token"
SECRETS = {"mattermost.tokenSecretRef": TOKEN}
BOT, ALICE, TOWN = "b" * 26, "a" * 26, "c" * 26


class MattermostService(Service):
    def __init__(self) -> None:
        super().__init__()
        self.posts: dict[str, Any] = {}

    def answer(self, got: Received) -> web.Response:
        if got.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _error(401, "Invalid or expired session, please login again.")
        path = got.path.removeprefix("/api/v4")
        match got.method, path:
            case "GET", "/users/me":
                return web.json_response({"id": BOT, "username": "tocsin"})
            case "GET", _ if path in (f"/users/{ALICE}", "/users/username/alice"):
                return web.json_response({"id": ALICE, "username": "alice"})
            case "POST", "/channels/direct" if sorted(got.json) == [ALICE, BOT]:
                return web.json_response({"id": "d" * 26})
            case "POST", "/posts":
                return self._post(got.json)
            case "PUT", _ if path.endswith("/patch"):
                return self._patch(path.split("/")[2], got.json)
        return _error(404, "Unable to find the thing.")

    def _post(self, sent: Any) -> web.Response:
        if sent["channel_id"] not in (TOWN, "d" * 26):
            return _error(403, "You do not have the appropriate permissions.")
        if sent.get("root_id") and sent["root_id"] not in self.posts:
            return _error(400, "Invalid RootId parameter.")
        number = f"p{len(self.posts):025}"
        return self._keep(number, sent)

    def _patch(self, number: str, sent: Any) -> web.Response:
        if number not in self.posts:
            return _error(404, "Unable to get the post.")
        return self._keep(number, {**self.posts[number], **sent})

    def _keep(self, number: str, sent: Any) -> web.Response:
        if len(sent["message"]) > 16_383 or len(str(sent["props"])) > 800_000:
            return _error(400, "Post Message property is longer than the maximum permitted length.")
        for attachment in sent["props"].get("attachments", []):
            for action in attachment.get("actions", []):
                if not action["id"].isalnum() or not action["integration"]["url"].startswith("http"):
                    return _error(400, "Invalid action.")
        self.posts[number] = sent
        return web.json_response({"id": number, "channel_id": sent["channel_id"]}, status=201)


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"id": "x", "message": message, "status_code": status}, status=status)


@pytest.fixture
async def mattermost() -> AsyncIterator[MattermostService]:
    async with MattermostService.running() as service:
        yield service


def target(service: Service, place: str = TOWN) -> ChannelTarget:
    ref = KeyRef(name="s", key="k")
    return ChannelTarget(
        mattermost=MattermostChannel(server_url=f"{service.url}/", token_secret_ref=ref, channel_id=place)
    )


def names(post: Any) -> list[str]:
    return [action["name"] for action in post["props"]["attachments"][0].get("actions", [])]


async def test_a_message_its_edits_and_answers(mattermost: MattermostService) -> None:
    """One post that follows the state, people mentioned in its thread, a button for those who are reminded."""
    async with channel(target(mattermost), SECRETS) as made:
        sent = await made.send(group(image_url="https://x/a.png"), NOBODY)
        first = mattermost.last
        await made.update(
            group(kind="update", state=State.ACKNOWLEDGED, acknowledged_by="alice"), sent.reference
        )
        alice = Recipient(address=ALICE, name="Alice")
        await made.send(group(kind="personal", thread=sent.reference, reason="on call"), alice)
        told = mattermost.last
        await made.send(group(kind="reminder", thread=sent.reference, confirm=True), alice)
    assert sent.reference == f"{TOWN}/{sent.receipt}"
    assert first["message"] == "**[\\#12](https://tocsin.example/groups/IABCDEFGHJKLM)** Disk is full"
    shown = first["props"]["attachments"][0]
    assert (shown["color"], shown["image_url"], shown["fallback"]) == (
        "#d7263d",
        "https://x/a.png",
        "#12 Disk is full Firing",
    )
    assert names(first)[:3] == ["Acknowledge", "Resolve", "Silence 30 minutes"]
    assert "Acknowledged by alice" in mattermost.posts[sent.receipt]["props"]["attachments"][0]["footer"]
    assert (told["root_id"], told["message"].startswith("@alice ")) == (sent.receipt, True)
    assert "on call" in told["message"]
    assert names(mattermost.last) == ["I am still working on it"]


async def test_buttons_answer_to_the_console(mattermost: MattermostService) -> None:
    """With the channel in the URL and a mark that is only Tocsin's; none where the console has no address outside."""
    async with channel(target(mattermost), SECRETS) as made:
        await made.send(group(), NOBODY)
    action = mattermost.last["props"]["attachments"][0]["actions"][0]
    assert action["integration"]["url"] == "https://tocsin.example/chat/mattermost/ops/chat"
    assert action["integration"]["context"]["action"] == "acknowledge"
    assert action["integration"]["context"]["value"].startswith("IABCDEFGHJKLM.")
    async with channel(target(mattermost), SECRETS, console_url="") as made:
        await made.send(group(), NOBODY)
    assert names(mattermost.last) == []


@pytest.mark.parametrize("address", [ALICE, "alice", "@alice"])
async def test_people_are_told_directly(mattermost: MattermostService, address: str) -> None:
    """Without a post of the group, by id or by name."""
    async with channel(target(mattermost, ""), SECRETS) as made:
        sent = await made.send(group(kind="personal"), Recipient(address=address))
        assert sent.reference.startswith("d" * 26)
        assert "channelId" in str(await failure(made.send(group(), NOBODY)))


async def test_texts_fit_and_call_nobody(mattermost: MattermostService) -> None:
    """Long ones are cut and say so; `@all` of a template or a title is no call; plain texts have no markup."""
    evil = f"[x]({EVIL}) @all"
    items = (BundleItem(number=1, title=evil, link="https://t/(a b)"),)
    async with channel(target(mattermost), SECRETS) as made:
        await made.send(
            group(title="@channel " + "t" * 9_000, text="```\n" + "x" * 50_000, alerts_count=3), NOBODY
        )
        text = mattermost.last["props"]["attachments"][0]["text"]
        assert mattermost.last["message"].startswith("**[\\#12](https://tocsin.example")
        assert "@\u200bchannel" in mattermost.last["message"]
        assert ("characters shown]" in text, text.count("```")) == (True, 2)
        assert "only the last one is shown" in str(mattermost.last)
        await made.send(group(kind="bundle", number=0, title=evil, text=evil, items=items, total=4), NOBODY)
    said = mattermost.last["message"] + mattermost.last["props"]["attachments"][0]["text"]
    assert f"[x]({EVIL})" not in said
    assert "@all" not in said
    assert "](https://t/%28a%20b%29)" in said
    assert "and 3 more" in said


async def test_what_errors_mean(mattermost: MattermostService) -> None:
    """Mattermost says in its own header when a rate limit ends."""
    mattermost.script.append(Scripted(status=429, headers={"X-Ratelimit-Reset": "3"}))
    async with channel(target(mattermost), SECRETS) as made:
        limited = await failure(made.send(group(), NOBODY))
        lost = await failure(made.update(group(), f"{TOWN}/none"))
    async with channel(target(mattermost), {"mattermost.tokenSecretRef": "wrong-token"}) as made:
        refused = await failure(made.send(group(), NOBODY))
    assert (limited.reason, limited.retry_after) == (FailureReason.RATE_LIMITED, 3.0)
    assert (lost.reason, lost.permanent) == (FailureReason.CLIENT_ERROR, True)
    assert (refused.reason, refused.permanent) == (FailureReason.AUTH_ERROR, True)
    assert "wrong-token" not in str(refused)
