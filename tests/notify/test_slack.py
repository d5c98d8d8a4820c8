"""Slack, against a server with the limits and errors of its public documentation."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
from slack_service import SECRETS, TOKEN, SlackService, actions, target, texts
from vendors import NOBODY, Scripted, channel, failure, group

from tocsin.flow.groups import State
from tocsin.notify.channel import FailureReason
from tocsin.notify.message import BundleItem, Recipient
from tocsin.notify.slack_text import rendered


@pytest.fixture
async def slack() -> AsyncIterator[SlackService]:
    async with SlackService.running() as service:
        yield service


async def test_a_message_with_everything(slack: SlackService) -> None:
    """Title with number and link, text, image, facts, colour, buttons; nothing unfurls; the key goes with it."""
    async with channel(target(slack), SECRETS) as made:
        sent = await made.send(group(image_url="https://x/a.png", reason="step 1"), NOBODY)
    assert sent.reference == f"C0ALERTS/{sent.receipt}"
    got = slack.last
    assert (
        got["blocks"][0]["text"]["text"] == "<https://tocsin.example/groups/IABCDEFGHJKLM|#12> Disk is full"
    )
    assert [block["type"] for block in got["attachments"][0]["blocks"]] == [
        "section",
        "image",
        "context",
        "actions",
    ]
    assert got["attachments"][0]["color"] == "#d7263d"
    assert actions(got) == ["acknowledge", "resolve", "silence", "open", "source"]
    assert got["metadata"]["event_payload"] == {"key": "group/12/1/ops/chat/0"}
    assert (got["unfurl_links"], got["unfurl_media"]) == (False, False)
    assert "step 1" in texts(got)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.FIRING, ["acknowledge", "resolve", "silence"]),
        (State.ACKNOWLEDGED, ["unacknowledge", "resolve", "silence"]),
        (State.SILENCED, ["acknowledge", "unsilence", "resolve"]),
        (State.RESOLVED, ["unresolve"]),
    ],
)
async def test_the_first_message_follows_the_state(
    slack: SlackService, state: State, expected: list[str]
) -> None:
    """An edit of the same message: its colour, who did it, and what can be done next."""
    async with channel(target(slack), SECRETS) as made:
        first = await made.send(group(source_link=""), NOBODY)
        await made.update(
            group(
                kind="update",
                state=state,
                source_link="",
                link="",
                acknowledged_by="alice",
                resolved_by="bob",
            ),
            first.reference,
        )
    assert len(slack.posts) == 1
    assert actions(slack.last) == expected
    said = texts(slack.last)
    assert ("Acknowledged by alice" in said, "Resolved by bob" in said) == (
        state is State.ACKNOWLEDGED,
        state is State.RESOLVED,
    )


async def test_without_a_signing_secret_there_are_no_buttons_that_could_not_work(slack: SlackService) -> None:
    """Links stay."""
    async with channel(target(slack, signed=False), {"slack.tokenSecretRef": TOKEN}) as made:
        await made.send(group(), NOBODY)
    assert actions(slack.last) == ["open", "source"]


async def test_people_are_told_in_the_thread_of_the_group(slack: SlackService) -> None:
    """By mention, with the reason; a reminder that wants an answer has the button for it, and only that."""
    async with channel(target(slack), SECRETS) as made:
        first = await made.send(group(), NOBODY)
        alice = Recipient(address="U0ALICE7", name="Alice")
        await made.send(group(kind="personal", thread=first.reference, reason="you are on call"), alice)
        told = slack.last
        await made.send(group(kind="reminder", thread=first.reference, confirm=True), alice)
    assert (told["channel"], told["thread_ts"]) == ("C0ALERTS", first.receipt)
    assert told["text"].startswith("<@U0ALICE7> <https://tocsin.example/")
    assert "you are on call" in told["text"]
    elements = slack.last["blocks"][1]["elements"]
    assert [element["action_id"] for element in elements] == ["confirm"]


async def test_a_step_that_tells_the_channel_again_answers_to_the_message(slack: SlackService) -> None:
    """In the thread, and in the channel as well, which is to be told again."""
    async with channel(target(slack), SECRETS) as made:
        first = await made.send(group(), NOBODY)
        await made.send(group(thread=first.reference, reason="step 3"), NOBODY)
    assert (slack.last["thread_ts"], slack.last["reply_broadcast"]) == (first.receipt, True)
    assert "step 3" in slack.last["text"]
    assert "attachments" not in slack.last


async def test_a_place_that_is_told_for_somebody_says_for_whom(slack: SlackService) -> None:
    """A fallback on which the person has no address."""
    async with channel(target(slack), SECRETS) as made:
        await made.send(group(kind="personal", reason="on call"), Recipient(name="<!here> Alice"))
    assert "for &lt;!here&gt; Alice: on call" in texts(slack.last)


async def test_without_a_thread_people_are_told_directly(slack: SlackService) -> None:
    """The group was not posted to this channel: a message to the person, with everything (unlike R-CHT-4)."""
    async with channel(target(slack, ""), SECRETS) as made:
        await made.send(group(kind="personal"), Recipient(address="U0ALICE7"))
        assert slack.last["channel"] == "U0ALICE7"
        failed = await failure(made.send(group(), NOBODY))
    assert (failed.reason, failed.permanent) == (FailureReason.CLIENT_ERROR, True)
    assert "spec.slack.channel" in failed.message


async def test_long_texts_are_cut_and_say_so(slack: SlackService) -> None:
    """Newlines leave the title; title and text fit Slack's blocks, nothing is cut in half, and the link is always there.
    With several alerts a line says that only the last one is shown.

    Rules: R-TPL-26
    """
    link = "<https://runbooks.example/a|the runbook>"
    body = "x" * 2_930 + link + "y" * 5_000
    async with channel(target(slack), SECRETS) as made:
        await made.send(group(title="a\n" + "t" * 5_000, text=body, alerts_count=7), NOBODY)
        await made.send(group(text="```\n" + "&" * 6_000 + "\n```"), NOBODY)
    first, second = (json.loads(one.body) for one in slack.received)
    title = first["blocks"][0]["text"]["text"]
    assert title.startswith("<https://tocsin.example/groups/IABCDEFGHJKLM|#12> a ttt")
    assert title.endswith("of 5002 characters shown]")
    shown = first["attachments"][0]["blocks"][0]["text"]["text"]
    assert shown.startswith("xxx")
    assert "<https://run" not in shown
    assert "[cut: 2930 of 7970 characters shown]" in shown
    assert "7 alerts, only the last one is shown" in texts(first)
    code = second["attachments"][0]["blocks"][0]["text"]["text"]
    assert code.count("```") == 2
    assert code.replace("&amp;", "").count("&") == 0


async def test_rendered_texts_mention_nobody(slack: SlackService) -> None:
    """Whatever a template gives: links and formatting stay, calls to people and half markup are shown as they are written."""
    given = "<!channel> <@U1ALICE> <#C1|x> <!subteam^S1> @here <https://x/|book> *b* <javascript:alert(1)|x> a < b & c"
    async with channel(target(slack), SECRETS) as made:
        await made.send(group(title=given, text=given), NOBODY)
    for text in (
        slack.last["blocks"][0]["text"]["text"],
        slack.last["attachments"][0]["blocks"][0]["text"]["text"],
    ):
        for harmless in (
            "&lt;!channel&gt;",
            "&lt;@U1ALICE&gt;",
            "&lt;#C1|x&gt;",
            "&lt;!subteam^S1&gt;",
            "@\u200bhere",
        ):
            assert harmless in text
        assert "<https://x/|book> *b* &lt;javascript:alert(1)|x&gt; a &lt; b &amp; c" in text


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("see https://x/a?b=1&c=2.", "see <https://x/a?b=1&amp;c=2>."),
        ("(https://x/a)", "(<https://x/a>)"),
        ("<https://x/a> <https://x/a|t>", "<https://x/a> <https://x/a|t>"),
        (
            "&lt;https://evil|bank&gt; &lt;https://evil&gt;",
            "&lt;<https://evil>|bank&gt; &lt;<https://evil>&gt;",
        ),
        ("*https://x/a*", "*<https://x/a>*"),
    ],
)
def test_addresses_can_be_followed(given: str, shown: str) -> None:
    """Slack is told to make nothing of its own of a text, so they are links here; what is shown is where it leads."""
    assert rendered(given) == shown


async def test_plain_texts_have_no_markup(slack: SlackService) -> None:
    """Announcements, bundles, template errors and names are plain, whatever they hold; addresses can be followed."""
    evil = "<!here> <https://evil|click>"
    items = tuple(BundleItem(number=n, title=evil, link="https://t/a|b>") for n in range(40))
    async with channel(target(slack), SECRETS) as made:
        await made.send(
            group(kind="bundle", number=0, public_id="", title=evil, text=evil, items=items, total=99), NOBODY
        )
        bundle = texts(slack.last)
        await made.send(
            group(errors=(evil,), labels=(("a", evil),), integration=evil, acknowledged_by=evil), NOBODY
        )
    for said in (bundle, texts(slack.last)):
        assert "<!here>" not in said
        assert "<https://evil|" not in said
    assert "and 79 more" in bundle
    assert "<https://t/a%7Cb&gt;|#3>" in bundle
    assert "Template failed" in texts(slack.last)


async def test_an_image_that_slack_cannot_fetch_keeps_nobody_from_being_told(slack: SlackService) -> None:
    """Slack refuses the whole message then; it is sent once more with a link in the image's place."""
    slack.broken_images.add("https://intranet/a.png")
    async with channel(target(slack), SECRETS) as made:
        await made.send(group(image_url="https://intranet/a.png"), NOBODY)
    assert len(slack.received) == 2
    assert "<https://intranet/a.png|image" in texts(slack.last)


@pytest.mark.parametrize(
    ("error", "reason", "permanent"),
    [
        ("token_revoked", FailureReason.AUTH_ERROR, True),
        ("invalid_auth", FailureReason.AUTH_ERROR, True),
        ("account_inactive", FailureReason.AUTH_ERROR, True),
        ("channel_not_found", FailureReason.CLIENT_ERROR, True),
        ("is_archived", FailureReason.CLIENT_ERROR, True),
        ("restricted_action", FailureReason.CLIENT_ERROR, True),
        ("ratelimited", FailureReason.RATE_LIMITED, False),
        ("fatal_error", FailureReason.SERVER_ERROR, False),
        ("request_timeout", FailureReason.TIMEOUT, False),
        ("something_new", FailureReason.OTHER, False),
    ],
)
async def test_what_errors_mean(
    slack: SlackService, error: str, reason: FailureReason, permanent: bool
) -> None:
    """What cannot heal (R-CHT-7) is not tried again; rate limits, timeouts, Slack's own troubles and unknown errors are."""
    slack.script.append(Scripted(body={"ok": False, "error": error}, headers={"Retry-After": "7"}))
    async with channel(target(slack), SECRETS) as made:
        failed = await failure(made.send(group(), NOBODY))
    assert (failed.reason, failed.permanent, failed.retry_after) == (reason, permanent, 7.0)
    assert error in failed.message


async def test_the_rate_limit_says_when_to_come_back(slack: SlackService) -> None:
    slack.script.append(Scripted(status=429, headers={"Retry-After": "30"}, body={"ok": False}))
    async with channel(target(slack), SECRETS) as made:
        failed = await failure(made.send(group(), NOBODY))
    assert (failed.reason, failed.retry_after, failed.permanent) == (FailureReason.RATE_LIMITED, 30.0, False)


async def test_a_wrong_token_is_not_in_the_error(slack: SlackService) -> None:
    """Also where Slack would repeat it."""
    slack.script.append(Scripted(body={"ok": False, "error": "no xoxb-other-token\n"}))
    async with channel(target(slack), {**SECRETS, "slack.tokenSecretRef": "xoxb-other-token"}) as made:
        told = [str(await failure(made.send(group(), NOBODY))) for _ in range(2)]
    assert told[0] == "Slack says no ***"
    assert "token into the Secret" in told[1]
    assert "xoxb" not in "".join(told)
