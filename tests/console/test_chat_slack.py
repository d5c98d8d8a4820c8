"""Buttons in Slack, from a signed request to the group's log."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from asking import Api
from chatting import SECRETS, SLACK, WORLD, Replies, button, channel, declare, log_of, person, pressed, slack
from dispatching import KEYS

from tocsin.flow.groups import Via
from tocsin.notify.channel import DeliveryFailed
from tocsin.notify.client import HttpClient, Outgoing
from tocsin.notify.factory import build
from tocsin.notify.guard import Guard
from tocsin.notify.message import Message, Recipient
from tocsin.notify.tools import Tools

Start = Callable[..., Awaitable[Api]]


@pytest.fixture
async def replies() -> AsyncIterator[Replies]:
    made = Replies()
    app = web.Application()
    app.router.add_post("/actions/secret{rest:.*}", made.answer)
    server = TestServer(app)
    await server.start_server()
    made.url = str(server.make_url("/actions/secret"))
    yield made
    await server.close()


@pytest.fixture
async def a(api: Start) -> AsyncIterator[Api]:
    http = HttpClient(Outgoing(allowed=("127.0.0.0/8",)))
    made = await api(http=http)
    await declare(made, *WORLD)
    yield made
    await http.close()


async def state(a: Api, group: str) -> str:
    return (await a.get(f"/alert_groups/{group}"))["state"]


async def test_a_press_acts_as_the_person_who_pressed(a: Api) -> None:
    """The Responder whose contact has that id, on any channel of the same app. They need what everybody needs for it: the
    group has to be in a state that allows it. The log names person and chat.

    Rules: R-CHT-9
    """
    group = await a.firing("u1")
    value = button(a, "ops", group)
    assert (await slack(a, pressed("acknowledge", value))).status == 200
    assert (await a.get(f"/alert_groups/{group}"))["acknowledged_by"] == "alice"
    assert ("acknowledged", "alice", Via.SLACK) in await log_of(a, group)
    for action, expected in (("unacknowledge", "firing"), ("resolve", "resolved"), ("unresolve", "firing")):
        assert (await slack(a, pressed(action, value))).body == b""
        assert await state(a, group) == expected


async def test_the_button_that_was_sent_is_the_one_that_works(a: Api, replies: Replies) -> None:
    """From the message as Slack gets it to the group's state, through the channel, its Secret and Tocsin's key."""
    ops = {**SLACK, "channel": "#ops", "apiUrl": replies.url}
    rest = [one for one in WORLD if one["metadata"]["name"] != "ops"]
    await declare(a, *rest, channel("ops", slack=ops))
    group = await a.firing("u1")
    fragment = a.world.live.program.targets.channels["default/ops"]
    secrets = {"slack.tokenSecretRef": "xoxb-1", "slack.signingSecretRef": "signing-secret"}
    http = a.context.http
    assert http is not None
    made = build(fragment, secrets, Tools(http=http, guard=Guard(), keys=KEYS))
    with contextlib.suppress(DeliveryFailed):  # what stands for Slack answers no message
        await made.send(Message(kind="group", key="k", title="t", number=1, public_id=group), Recipient())
    sent = await replies.got.get()
    (actions,) = [b for b in sent["attachments"][0]["blocks"] if b["type"] == "actions"]
    acknowledge, resolve, silence = actions["elements"]
    await slack(a, pressed("silence", silence["options"][1]["value"]))
    assert (await a.get(f"/alert_groups/{group}"))["silenced_until"] == "2026-07-01T13:00:00Z"
    for element, expected in ((acknowledge, "acknowledged"), (resolve, "resolved")):
        await slack(a, pressed(element["action_id"], element["value"]))
        assert await state(a, group) == expected


async def test_silences(a: Api) -> None:
    """As long as was chosen, or for ever; nothing else is taken."""
    group = await a.firing("u1")
    value = button(a, "ops", group)
    await slack(a, pressed("silence", f"1800.{value}"))
    assert (await a.get(f"/alert_groups/{group}"))["silenced_until"] == "2026-07-01T12:30:00Z"
    await slack(a, pressed("unsilence", value))
    assert await state(a, group) == "firing"
    await slack(a, pressed("silence", f"7.{value}"))
    await slack(a, pressed("silence", f"-1800.{value}"))
    assert await state(a, group) == "firing"
    await slack(a, pressed("silence", f"0.{value}"))
    shown = await a.get(f"/alert_groups/{group}")
    assert (shown["state"], shown["silenced_until"]) == ("silenced", None)


async def test_strangers_are_told_what_it_takes(a: Api, replies: Replies) -> None:
    """Politely, to them alone, and nothing happens."""
    group = await a.firing("u1")
    await slack(a, pressed("acknowledge", button(a, "ops", group), "U0NOBODY", replies.url))
    said = await replies.next()
    assert "A Responder needs a contact with channel default/ops and address U0NOBODY" in said
    assert await state(a, group) == "firing"


async def test_the_impossible_is_refused_in_words(a: Api, replies: Replies) -> None:
    """A second click, an attached group, a deleted one, a button of a later version."""
    one, two = await a.firing("u1"), await a.firing("u2")
    for action, words in (("unresolve", "is not resolved"), ("dance", "does not know that button")):
        await slack(a, pressed(action, button(a, "ops", one), url=replies.url))
        assert words in await replies.next()
    await a.post(f"/alert_groups/{two}/attach", {"parent_id": one})
    await slack(a, pressed("resolve", button(a, "ops", two), url=replies.url))
    assert "is attached to #1: act on #1" in await replies.next()
    await a.post(f"/alert_groups/{two}/unattach")
    assert (await a.ask("DELETE", f"/alert_groups/{two}?mode=delete")).status == 204
    await slack(a, pressed("resolve", button(a, "ops", two), url=replies.url))
    assert "deleted" in await replies.next()


async def test_who_is_not_slack_gets_nowhere(a: Api) -> None:
    """Wrong secret, another channel's, an old or a future request, no proof at all: 401, and nothing happens."""
    group = await a.firing("u1")
    payload = pressed("acknowledge", button(a, "ops", group))
    now = a.world.now // 1_000_000
    for options in (
        {"secret": "wrong"},
        {"secret": "evil-secret"},
        {"secret": ""},
        {"at": now - 301},
        {"at": now + 301},
        {"headers": {"X-Slack-Signature": ""}},
        {"headers": {"X-Slack-Signature": "v0=é"}},
        {"headers": {"X-Slack-Request-Timestamp": "soon"}},
        {"headers": {"X-Slack-Request-Timestamp": ""}},
        {"to": "nowhere"},
        {"to": "bot"},
    ):
        reply = await slack(a, payload, **options)
        assert (reply.status, reply.problem["type"].rpartition("/")[2]) == (401, "unauthorized"), options
        assert "secret" not in reply.problem["detail"]
    assert await state(a, group) == "firing"
    assert (await slack(a, payload, at=now - 299)).status == 200
    assert await state(a, group) == "acknowledged"


async def test_a_channel_without_its_secret_trusts_nobody(a: Api) -> None:
    """The empty secret is no secret."""
    await declare(
        a, *WORLD, secrets={name: value for name, value in SECRETS.items() if name != ("slack", "signing")}
    )
    await a.world.store.write(lambda c: c.exec_driver_sql("DELETE FROM credential WHERE key = 'signing'"))
    group = await a.firing("u1")
    for secret in ("", "signing-secret"):
        assert (await slack(a, pressed("acknowledge", button(a, "ops", group)), secret=secret)).status == 401


async def test_another_app_is_no_way_in(a: Api, replies: Replies) -> None:
    """Whoever owns an app, its Secret and a Responder of their own cannot act on groups that were never shown in it: the
    buttons of other apps are not valid there, and their own id means nothing in another app.
    """
    group = await a.firing("u1")
    stolen = pressed("resolve", button(a, "ops", group), "U0MALLORY", replies.url)
    await slack(a, stolen, to="evil", secret="evil-secret")
    assert "no longer valid" in await replies.next()
    await slack(a, stolen)
    assert "not known to Tocsin" in await replies.next()
    made_up = pressed("resolve", f"{group}.{'0' * 24}", "U0MALLORY", replies.url)
    await slack(a, made_up, to="evil", secret="evil-secret")
    assert "no longer valid" in await replies.next()
    assert await state(a, group) == "firing"


async def test_an_address_in_a_secret(a: Api) -> None:
    """Counts like one in the resource."""
    group = await a.firing("u1")
    await slack(a, pressed("acknowledge", button(a, "ops", group), "U0CAROL8"))
    assert (await a.get(f"/alert_groups/{group}"))["acknowledged_by"] == "carol"


async def test_a_suspended_person_may_not_act(a: Api, replies: Replies) -> None:
    """Nor one who was deleted: the flow in force decides."""
    rest = [one for one in WORLD if one["metadata"]["name"] != "alice"]
    await declare(a, *rest, person("alice", ("direct", "U0ALICE7"), suspend=True))
    group = await a.firing("u1")
    await slack(a, pressed("acknowledge", button(a, "ops", group), url=replies.url))
    assert "not known to Tocsin" in await replies.next()


@pytest.mark.parametrize(
    "payload",
    [
        pressed("open", ""),
        {"type": "view_submission"},
        {"type": "block_actions", "actions": []},
        {"type": "block_actions", "actions": [5]},
        {"type": "block_actions", "actions": [{"action_id": "silence"}]},
    ],
)
async def test_what_is_no_press_of_ours_is_only_answered(a: Api, payload: dict) -> None:
    """Links under a message are told, too; Slack wants 200 for everything."""
    assert (await slack(a, payload)).status == 200


async def test_a_body_without_json_is_refused(a: Api) -> None:
    for payload in ([], 5, None):
        assert (await slack(a, payload)).status == 400


async def test_a_reply_that_cannot_be_sent_is_only_logged(a: Api) -> None:
    """By host, never by path: the URL is a credential for half an hour."""
    group = await a.firing("u1")
    url = "http://127.0.0.1:1/actions/secret"
    assert (await slack(a, pressed("resolve", button(a, "ops", group), "U0NOBODY", url))).status == 200
    await a.server.close()
    assert "actions/secret" not in a.world.log.getvalue()


async def test_only_posts_are_answered(a: Api) -> None:
    """And only where there is something."""
    assert (await a.ask("GET", str(a.server.make_url("/chat/slack/default/ops")))).status == 405
    assert (await a.ask("POST", str(a.server.make_url("/chat/irc/default/ops")))).status == 404
