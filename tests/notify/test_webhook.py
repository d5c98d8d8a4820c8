"""The generic webhook: its document, its signature, its errors."""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web
from vendors import NOBODY, Received, Scripted, Service, channel, failure, group

from tocsin.api.common import KeyRef
from tocsin.api.notificationchannel import ChannelTarget, WebhookChannel
from tocsin.flow.groups import State
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.message import BundleItem, Recipient

REF = KeyRef(name="s", key="k")
SECRETS = {
    "webhook.urlSecretRef": "",
    "webhook.bearerSecretRef": "bearer-secret",
    "webhook.hmacSecretRef": "hmac-secret",
}
TARGET = ChannelTarget(webhook=WebhookChannel(url_secret_ref=REF, bearer_secret_ref=REF, hmac_secret_ref=REF))


class Endpoint(Service):
    """Checks what docs/channels.md tells receivers to check."""

    def answer(self, got: Received) -> web.Response:
        if got.headers.get("Authorization") != "Bearer bearer-secret":
            return web.Response(status=401, text="who are you? not bearer-secret")
        found = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", got.headers.get("X-Tocsin-Signature", ""))
        if found is None or abs(time.time() - int(found[1])) > 300:
            return web.Response(status=403)
        expected = hmac.new(b"hmac-secret", found[1].encode() + b"." + got.body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, found[2]):
            return web.Response(status=403)
        return web.Response(status=204, headers={"X-Request-Id": "r-1"})


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with Endpoint.running() as service:
        yield service


def secrets(service: Service) -> dict[str, str]:
    return {**SECRETS, "webhook.urlSecretRef": f"{service.url}/hook/secret-path"}


async def test_the_document(endpoint: Endpoint) -> None:
    """Version v1, signed, with the idempotency key in the body and as a header."""
    async with channel(TARGET, secrets(endpoint)) as made:
        sent = await made.send(
            group(
                kind="personal",
                state=State.SILENCED,
                silenced_until=1_782_000_600_500_000,
                reason="on call",
                errors=("slot: no",),
            ),
            Recipient(address="a", name="Alice"),
        )
    assert sent.receipt == "r-1"
    got = endpoint.received[0]
    assert got.headers["Idempotency-Key"] == "group/12/1/ops/chat/0"
    assert got.headers["Content-Type"] == "application/json; charset=utf-8"
    assert got.json == {
        "version": "v1",
        "kind": "personal",
        "idempotencyKey": "group/12/1/ops/chat/0",
        "title": "Disk is full",
        "text": "only 1 % left",
        "imageUrl": "",
        "link": "https://tocsin.example/groups/IABCDEFGHJKLM",
        "reason": "on call",
        "recipient": {"address": "a", "name": "Alice"},
        "templateErrors": ["slot: no"],
        "alertGroup": {
            "id": "IABCDEFGHJKLM",
            "number": 12,
            "state": "silenced",
            "integration": "Shop",
            "team": "",
            "labels": {"severity": "critical"},
            "alertsCount": 1,
            "startedAt": "2026-06-21T00:00:00Z",
            "acknowledgedBy": "",
            "resolvedBy": "",
            "silencedUntil": "2026-06-21T00:10:00.500000Z",
            "sourceLink": "https://prometheus.example/graph?a=1&b=2",
        },
    }


async def test_bundles_and_announcements(endpoint: Endpoint) -> None:
    """No single group; a bundle lists its groups and says how many there are."""
    items = (BundleItem(number=1, title="a", link="https://t/1"),)
    async with channel(TARGET, secrets(endpoint)) as made:
        await made.send(group(kind="bundle", number=0, items=items, total=9), NOBODY)
        bundle = endpoint.last
        await made.send(group(kind="announcement", number=0), NOBODY)
        assert (await failure(made.update(group(), ""))).permanent
    assert (bundle["total"], bundle["items"]) == (9, [{"number": 1, "title": "a", "link": "https://t/1"}])
    assert bundle["alertGroup"] is None
    assert "items" not in endpoint.last


async def test_a_url_in_the_resource(endpoint: Endpoint) -> None:
    """Unsigned where there is no secret."""
    plain = ChannelTarget(webhook=WebhookChannel(url=f"{endpoint.url}/open"))
    endpoint.script.append(Scripted())
    async with channel(plain, {}) as made:
        await made.send(group(), NOBODY)
    assert endpoint.received[0].path == "/open"
    assert not {"Authorization", "X-Tocsin-Signature"} & set(endpoint.received[0].headers)


@pytest.mark.parametrize(
    ("status", "reason", "permanent"),
    [
        (301, FailureReason.CLIENT_ERROR, True),
        (400, FailureReason.CLIENT_ERROR, True),
        (401, FailureReason.AUTH_ERROR, True),
        (403, FailureReason.AUTH_ERROR, True),
        (404, FailureReason.CLIENT_ERROR, True),
        (408, FailureReason.SERVER_ERROR, False),
        (429, FailureReason.RATE_LIMITED, False),
        (500, FailureReason.SERVER_ERROR, False),
        (503, FailureReason.SERVER_ERROR, False),
    ],
)
async def test_what_answers_mean(
    endpoint: Endpoint, status: int, reason: FailureReason, permanent: bool
) -> None:
    """The same for all channels; nothing of the URL and of what was answered is in the error."""
    endpoint.script.append(
        Scripted(status=status, body=b"secret-path bearer-secret", headers={"Location": "/x"})
    )
    async with channel(TARGET, secrets(endpoint)) as made:
        failed = await failure(made.send(group(), NOBODY))
    assert (failed.reason, failed.permanent) == (reason, permanent)
    assert f"127.0.0.1 answered {status}" in str(failed)
    assert "secret" not in str(failed)
    assert len(endpoint.received) == 1


@pytest.mark.parametrize(
    ("given", "low", "high"),
    [
        ("30", 30, 30),
        ("2.5", 2.5, 2.5),
        ("-5", 0, 0),
        ("999999999", 86_400, 86_400),
        ("in an hour", 3_500, 3_600),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0, 0),
        ("soon", None, None),
        ("nan", None, None),
        ("", None, None),
    ],
)
async def test_when_to_come_back(
    endpoint: Endpoint, given: str, low: float | None, high: float | None
) -> None:
    """Seconds or a date, a day at most; nonsense is no answer."""
    if given == "in an hour":
        given = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    endpoint.script.append(Scripted(status=503, headers={"Retry-After": given}))
    async with channel(TARGET, secrets(endpoint)) as made:
        wait = (await failure(made.send(group(), NOBODY))).retry_after
    assert wait is None if low is None or high is None else wait is not None and low <= wait <= high


async def test_no_answer_in_time(endpoint: Endpoint) -> None:
    """Nobody knows whether it arrived: to be tried again, with the same key."""
    async with channel(TARGET, secrets(endpoint), timeout=0.000_001) as made:
        failed = await failure(made.send(group(), NOBODY))
    assert (failed.reason, failed.permanent) == (FailureReason.TIMEOUT, False)
    assert "secret" not in str(failed)


async def test_private_addresses_need_the_operators_word(endpoint: Endpoint) -> None:
    """No field of a resource can allow them; the error says what can."""
    async with channel(TARGET, secrets(endpoint), allowed=()) as made:
        failed = await failure(made.send(group(), NOBODY))
    assert (failed.reason, failed.permanent) == (FailureReason.CLIENT_ERROR, True)
    assert "--allow-outgoing" in str(failed)
    assert endpoint.received == []


async def test_nobody_answers_at_all(endpoint: Endpoint) -> None:
    endpoint.port = 1
    async with channel(TARGET, secrets(endpoint)) as made:
        failed = await failure(made.send(group(), NOBODY))
    assert (failed.reason, failed.permanent) == (FailureReason.OTHER, False)
    assert "secret" not in str(failed)


async def test_a_missing_secret_is_said_by_name() -> None:
    """Never sent without the credential that was declared."""
    with pytest.raises(DeliveryFailed, match=r"spec\.webhook\.hmacSecretRef: Secret ops/s has no value"):
        async with channel(
            TARGET, {**SECRETS, "webhook.urlSecretRef": "https://x/", "webhook.hmacSecretRef": ""}
        ):
            pass


async def test_half_a_letter_is_sent_as_a_question_mark(endpoint: Endpoint) -> None:
    """A template may cut a pair of surrogates; somebody is told all the same."""
    async with channel(TARGET, secrets(endpoint)) as made:
        await made.send(group(text="\ud83d"), NOBODY)
    assert endpoint.last["text"] == "?"
