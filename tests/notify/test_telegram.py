"""Telegram, against a server that reads HTML and counts characters as the Bot API says."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from vendors import EVIL, NOBODY, Received, Scripted, Service, channel, failure, group

from tocsin.api.common import KeyRef
from tocsin.api.notificationchannel import ChannelTarget, TelegramChannel
from tocsin.flow.groups import State
from tocsin.notify.channel import FailureReason
from tocsin.notify.message import BundleItem, Recipient
from tocsin.notify.telegram_text import rendered

TOKEN = "123456:secret-bot-token"
SECRETS = {"telegram.tokenSecretRef": TOKEN, "telegram.webhookSecretRef": "hook"}
_TAG = re.compile(r'<(/?)(b|i|u|s|code|pre|blockquote|tg-spoiler|a)( href="[^"<>]*")?>')


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def visible(text: str) -> str:
    """What people see. Raises ValueError where Telegram cannot parse entities."""
    open_tags: list[str] = []
    for found in re.finditer(r"<[^>]*>?", text):
        tag = _TAG.fullmatch(found[0])
        if tag is None:
            raise ValueError(f"unsupported tag {found[0]}")
        if not tag[1]:
            open_tags.append(tag[2])
        elif not open_tags or open_tags.pop() != tag[2]:
            raise ValueError("unmatched end tag")
    if open_tags:
        raise ValueError("can't find end tag")
    if re.search(r"&(?!(?:amp|lt|gt|quot|#\d+|#x[0-9a-f]+);)", text):
        raise ValueError("stray ampersand")
    return html.unescape(re.sub(r"<[^>]*>", "", text))


class TelegramService(Service):
    def __init__(self) -> None:
        super().__init__()
        self.messages: dict[int, Any] = {}

    def answer(self, got: Received) -> web.Response:
        if not got.path.startswith(f"/bot{TOKEN}/"):
            return _error(404, "Not Found")
        sent = got.json
        if sent["chat_id"] in ("1", "-5"):
            return _error(403, "Forbidden: bot was blocked by the user")
        if sent["chat_id"] == "@nowhere":
            return _error(400, "Bad Request: chat not found")
        try:
            text = visible(sent["text"]) if sent.get("parse_mode") == "HTML" else sent["text"]
        except ValueError as error:
            return _error(400, f"Bad Request: can't parse entities: {error}")
        if not 0 < units(text) <= 4_096:
            return _error(400, "Bad Request: message is too long")
        for row in sent["reply_markup"]["inline_keyboard"]:
            for key in row:
                if len(key.get("callback_data", "x").encode()) > 64:
                    return _error(400, "Bad Request: BUTTON_DATA_INVALID")
        number = len(self.messages) + 1
        if got.path.endswith("/editMessageText"):
            number = sent["message_id"]
            if number not in self.messages:
                return _error(400, "Bad Request: message to edit not found")
            if self.messages[number] == sent["text"]:
                return _error(400, "Bad Request: message is not modified: ...")
        self.messages[number] = sent["text"]
        result = {"message_id": number, "chat": {"id": -100777}}
        return web.json_response({"ok": True, "result": result})


def _error(code: int, description: str) -> web.Response:
    return web.json_response({"ok": False, "error_code": code, "description": description}, status=code)


@pytest.fixture
async def telegram() -> AsyncIterator[TelegramService]:
    async with TelegramService.running() as service:
        yield service


def target(service: Service, chat: str = "-100777") -> ChannelTarget:
    ref = KeyRef(name="s", key="k")
    return ChannelTarget(
        telegram=TelegramChannel(
            token_secret_ref=ref, webhook_secret_ref=ref, chat_id=chat, api_url=service.url
        )
    )


def keys(sent: dict[str, Any]) -> list[str]:
    found = [key for row in sent["reply_markup"]["inline_keyboard"] for key in row]
    return [key["text"] for key in found]


async def test_a_message_its_edits_and_an_answer_to_it(telegram: TelegramService) -> None:
    """The same message follows the state; nothing changed is no failure; a person is told in answer to it."""
    async with channel(target(telegram), SECRETS) as made:
        sent = await made.send(group(image_url="https://x/a.png"), NOBODY)
        first = telegram.last
        done = group(kind="update", state=State.RESOLVED, resolved_by="bob")
        assert await made.update(done, sent.reference) == sent
        assert keys(telegram.last) == ["Unresolve", "Open", "Source"]
        assert await made.update(done, sent.reference) == sent
        await made.send(
            group(kind="personal", thread=sent.reference, reason="on call"), Recipient(address="-100777")
        )
    assert sent.reference == "-100777/1"
    assert first["text"].startswith(
        '<a href="https://tocsin.example/groups/IABCDEFGHJKLM">#12</a> <b>Disk is full</b>'
    )
    assert first["link_preview_options"] == {"url": "https://x/a.png", "prefer_large_media": True}
    assert keys(first) == [
        "Acknowledge",
        "Resolve",
        "Silence 30 minutes",
        "Silence 1 hour",
        "Silence 4 hours",
        "Silence 24 hours",
        "Open",
        "Source",
    ]
    assert "Resolved by bob" in telegram.messages[1]
    assert telegram.last["reply_parameters"] == {"message_id": 1, "allow_sending_without_reply": True}
    assert "on call" in telegram.messages[2]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("<b>bold</b> &amp; &lt;x&gt;", "<b>bold</b> &amp; &lt;x&gt;"),
        ("a < b & c", "a &lt; b &amp; c"),
        ("<script>alert(1)</script>", "alert(1)"),
        ("<b>never closed <i>twice", "<b>never closed <i>twice</i></b>"),
        ("</b>stray", "stray"),
        ("<b>a<i>b</b>c</i>", "<b>a<i>b</i></b>c"),
        ("<b><b>x</b></b>", "<b>x</b>"),
        ('<a href="https://x/?a=1&amp;b=2">t</a>', '<a href="https://x/?a=1&amp;b=2">t</a>'),
        ('<a href="javascript:x">t</a>', "t"),
        ("<a href='https://x/\"><b>'>t</a>", '<a href="https://x/&quot;&gt;&lt;b&gt;">t</a>'),
        ("one<br>two<p>three", "one\ntwo\nthree"),
        ("<!-- c --><![CDATA[x]]>&#60;", "&lt;!-- c --&gt;&lt;![CDATA[x]]&gt;&lt;"),
        ('<a href="never closed', '&lt;a href="never closed'),
        ("<B>a</B > <a HREF=https://x/>t</A>", '<b>a</b> <a href="https://x/">t</a>'),
        ("<strong>a</strong><em onclick=x>b</em>", "<b>a</b><i>b</i>"),
    ],
)
def test_what_is_left_of_a_text(given: str, shown: str) -> None:
    """Tags that Telegram knows, closed; everything else is text or gone."""
    assert rendered(given, 4_000) == shown
    visible(shown)


async def test_the_longest_texts_fit_keep_title_and_link_and_stay_closed(telegram: TelegramService) -> None:
    """In characters as UTF-16 counts them; tags count nothing; the cut is told."""
    async with channel(target(telegram), SECRETS) as made:
        for text in (
            "\U0001f525" * 5_000,
            "<b>x</b>" * 4_000,
            "&lt;" * 5_000,
            "<pre>" + "x" * 9_000 + "</pre>",
        ):
            failed = tuple(f"{n}: {'e' * 300}" for n in range(20))
            labels = tuple((f"k{n}", "v" * 200) for n in range(15))
            await made.send(
                group(
                    title="T" * 900, text=text, errors=failed, labels=labels, reason="r" * 900, alerts_count=9
                ),
                NOBODY,
            )
            said = telegram.last["text"]
            assert said.startswith('<a href="https://tocsin.example/groups/')
            assert "characters shown]" in visible(said)
    assert len(telegram.messages) == 4


async def test_plain_texts_have_no_markup(telegram: TelegramService) -> None:
    """A bundle of titles from outside: shown as they are written."""
    evil = f'<a href="{EVIL}">x</a>'
    items = tuple(BundleItem(number=n, title=evil * 9, link=EVIL + '"><b>') for n in range(30))
    async with channel(target(telegram), SECRETS) as made:
        await made.send(
            group(kind="bundle", number=0, public_id="", title=evil, text=evil, items=items, total=30), NOBODY
        )
        await made.send(group(errors=(evil,), integration=evil, reason=evil), NOBODY)
    assert f'<a href="{EVIL}">x' not in "".join(telegram.messages.values())
    assert "and 10 more" in telegram.messages[1]


async def test_html_that_telegram_still_refuses_is_sent_plainly(telegram: TelegramService) -> None:
    """Somebody has to be told, looks or not."""
    said = {"ok": False, "error_code": 400, "description": "Bad Request: can't parse entities: x"}
    telegram.script.append(Scripted(status=400, body=said))
    async with channel(target(telegram), SECRETS) as made:
        await made.send(group(), NOBODY)
    assert telegram.last["text"] == "#12 Disk is full Firing\nhttps://tocsin.example/groups/IABCDEFGHJKLM"
    assert "parse_mode" not in telegram.last


@pytest.mark.parametrize(
    ("scripted", "reason", "permanent", "wait"),
    [
        (
            {"error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 5}},
            FailureReason.RATE_LIMITED,
            False,
            5.0,
        ),
        ({"error_code": 401, "description": "Unauthorized"}, FailureReason.AUTH_ERROR, True, None),
        ({"error_code": 404, "description": "Not Found"}, FailureReason.AUTH_ERROR, True, None),
        (
            {"error_code": 403, "description": "Forbidden: bot was kicked"},
            FailureReason.CLIENT_ERROR,
            True,
            None,
        ),
        (
            {
                "error_code": 400,
                "description": "Bad Request: group chat was upgraded",
                "parameters": {"migrate_to_chat_id": -1009},
            },
            FailureReason.CLIENT_ERROR,
            True,
            None,
        ),
        ({"error_code": 502, "description": "Bad Gateway"}, FailureReason.SERVER_ERROR, False, None),
    ],
)
async def test_what_errors_mean(
    telegram: TelegramService, scripted: dict, reason: FailureReason, permanent: bool, wait: float | None
) -> None:
    """A blocked bot cannot heal by itself, too many requests say when to come back, a moved chat says where it is."""
    telegram.script.append(Scripted(status=scripted["error_code"], body={"ok": False, **scripted}))
    async with channel(target(telegram), SECRETS) as made:
        failed = await failure(made.send(group(), NOBODY))
    assert (failed.reason, failed.permanent, failed.retry_after) == (reason, permanent, wait)
    assert TOKEN not in str(failed)
    assert ("-1009" in str(failed)) == ("parameters" in scripted and wait is None)


async def test_a_token_in_the_path_is_in_no_error(telegram: TelegramService) -> None:
    """Neither of a wrong token nor of a server that is not there; without any place nothing is sent."""
    async with channel(target(telegram), {**SECRETS, "telegram.tokenSecretRef": "9:wrong"}) as made:
        assert "9:wrong" not in str(await failure(made.send(group(), NOBODY)))
    telegram.port = 1
    async with channel(target(telegram), SECRETS) as made:
        assert "secret-bot" not in str(await failure(made.send(group(), NOBODY)))
    async with channel(target(telegram, ""), SECRETS) as made:
        assert "chatId" in str(await failure(made.send(group(), NOBODY)))
