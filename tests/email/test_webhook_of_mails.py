"""Mails end to end: every provider's own request on a real socket, into a real store."""

from __future__ import annotations

import json
from typing import Any

import pytest
from amazon import TOPIC, Amazon, envelope, headers
from mails import (
    BASIC,
    DOMAIN,
    FORM,
    JSON,
    PAYLOAD,
    PROVIDERS,
    SECRET,
    URL,
    address,
    deliver,
    mailgun,
    mandrill,
    multipart,
    of_json,
    ses,
    settings,
)
from receiving import integration, token_of

from tocsin.receive.email import checked
from tocsin.store import groups


@pytest.mark.parametrize("name", sorted(PROVIDERS))
async def test_the_mail_of_each_provider_is_an_alert(receiver, amazon: Amazon, name: str) -> None:
    """Attachments are passed over; subject, text and sender are the payload, the envelope's recipient is the Integration."""
    running = await receiver(
        integration("mail", "inbound_email"), settings=settings(name), client=amazon.client()
    )
    answer = await deliver(running, PROVIDERS[name](address()))
    assert (answer.status, answer.json["created"]) == (200, True)
    assert await running.payloads() == [PAYLOAD]
    group = await running.store.read(lambda c: groups.get_by_public_id(c, answer.json["alert_group_id"]))
    assert group is not None
    assert (group.title, str(group.integration)) == ("Disk full", "Integration/default/mail")


@pytest.mark.parametrize("name", sorted(PROVIDERS))
async def test_what_proves_itself_to_no_configured_provider_is_refused(
    receiver, amazon: Amazon, name: str
) -> None:
    """With another secret, topic or provider in the settings: 400, nothing stored."""
    other = "mailjet" if name == "mailgun" else "mailgun"
    running = await receiver(
        integration("mail", "inbound_email"),
        settings=settings(name, email_secret="user:other", email_ses_topic="arn:aws:sns:eu-west-1:1:other"),
        client=amazon.client(),
    )
    assert (await deliver(running, PROVIDERS[name](address()))).problem["type"].endswith("/mail-not-proven")
    elsewhere = await receiver(
        integration("mail", "inbound_email"), settings=settings(other), client=amazon.client()
    )
    assert (await deliver(elsewhere, PROVIDERS[name](address()))).problem["status"] == 400
    assert await running.alerts() == await elsewhere.alerts() == 0


async def test_providers_are_tried_in_order(receiver, amazon: Amazon) -> None:
    """Whoever recognises the request gets it; without a configured provider there is no such URL.

    Rules: R-EML-1
    """
    running = await receiver(
        integration("mail", "inbound_email"), settings=settings(*sorted(PROVIDERS)), client=amazon.client()
    )
    for name in sorted(PROVIDERS):
        assert (await deliver(running, PROVIDERS[name](address()))).status == 200, name
    assert await running.payloads() == [PAYLOAD] * len(PROVIDERS)
    off = await receiver(integration("mail", "inbound_email"))
    for method in ("HEAD", "GET", "POST"):
        assert (await off.request(method, URL, b"")).status == 404


@pytest.mark.parametrize(
    "url", [URL, URL.rstrip("/"), "//integrations//v1/inbound_email_webhook//", URL + "?x=1"]
)
async def test_probes_get_200_and_other_methods_405(receiver, url: str) -> None:
    """HEAD is how providers look whether someone is there. Slashes mean nothing, nothing is redirected.

    Rules: R-EML-3
    """
    running = await receiver(integration("mail", "inbound_email"), settings=settings("mailgun"))
    assert (await running.request("HEAD", url)).status == 200
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        answer = await running.request(method, url)
        assert (answer.problem["status"], answer.headers["allow"]) == (405, "HEAD, POST")
    assert (await deliver(running, multipart(mailgun(address())), url)).status == 200


@pytest.mark.parametrize(
    ("to", "status"),
    [
        ("", 400),
        ("someone@example.com", 400),
        (f"@{DOMAIN}", 400),
        (f"{token_of('mail')}@{DOMAIN}.evil.example", 400),
        (f"nobody-has-this-token-here@{DOMAIN}", 403),
        (f"nobody/heartbeat@{DOMAIN}", 403),
        (f"{token_of('hook')}@{DOMAIN}", 400),
        (f"first@example.com, {token_of('mail')}@{DOMAIN.upper()}", 200),
        (f"<{token_of('mail')}@{DOMAIN}>", 200),
    ],
)
async def test_the_envelope_recipient_says_whose_the_mail_is(receiver, to: str, status: int) -> None:
    """No match is 400, an unknown token 403; a token of another type takes no mails. To and Cc are not looked at."""
    running = await receiver(
        integration("mail", "inbound_email"), integration("hook"), settings=settings("mailgun")
    )
    answer = await deliver(running, multipart(mailgun(to, To=address(), Cc=address())))
    assert answer.status == status
    assert await running.alerts() == (status == 200)
    if status != 200:
        assert answer.problem["field"] == "envelope recipient"
        assert token_of("mail") not in answer.body.decode()


async def test_a_mail_that_says_ok_resolves(receiver) -> None:
    """Mails are grouped by their subject in any case, replies included; the whole text decides, not a part of it."""
    running = await receiver(integration("mail", "inbound_email"), settings=settings("mailgun"))
    opened = (await deliver(running, multipart(mailgun(address())))).json
    same = (await deliver(running, multipart(mailgun(address(), subject="DISK FULL")))).json
    words = (await deliver(running, multipart(mailgun(address(), **{"body-plain": "ok, but"})))).json
    over = (
        await deliver(
            running, multipart(mailgun(address(), subject="Re: disk full", **{"body-plain": " Ok\r\n"}))
        )
    ).json
    assert {one["alert_group_id"] for one in (opened, same, words, over)} == {opened["alert_group_id"]}
    assert [one["state"] for one in (opened, same, words, over)] == ["firing", "firing", "firing", "resolved"]


async def test_mails_over_the_rate_limit_act_in_full(receiver) -> None:
    """As alerts of all other types: the payload is not kept, the effect is."""
    limited = integration("mail", "inbound_email", rateLimit={"alerts": 1, "period": "1h"})
    running = await receiver(limited, settings=settings("mailgun"))
    await deliver(running, multipart(mailgun(address())))
    over = await deliver(running, multipart(mailgun(address(), **{"body-plain": "OK"})))
    assert (over.status, over.json["digested"], over.json["state"]) == (200, True, "resolved")


async def test_the_url_of_mandrill_may_be_another_one(receiver) -> None:
    """It signs the URL that it was given, which a proxy may have changed on the way."""
    public = "https://tocsin.example.com/mails"
    running = await receiver(
        integration("mail", "inbound_email"), settings=settings("mandrill", email_url=public)
    )
    assert (await deliver(running, mandrill(address(), public))).status == 200
    assert (await deliver(running, mandrill(address()))).status == 400


@pytest.mark.parametrize("provider", ["amazon_ses", "amazon_ses_validated"])
async def test_the_subscription_of_ses_is_confirmed(receiver, amazon: Amazon, provider: str) -> None:
    """By secret or by signature; unproven, nothing is asked of anyone."""
    running = await receiver(
        integration("mail", "inbound_email"), settings=settings(provider), client=amazon.client()
    )
    kind = "SubscriptionConfirmation"
    body = json.dumps(envelope("You have chosen", kind)).encode()
    proof = BASIC if provider == "amazon_ses" else {}
    assert (await deliver(running, (body, headers(kind, **proof)))).json == {"subscription": "confirmed"}
    assert amazon.asked[-1].startswith("/?Action=ConfirmSubscription")
    asked = len(amazon.asked)
    other = json.dumps(envelope("You have chosen", kind, TopicArn=TOPIC + "2")).encode()
    assert (await deliver(running, (other, headers(kind)))).problem["status"] == 400
    assert len(amazon.asked) == asked
    assert await running.alerts() == 0


async def test_a_wrong_signature_of_ses_is_refused(receiver, amazon: Amazon) -> None:
    """Nor does the secret help where the signature is what counts."""
    running = await receiver(
        integration("mail", "inbound_email"),
        settings=settings("amazon_ses_validated"),
        client=amazon.client(),
    )
    forged = {**envelope(ses(address())), "Message": ses("x@y.example")}
    assert (await deliver(running, (json.dumps(forged).encode(), headers(**BASIC)))).problem["status"] == 400
    unsigned = {"Type": "Notification", "Message": ses(address())}
    assert (await deliver(running, (json.dumps(unsigned).encode(), headers(**BASIC)))).problem[
        "status"
    ] == 400
    assert (await deliver(running, (json.dumps(unsigned).encode(), {**JSON, **BASIC}))).problem[
        "status"
    ] == 400
    assert await running.alerts() == 0


async def test_large_mails_are_taken_up_to_the_body_limit(receiver) -> None:
    """Attachments count for the limit although they are not kept; beyond it the answer is 413."""
    running = await receiver(
        integration("mail", "inbound_email"), settings=settings("mailgun", body_limit=500_000)
    )
    assert (await deliver(running, multipart(mailgun(address()), file=b"x" * 400_000))).status == 200
    assert (await deliver(running, multipart(mailgun(address()), file=b"x" * 600_000))).problem[
        "status"
    ] == 413
    assert await running.payloads() == [PAYLOAD]
    assert running.metric("tocsin_bodies_in_flight_bytes") == 0


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b"", {}),
        (b"no form", {"Content-Type": "multipart/form-data"}),
        (b"--b\r\nbroken", {"Content-Type": "multipart/form-data; boundary=b"}),
        (b"\xff\xfe", FORM),
        (b"[" * 100_000, {**JSON, **BASIC}),
        (b"{}", {**JSON, **BASIC, "x-amz-sns-message-type": "Notification"}),
        (b"{}", {"Authorization": "Basic \xff", "X-Mandrill-Signature": "\xff"}),
    ],
)
async def test_broken_requests_are_400(receiver, body: bytes, sent: dict[str, str]) -> None:
    """Never an exception, never stored."""
    running = await receiver(integration("mail", "inbound_email"), settings=settings(*sorted(PROVIDERS)))
    assert (await deliver(running, (body, sent))).problem["status"] == 400
    assert "request failed" not in running.log.getvalue()
    assert await running.alerts() == 0


async def test_a_mail_for_a_suspended_integration_is_a_dead_letter(receiver) -> None:
    """As a payload, without what proved it."""
    running = await receiver(integration("mail", "inbound_email", suspend=True), settings=settings("mailgun"))
    assert (await deliver(running, multipart(mailgun(address())))).json["reason"] == "suspended"
    [(_, body)] = await running.dead_letters()
    assert json.loads(body) == PAYLOAD


async def test_a_new_integration_gets_its_mails_at_once(receiver) -> None:
    """A token that this process does not know yet is looked up, as for all URLs."""
    running = await receiver(integration("mail", "inbound_email"), settings=settings("mailgun"))
    running.clock[0] += 10
    await running.put_token("mail", "another-token-of-the-same")
    answer = await deliver(running, multipart(mailgun(f"another-token-of-the-same@{DOMAIN}")))
    assert answer.status == 200


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"email_providers": ("mailgun", "gmail")}, "'gmail' is no e-mail provider: use amazon_ses"),
        ({"email_domain": ""}, "domain"),
        ({"email_secret": ""}, "secret"),
        ({"email_providers": ("amazon_ses_validated",), "email_ses_topic": ""}, "ARN"),
    ],
)
def test_settings_that_do_not_fit_are_said_at_the_start(changes: dict[str, Any], said: str) -> None:
    """A provider without a secret would take mails from anyone."""
    with pytest.raises(ValueError, match=said):
        checked(settings("mailgun", **changes))


async def test_the_secret_shows_nowhere(receiver) -> None:
    """Not in the settings' text, not in the log, not in answers."""
    assert SECRET not in repr(settings("mailgun"))
    running = await receiver(integration("mail", "inbound_email"), settings=settings("mailjet"))
    answer = await deliver(running, of_json({}))
    assert SECRET not in answer.body.decode() + running.log.getvalue()
