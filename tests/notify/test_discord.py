"""Discord, against a server with the limits of its public documentation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from vendors import EVIL, NOBODY, Received, Scripted, Service, channel, failure, group

from tocsin.api.common import KeyRef
from tocsin.api.notificationchannel import ChannelTarget, DiscordChannel
from tocsin.flow.groups import State
from tocsin.notify.channel import FailureReason
from tocsin.notify.message import BundleItem, Recipient

HOOK = "/api/webhooks/123/secret-token"
TARGET = ChannelTarget(discord=DiscordChannel(url_secret_ref=KeyRef(name="s", key="url")))


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


class DiscordService(Service):
    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[str, Any] = {}
        self.broken_images = False

    def answer(self, got: Received) -> web.Response:
        path, _, query = got.path.partition("?")
        if not path.startswith(HOOK):
            return web.json_response({"message": "Unknown Webhook", "code": 10015}, status=404)
        sent = got.json
        embed = sent["embeds"][0]
        fields = [(f["name"], f["value"]) for f in embed.get("fields", [])]
        total = units(embed["title"]) + units(embed["description"]) + units(embed["footer"]["text"])
        total += sum(units(name) + units(value) for name, value in fields)
        sound = (
            0 < units(embed["title"]) <= 256
            and units(embed["description"]) <= 4_096
            and units(embed["footer"]["text"]) <= 2_048
            and all(0 < units(name) <= 256 and 0 < units(value) <= 1_024 for name, value in fields)
            and total <= 6_000
            and not (self.broken_images and "image" in embed)
        )
        if not sound:
            return web.json_response({"message": "Invalid Form Body", "code": 50035}, status=400)
        if got.method == "PATCH":
            number = path.rpartition("/")[2]
            if number not in self.messages:
                return web.json_response({"message": "Unknown Message", "code": 10008}, status=404)
        else:
            number = str(900 + len(self.messages))
        self.messages[number] = sent
        return (
            web.json_response({"id": number})
            if "wait=true" in query or got.method == "PATCH"
            else web.Response(status=204)
        )


@pytest.fixture
async def discord() -> AsyncIterator[DiscordService]:
    async with DiscordService.running() as service:
        yield service


def secrets(service: Service, hook: str = HOOK) -> dict[str, str]:
    return {"discord.urlSecretRef": f"{service.url}{hook}"}


async def test_a_message_and_its_edits(discord: DiscordService) -> None:
    """An embed whose title leads to the group; edited in place; a webhook into a thread stays there."""
    async with channel(TARGET, secrets(discord, HOOK + "?thread_id=5")) as made:
        sent = await made.send(group(image_url="https://x/a.png", reason="step 1"), NOBODY)
        embed = discord.last["embeds"][0]
        await made.update(
            group(kind="update", state=State.ACKNOWLEDGED, acknowledged_by="alice"), sent.reference
        )
    assert (embed["title"], embed["url"]) == (
        "#12 Disk is full",
        "https://tocsin.example/groups/IABCDEFGHJKLM",
    )
    assert (embed["color"], embed["image"]) == (0xD7263D, {"url": "https://x/a.png"})
    assert "step 1" in embed["footer"]["text"]
    assert [(one.method, one.path) for one in discord.received] == [
        ("POST", HOOK + "?thread_id=5&wait=true"),
        ("PATCH", f"{HOOK}/messages/900?thread_id=5"),
    ]
    assert "Acknowledged by alice" in discord.messages["900"]["embeds"][0]["footer"]["text"]


async def test_nobody_is_mentioned_but_the_person_who_is_told(discord: DiscordService) -> None:
    """Whatever the texts say."""
    async with channel(TARGET, secrets(discord)) as made:
        await made.send(group(text="@everyone <@5>"), NOBODY)
        assert discord.last["allowed_mentions"] == {"parse": []}
        assert "content" not in discord.last
        await made.send(group(kind="personal"), Recipient(address="77", name="A"))
    assert discord.last["content"] == "<@77>"
    assert discord.last["allowed_mentions"] == {"parse": [], "users": ["77"]}


async def test_the_longest_texts_fit(discord: DiscordService) -> None:
    """All of an embed together as well; title and link are there, and the cut is told."""
    items = tuple(BundleItem(number=n, title="[x](y)" * 90, link=EVIL) for n in range(60))
    async with channel(TARGET, secrets(discord)) as made:
        for over in (
            {
                "title": "T" * 900,
                "text": "\U0001f525" * 9_000,
                "errors": tuple("e" * 500 for _ in range(9)),
                "reason": "r" * 3_000,
            },
            {"text": "```\n" + "x" * 9_000 + "\n```", "alerts_count": 5},
            {"kind": "bundle", "number": 0, "items": items, "total": 500, "text": "*" * 5_000},
        ):
            await made.send(group(**over), NOBODY)
            embed = discord.last["embeds"][0]
            assert "characters shown]" in embed["description"]
            assert embed["url"]
            assert embed["description"].count("```") % 2 == 0
    assert len(discord.messages) == 3


async def test_plain_texts_have_no_markup(discord: DiscordService) -> None:
    """Titles of a bundle are shown as they are written."""
    evil = f"[x]({EVIL}) **b**"
    async with channel(TARGET, secrets(discord)) as made:
        await made.send(
            group(kind="bundle", title=evil, text=evil, items=(BundleItem(number=1, title=evil),), total=1),
            NOBODY,
        )
    embed = discord.last["embeds"][0]
    assert f"[x]({EVIL})" not in embed["title"] + embed["description"]
    assert "**b**" not in embed["description"]


async def test_a_refused_image_keeps_nobody_from_being_told(discord: DiscordService) -> None:
    discord.broken_images = True
    async with channel(TARGET, secrets(discord)) as made:
        await made.send(group(image_url="https://x/a.png"), NOBODY)
    assert len(discord.messages) == 1


async def test_what_errors_mean(discord: DiscordService) -> None:
    """A webhook that is gone cannot heal; too many requests say when to come back. The URL is in no error."""
    async with channel(TARGET, secrets(discord, "/api/webhooks/9/gone-token")) as made:
        gone = await failure(made.send(group(), NOBODY))
    discord.script.append(
        Scripted(status=429, body={"retry_after": 1.5, "message": "You are being rate limited."})
    )
    discord.script.append(Scripted(status=500))
    async with channel(TARGET, secrets(discord)) as made:
        limited = await failure(made.send(group(), NOBODY))
        broken = await failure(made.send(group(), NOBODY))
        lost = await failure(made.update(group(), "4711"))
        never = await failure(made.update(group(), ""))
    assert (gone.reason, gone.permanent) == (FailureReason.CLIENT_ERROR, True)
    assert "Unknown Webhook" in str(gone)
    assert (limited.reason, limited.retry_after) == (FailureReason.RATE_LIMITED, 1.5)
    assert (broken.reason, broken.permanent) == (FailureReason.SERVER_ERROR, False)
    assert lost.permanent
    assert never.permanent
    assert "token" not in f"{gone}{limited}{broken}{lost}{never}"


@pytest.mark.parametrize("url", ["", "no url", "http://[x"])
async def test_a_secret_that_holds_no_url(url: str) -> None:
    """Said as such, and what it holds is not."""

    async def attempt() -> None:
        async with channel(TARGET, {"discord.urlSecretRef": url}) as made:
            await made.send(group(), NOBODY)

    failed = await failure(attempt())
    assert failed.permanent
    assert url == "" or url not in str(failed)
