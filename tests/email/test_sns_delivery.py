"""SNS end to end: signed by a key whose certificate comes over HTTPS from our own Amazon, into a real store."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from amazon import (
    CERTIFICATE_URL,
    CONFIRMATION_URL,
    HOST,
    TOPIC,
    Amazon,
    alarm,
    certificate,
    envelope,
    headers,
)
from receiving import PAYLOADS, Answer, Receiver, integration

from tocsin.store import groups

PEM = CERTIFICATE_URL.removeprefix(f"https://{HOST}")
CONFIRMATION = CONFIRMATION_URL.removeprefix(f"https://{HOST}")


async def post(running: Receiver, body: Any, name: str = "aws", **more: str) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = body.get("Type", "Notification") if isinstance(body, dict) else "Notification"
    return await running.request("POST", running.url(name), data, headers(kind, **more))


async def start(receiver, amazon: Amazon, **options: Any) -> Receiver:
    return await receiver(integration("aws", "amazon_sns"), client=amazon.client(), **options)


async def test_a_subscription_is_confirmed_and_its_alarms_open_and_resolve(receiver, amazon: Amazon) -> None:
    """The confirmation is asked of Amazon and makes no alert; alarms are read although they are called plain text.

    Rules: R-SNS-1
    """
    running = await start(receiver, amazon)
    answer = await post(running, envelope("You have chosen to subscribe", "SubscriptionConfirmation"))
    assert (answer.status, answer.json) == (200, {"subscription": "confirmed"})
    assert amazon.asked == [PEM, CONFIRMATION]
    assert await running.alerts() == 0

    opened = await post(running, envelope(alarm()))
    assert (opened.status, opened.json["state"], opened.json["created"]) == (200, "firing", True)
    ended = await post(running, envelope(alarm("OK")))
    assert (ended.json["alert_group_id"], ended.json["state"]) == (opened.json["alert_group_id"], "resolved")
    assert await running.payloads() == [json.loads(alarm()), json.loads(alarm("OK"))]
    group = await running.store.read(lambda c: groups.get_by_public_id(c, opened.json["alert_group_id"]))
    assert group is not None
    assert group.title == "shop-5xx"

    gone = await post(running, envelope("You have chosen to deactivate", "UnsubscribeConfirmation"))
    assert (gone.status, gone.json) == (200, {"subscription": "ended"})
    assert await running.alerts() == 2
    assert amazon.asked == [PEM, CONFIRMATION]
    assert f'"topic": "{TOPIC}"' in running.log.getvalue()


async def test_plain_texts_and_raw_deliveries_are_alerts_too(receiver, amazon: Amazon) -> None:
    """A text is stored under `message`; with raw delivery the alarm itself, or the text, is the body and is not signed."""
    running = await start(receiver, amazon)
    assert (await post(running, envelope("Backup failed."))).status == 200
    raw = (PAYLOADS / "aws_sns/raw_delivery.json").read_bytes()
    assert (await post(running, raw, **{"x-amz-sns-rawdelivery": "true"})).status == 200
    assert (
        await post(running, b"Backup f\xfcr db-1 failed.", **{"x-amz-sns-rawdelivery": "true"})
    ).status == 200
    assert await running.payloads() == [
        {"message": "Backup failed."},
        json.loads(raw),
        {"message": "Backup für db-1 failed."},
    ]


async def test_the_certificate_is_fetched_once(receiver, amazon: Amazon) -> None:
    """Whatever comes later, from many senders at once; both versions of the signature are known."""
    running = await start(receiver, amazon)
    for version in ("1", "2", "2"):
        assert (await post(running, envelope(alarm(), SignatureVersion=version))).status == 200
    await asyncio.gather(*(post(running, envelope(alarm(name=str(number)))) for number in range(20)))
    assert amazon.asked == [PEM]
    assert await running.alerts() == 23


FORGED: list[tuple[dict[str, Any], str]] = [
    ({"Message": alarm("OK")}, "body.Signature"),
    ({"TopicArn": "arn:aws:sns:eu-west-1:1:other"}, "body.Signature"),
    ({"Type": "SubscriptionConfirmation", "SubscribeURL": CONFIRMATION_URL}, "body.Signature"),
    ({"Signature": ""}, "body.Signature"),
    ({"SignatureVersion": "9"}, "body.SignatureVersion"),
    ({"SigningCertURL": "https://evil.example/SimpleNotificationService-1.pem"}, "body.SigningCertURL"),
    ({"SigningCertURL": CERTIFICATE_URL.replace("https", "http")}, "body.SigningCertURL"),
    ({"SigningCertURL": f"https://{HOST}/?Action=anything.pem"}, "body.SigningCertURL"),
]


@pytest.mark.parametrize(("changes", "field"), FORGED)
async def test_what_is_not_genuine_is_refused_and_stored_nowhere(
    receiver, amazon: Amazon, changes: dict[str, Any], field: str
) -> None:
    """400 that names the field. Nothing but Amazon's own addresses is ever asked, and no confirmation without a signature."""
    running = await start(receiver, amazon)
    answer = await post(running, {**envelope(alarm()), **changes})
    assert answer.status == 400
    assert (answer.problem["type"].rpartition("/")[2], answer.problem["field"]) == ("sns-not-genuine", field)
    assert await running.alerts() == 0
    assert set(amazon.asked) <= {PEM}
    assert (
        running.metric("tocsin_requests_refused_total", integration="default/aws", reason="sns-not-genuine")
        == 1
    )


@pytest.mark.parametrize(
    "name", ["subscription_confirmation", "subscription_confirmation_ssrf", "cloudwatch_alarm"]
)
async def test_collected_envelopes_with_invented_signatures_are_refused(
    receiver, amazon: Amazon, name: str
) -> None:
    """The metadata service of a cloud is not asked, nor is a confirmation that nobody signed."""
    amazon.status = 404
    running = await start(receiver, amazon)
    assert (await post(running, (PAYLOADS / f"aws_sns/{name}.json").read_bytes())).problem["status"] == 400
    assert await running.alerts() == 0
    assert CONFIRMATION not in amazon.asked


async def test_while_amazon_cannot_be_asked_sns_is_told_to_send_again(receiver, amazon: Amazon) -> None:
    """An alarm is not lost to a failure that passes: 503, which SNS repeats, and the same delivery is taken later."""
    running = await start(receiver, amazon)
    body = envelope(alarm())
    amazon.status = 500
    answer = await post(running, body)
    assert answer.problem["status"] == 503
    assert int(answer.headers["retry-after"]) > 0
    amazon.status = 200
    assert (await post(running, body)).status == 200
    amazon.confirmation_status = 503
    confirmation = envelope("You have chosen", "SubscriptionConfirmation")
    assert (await post(running, confirmation)).problem["status"] == 503
    amazon.confirmation_status = 400
    assert (await post(running, confirmation)).problem["status"] == 400
    assert await running.alerts() == 1


async def test_what_is_no_certificate_is_not_kept(receiver, amazon: Amazon) -> None:
    """Neither a page that contains one somewhere, nor an answer that is too long."""
    running = await start(receiver, amazon)
    for body in (b"<xml>" + certificate(), b"-----BEGIN CERTIFICATE-----\nAAAA\n", b""):
        amazon.body = body
        assert (await post(running, envelope(alarm()))).problem["status"] == 400
    amazon.body = certificate() + b"x" * 100_000
    assert (await post(running, envelope(alarm()))).problem["status"] == 503


async def test_private_addresses_are_only_asked_where_the_operator_allows_it(
    receiver, amazon: Amazon
) -> None:
    """A name of Amazon that leads into the own network is not asked, and the log says which setting would allow it."""
    running = await receiver(integration("aws", "amazon_sns"), client=amazon.client(allowed=()))
    answer = await post(running, envelope(alarm()))
    assert answer.problem["status"] == 503
    assert "127.0.0.1 is loopback" in answer.problem["detail"]
    assert amazon.asked == []
    assert "Amazon SNS cannot be asked" in running.log.getvalue()


async def test_secrets_of_an_envelope_are_neither_stored_nor_logged(receiver, amazon: Amazon) -> None:
    """Whoever reads them could confirm or end the subscription."""
    running = await start(receiver, amazon)
    await post(running, envelope("You have chosen", "SubscriptionConfirmation"))
    await post(running, envelope("Backup failed."))
    stored = json.dumps(await running.payloads())
    for secret in ("2336412f", "Unsubscribe", "6590056b"):
        assert secret not in stored
        assert secret not in running.log.getvalue()


async def test_a_suspended_integration_keeps_the_message_without_its_envelope(
    receiver, amazon: Amazon
) -> None:
    """Dead letters hold what the alert would have been."""
    running = await receiver(integration("aws", "amazon_sns", suspend=True), client=amazon.client())
    assert (await post(running, envelope(alarm()))).json["reason"] == "suspended"
    [(_, body)] = await running.dead_letters()
    assert json.loads(body) == json.loads(alarm())


async def test_texts_that_databases_refuse_are_repaired_after_the_signature_was_checked(
    receiver, amazon: Amazon
) -> None:
    """The signature covers the text as it was sent; what is stored has U+FFFD in place of NUL."""
    running = await start(receiver, amazon)
    assert (await post(running, envelope("a\x00b"))).status == 200
    assert (await post(running, envelope(alarm(note="c\x00d")))).status == 200
    first, second = await running.payloads()
    assert first == {"message": "a\ufffdb"}
    assert second["note"] == "c\ufffdd"
