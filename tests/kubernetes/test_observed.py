"""What statuses say of deliveries: read from the store, at most once a minute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
from msgspec import to_builtins
from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.control.kubernetes.observed import Ledger
from tocsin.flow.compiler import ChannelFacts, Report
from tocsin.flow.model import Micros
from tocsin.flow.status import Circumstances, Running, status_of
from tocsin.store import channelhealth, webhookruns
from tocsin.store.database import Store
from tocsin.store.keys import KeyRing
from tocsin.store.webhookruns import WebhookRun

NOON = Micros(1_782_907_200_000_000)
"""2026-07-01T12:00Z."""
SECOND = 1_000_000
CHANNEL = Identity("NotificationChannel", "ops", "chat")
WEBHOOK = Identity("OutgoingWebhook", "ops", "hook")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(f"sqlite:///{tmp_path}/t.db", keys=KeyRing.from_file(tmp_path / "key"))
    yield opened
    await opened.close()


def said(identity: Identity, running: Running) -> dict[str, object]:
    """The status as it is written, without the conditions that every object has."""
    facts = {"NotificationChannel": ChannelFacts(type="slack", used_by=2)}.get(identity.kind)
    report = Report(identity=identity) if facts is None else Report(identity=identity, facts=facts)
    status = to_builtins(status_of(report, Circumstances(now=NOON, running=running)))
    last = [(c["type"], c["reason"], c["message"]) for c in status.pop("conditions")][4:]
    return {**status, "also": last}


async def test_a_channel_that_works(store: Store) -> None:
    """To the minute, so that a busy channel is one write a minute."""
    await store.write(lambda c: channelhealth.success(c, "ops/chat", Micros(NOON + 59 * SECOND)))
    running = await store.read(Ledger().read)
    assert said(CHANNEL, running[CHANNEL]) == {
        "type": "slack",
        "lastSent": "2026-07-01T12:00:00Z",
        "usedBy": 2,
        "also": [],
    }


async def test_a_channel_that_fails(store: Store) -> None:
    """Since when and why; what was sent before stays. A success ends it."""

    def fail(connection: Connection) -> None:
        channelhealth.success(connection, "ops/chat", NOON)
        for minute in (1, 2):
            at = Micros(NOON + minute * 60 * SECOND)
            channelhealth.failure(
                connection, "ops/chat", at, reason="authError", error="the token was revoked"
            )

    await store.write(fail)
    running = await store.read(Ledger().read)
    assert said(CHANNEL, running[CHANNEL]) == {
        "type": "slack",
        "lastSent": "2026-07-01T12:00:00Z",
        "lastError": "authError: the token was revoked",
        "failingSince": "2026-07-01T12:01:00Z",
        "usedBy": 2,
        "also": [("DeliveryFailing", "DeliveryFailed", "authError: the token was revoked")],
    }
    await store.write(lambda c: channelhealth.success(c, "ops/chat", Micros(NOON + 180 * SECOND)))
    running = await store.read(Ledger().read)
    assert said(CHANNEL, running[CHANNEL])["also"] == []


def run(minute: int, *, ok: bool, status: int = 0, error: str = "") -> WebhookRun:
    at = Micros(NOON + minute * 60 * SECOND)
    return WebhookRun(group=1, webhook="ops/hook", event="Resolve", at=at, ok=ok, status=status, error=error)


async def test_a_webhook_says_how_its_last_run_went(store: Store) -> None:
    """Failing since the first failure after the last success."""
    for minute, (ok, status, error) in enumerate(
        [(False, 0, "no route"), (True, 200, ""), (False, 503, ""), (False, 0, "timed out")]
    ):
        made = run(minute, ok=ok, status=status, error=error)
        await store.write(partial(webhookruns.add, run=made))
    running = await store.read(Ledger().read)
    assert said(WEBHOOK, running[WEBHOOK]) == {
        "lastRun": "2026-07-01T12:03:00Z",
        "lastError": "timed out",
        "failingSince": "2026-07-01T12:02:00Z",
        "also": [("DeliveryFailing", "DeliveryFailed", "timed out")],
    }
    await store.write(lambda c: webhookruns.add(c, run(4, ok=True, status=204)))
    running = await store.read(Ledger().read)
    assert said(WEBHOOK, running[WEBHOOK]) == {
        "lastRun": "2026-07-01T12:04:00Z",
        "lastStatusCode": 204,
        "also": [],
    }


async def test_an_answer_that_is_a_failure_is_named_by_its_number(store: Store) -> None:
    await store.write(lambda c: webhookruns.add(c, run(0, ok=False, status=500)))
    running = await store.read(Ledger().read)
    assert said(WEBHOOK, running[WEBHOOK])["lastError"] == "the answer was 500"
