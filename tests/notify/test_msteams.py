"""Microsoft Teams, against a server that takes what a workflow takes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web
from vendors import EVIL, NOBODY, Received, Scripted, Service, channel, failure, group

from tocsin.api.common import KeyRef
from tocsin.api.notificationchannel import ChannelTarget, MSTeamsChannel
from tocsin.notify.channel import FailureReason
from tocsin.notify.message import BundleItem, Recipient

TARGET = ChannelTarget(msteams=MSTeamsChannel(url_secret_ref=KeyRef(name="s", key="url")))
ELEMENTS = {"TextBlock", "RichTextBlock", "Image"}


class Workflow(Service):
    def answer(self, got: Received) -> web.Response:
        if "sig=secret-signature" not in got.path:
            return web.json_response({"error": {"code": "DirectApiAuthorizationRequired"}}, status=401)
        if len(got.body) > 28 * 1024:
            return web.Response(status=413)
        sent = got.json
        card = sent["attachments"][0]
        sound = (
            sent["type"] == "message"
            and card["contentType"] == "application/vnd.microsoft.card.adaptive"
            and card["content"]["type"] == "AdaptiveCard"
            and card["content"]["version"] in ("1.2", "1.3", "1.4", "1.5")
            and all(part["type"] in ELEMENTS for part in card["content"]["body"])
        )
        return web.Response(status=202 if sound else 400)


@pytest.fixture
async def teams() -> AsyncIterator[Workflow]:
    async with Workflow.running() as service:
        yield service


def secrets(service: Service, query: str = "sig=secret-signature") -> dict[str, str]:
    return {"msteams.urlSecretRef": f"{service.url}/workflows/abc/triggers/manual/paths/invoke?{query}"}


def card(service: Service) -> Any:
    return service.last["attachments"][0]["content"]


def runs(found: Any) -> Iterator[str]:
    """Texts in which nothing is markup."""
    for part in found["body"]:
        for run in part.get("inlines", []):
            yield run["text"]


def markdown(found: Any) -> str:
    return "\n".join(part["text"] for part in found["body"] if part["type"] == "TextBlock")


async def test_a_card_with_everything(teams: Workflow) -> None:
    """Title, facts, text and image; the links are actions; nothing can be edited."""
    async with channel(TARGET, secrets(teams)) as made:
        await made.send(group(image_url="https://x/a.png", reason="step 1", alerts_count=3), NOBODY)
        assert not made.edits
        assert (await failure(made.update(group(), ""))).permanent
    found = card(teams)
    assert [action["url"] for action in found["actions"]] == [
        "https://tocsin.example/groups/IABCDEFGHJKLM",
        "https://prometheus.example/graph?a=1&b=2",
    ]
    assert markdown(found) == "Disk is full\nonly 1 % left"
    said = "\n".join(runs(found))
    assert said.startswith("#12\nFiring · 3 alerts, only the last one is shown · Shop")
    assert "step 1" in said
    assert found["body"][-1]["url"] == "https://x/a.png"
    assert found["body"][1]["color"] == "attention"


async def test_a_person_is_mentioned(teams: Workflow) -> None:
    """By user principal name or id, as the entities of the card demand."""
    async with channel(TARGET, secrets(teams)) as made:
        await made.send(group(kind="personal"), Recipient(address="alice@example.com", name="Alice"))
    found = card(teams)
    assert found["msteams"]["entities"] == [
        {
            "type": "mention",
            "text": "<at>Alice</at>",
            "mentioned": {"id": "alice@example.com", "name": "Alice"},
        }
    ]
    assert found["body"][0]["text"] == "<at>Alice</at>"


@pytest.mark.parametrize("letter", ["x", "é", "\U0001f525", "\n", '"', "\u2028"])
async def test_the_largest_cards_fit(teams: Workflow, letter: str) -> None:
    """28 KB as sent, whatever the letters; title and links stay, what is missing is told."""
    items = tuple(BundleItem(number=n, title=letter * 500, link="https://t/" + "l" * 200) for n in range(50))
    async with channel(TARGET, secrets(teams)) as made:
        await made.send(
            group(
                title="T" * 3_000,
                text=letter * 60_000,
                errors=tuple(letter * 900 for _ in range(9)),
                labels=tuple((f"k{n}", letter * 200) for n in range(15)),
                items=items,
                total=50,
            ),
            NOBODY,
        )
    found = card(teams)
    assert found["actions"][0]["url"] == "https://tocsin.example/groups/IABCDEFGHJKLM"
    assert "of 60000 characters shown]" in markdown(found)
    assert markdown(found).startswith("T" * 900)
    assert len(json.dumps(found)) > 3_000


async def test_plain_texts_have_no_markup(teams: Workflow) -> None:
    """They are runs of text, which Teams shows as they are; only links of ours can be followed."""
    evil = f"[x]({EVIL}) <at>all</at>"
    items = (BundleItem(number=1, title=evil, link="https://t/1"),)
    async with channel(TARGET, secrets(teams)) as made:
        await made.send(
            group(kind="bundle", title=evil, text=evil, items=items, total=5, integration=evil), NOBODY
        )
    assert markdown(card(teams)) == ""
    assert "and 4 more" in "\n".join(runs(card(teams)))


async def test_what_errors_mean(teams: Workflow) -> None:
    """The URL is in no error; older connectors tell failures with 200."""
    async with channel(TARGET, secrets(teams, "sig=wrong-signature")) as made:
        refused = await failure(made.send(group(), NOBODY))
    teams.script.append(Scripted(status=429, headers={"Retry-After": "12"}))
    told = b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    teams.script.append(Scripted(body=told))
    async with channel(TARGET, secrets(teams)) as made:
        limited = await failure(made.send(group(), NOBODY))
        inside = await failure(made.send(group(), NOBODY))
    assert (refused.reason, refused.permanent) == (FailureReason.AUTH_ERROR, True)
    assert (limited.reason, limited.retry_after) == (FailureReason.RATE_LIMITED, 12.0)
    assert (inside.reason, inside.permanent) == (FailureReason.RATE_LIMITED, False)
    assert "signature" not in f"{refused}{limited}{inside}"
    assert "workflows" not in f"{refused}{limited}{inside}"
