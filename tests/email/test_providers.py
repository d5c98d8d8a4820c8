"""What the eight e-mail services post becomes one message; what is not proven or not theirs becomes nothing."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import msgspec
import pytest

from tocsin.sources.inbound_email.message import ReceivedEmail, from_mime
from tocsin.sources.inbound_email.providers import PROVIDERS, Delivery, receive

SECRET = "user:s3cret-of-the-webhook"
BASIC = {"authorization": "Basic " + base64.b64encode(SECRET.encode()).decode()}
MIME = (
    b"From: Ops Bot <bot@example.com>\r\nTo: someone@else.example\r\nSubject: Disk full\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsda1 is at 97 %\r\n'
    b'--b\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nnot me\r\n--b--\r\n'
)
TO = "tokentokentokentokentoken@alerts.example.com"


def json_delivery(body: object, headers: dict[str, str] | None = None) -> Delivery:
    return Delivery(headers=BASIC if headers is None else headers, body=json.dumps(body).encode())


def mailgun_delivery() -> Delivery:
    signature = hmac.new(SECRET.encode(), b"1700000000tok", hashlib.sha256).hexdigest()
    form = {
        "timestamp": "1700000000",
        "token": "tok",
        "signature": signature,
        "recipient": TO,
        "from": "Ops Bot <bot@example.com>",
    }
    return Delivery(
        headers={}, body=b"", form={**form, "subject": "Disk full", "body-plain": "sda1 is at 97 %"}
    )


def mandrill_delivery() -> Delivery:
    message = {
        "email": TO,
        "from_email": "bot@example.com",
        "from_name": "Ops Bot",
        "subject": "Disk full",
        "text": "sda1 is at 97 %",
    }
    form = {"mandrill_events": json.dumps([{"event": "inbound", "msg": message}])}
    url = "https://tocsin.example.com/integrations/v1/inbound_email_webhook"
    signed = url + "mandrill_events" + form["mandrill_events"]
    proof = base64.b64encode(hmac.new(SECRET.encode(), signed.encode(), hashlib.sha1).digest()).decode()
    return Delivery(headers={"x-mandrill-signature": proof}, body=b"", form=form, url=url)


DELIVERIES = {
    "amazon_ses": json_delivery(
        {
            "Type": "Notification",
            "Message": json.dumps(
                {
                    "notificationType": "Received",
                    "receipt": {"recipients": [TO], "action": {}},
                    "content": MIME.decode(),
                }
            ),
        }
    ),
    "mailgun": mailgun_delivery(),
    "mailjet": json_delivery(
        {
            "Recipient": TO,
            "From": "Ops Bot <bot@example.com>",
            "Subject": "Disk full",
            "Text-part": "sda1 is at 97 %",
        }
    ),
    "mandrill": mandrill_delivery(),
    "postal": json_delivery({"rcpt_to": TO, "message": base64.b64encode(MIME).decode(), "base64": True}),
    "postmark": json_delivery(
        {
            "OriginalRecipient": TO,
            "From": "Ops Bot <bot@example.com>",
            "Subject": "Disk full",
            "TextBody": "sda1 is at 97 %",
            "To": "x@y.example",
        }
    ),
    "sendgrid": Delivery(
        headers=BASIC,
        body=b"",
        form={
            "envelope": json.dumps({"to": [TO], "from": "bounce@example.com"}),
            "from": "Ops Bot <bot@example.com>",
            "subject": "Disk full",
            "text": "sda1 is at 97 %",
        },
    ),
    "sparkpost": json_delivery(
        [{"msys": {"relay_message": {"rcpt_to": TO, "content": {"email_rfc822": MIME.decode()}}}}]
    ),
}
DELIVERIES["amazon_ses_validated"] = Delivery(headers={}, body=DELIVERIES["amazon_ses"].body, signed=True)


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_each_provider_gives_the_same_message(name: str) -> None:
    """Subject, text, sender and envelope recipient come out of every provider's own format; attachments are left out.

    Rules: R-EML-8
    """
    received = receive(DELIVERIES[name], (name,), SECRET)
    assert received is not None
    assert received.payload() == {
        "subject": "Disk full",
        "message": "sda1 is at 97 %",
        "sender": "bot@example.com",
    }
    assert received.token("alerts.example.com") == "tokentokentokentokentoken"


@pytest.mark.parametrize("name", sorted(set(PROVIDERS) - {"amazon_ses_validated"}))
@pytest.mark.parametrize("secret", ["user:another-secret", ""])
def test_a_wrong_secret_proves_nothing(name: str, secret: str) -> None:
    """A delivery that does not prove the shared secret is nobody's; without a secret nothing is proven."""
    assert receive(DELIVERIES[name], (name,), secret) is None


def test_an_unsigned_notification_proves_nothing_to_the_validating_provider() -> None:
    """The secret is no substitute for the signature."""
    unsigned = msgspec.structs.replace(DELIVERIES["amazon_ses_validated"], signed=False, headers=BASIC)
    assert receive(unsigned, ("amazon_ses_validated",), SECRET) is None


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_text_that_is_no_unicode_is_never_an_exception(name: str) -> None:
    """Headers with stray bytes and JSON with halves of surrogate pairs prove nothing or are repaired."""
    broken = {"authorization": "Basic \udcff", "x-mandrill-signature": "\udcff"}
    assert (
        PROVIDERS[name](
            msgspec.structs.replace(DELIVERIES[name], headers=broken, form={}, signed=False), SECRET
        )
        is None
    )
    ugly = ReceivedEmail(recipients="", sender="\ud800", subject="a\x00b", text="c\udfff").payload()
    assert ugly == {"subject": "a\ufffdb", "message": "c\ufffd", "sender": "\ufffd"}


@pytest.mark.parametrize("name", sorted(PROVIDERS))
def test_foreign_bodies_are_left_to_the_next_provider(name: str) -> None:
    """Providers are tried in order; the first that validates and parses wins, whatever stands before it.

    Empty, malformed and foreign bodies are never an exception.
    """
    others = tuple(other for other in sorted(PROVIDERS) if other != name)
    assert receive(DELIVERIES[name], (*others, name), SECRET) is not None
    for body in (b"", b"nope", b"[]", b"null", b'{"msys": 1}', b"[[[[" * 20_000):
        assert PROVIDERS[name](Delivery(headers=BASIC, body=body, signed=True), SECRET) is None


@pytest.mark.parametrize(
    ("recipients", "token"),
    [
        ("abc@alerts.example.com", "abc"),
        ("other@example.com, abc@ALERTS.example.com , def@alerts.example.com", "abc"),
        ("<abc@alerts.example.com>", "abc"),
        ("abc@example.com", None),
        ("", None),
        ("@alerts.example.com", None),
    ],
)
def test_the_token_is_the_first_envelope_recipient_of_the_domain(recipients: str, token: str | None) -> None:
    """The envelope alone decides, never To or Cc.

    Rules: R-EML-2, R-EML-4
    """
    assert ReceivedEmail(recipients=recipients, sender="").token("alerts.example.com") == token


def test_payload_has_subject_message_and_sender() -> None:
    """Subject is trimmed and empty if absent; the text part wins over HTML.

    Rules: R-EML-5
    """
    assert ReceivedEmail(
        recipients="", sender="a@b.example", subject="  x ", text=" t \n", html="<p>h</p>"
    ).payload() == {
        "subject": "x",
        "message": "t",
        "sender": "a@b.example",
    }
    assert from_mime(b"\r\n\r\n", "").payload() == {"subject": "", "message": "", "sender": ""}


def test_html_becomes_text() -> None:
    """Blocks and breaks are lines, links show their target, items an asterisk, rules 32 dashes; no blank lines.

    Rules: R-EML-6
    """
    html = (
        "<html><head><style>p{}</style></head><body><p>Hello <b>big</b>   world</p><ul><li>one</li><li><a href='https://x.example'>two</a></li></ul>"
        "<hr>a<br>b &amp; c<script>evil()</script></body></html>"
    )
    message = ReceivedEmail(recipients="", sender="", html=html).payload()["message"]
    assert message == f"Hello big world\n* one\n* two (https://x.example)\n{'-' * 32}\na\nb & c"


@pytest.mark.parametrize(
    ("sender", "shown"), [("Bot <bot@example.com>", "bot@example.com"), ("undisclosed <", "undisclosed <")]
)
def test_sender_is_the_parsed_address_or_the_raw_header(sender: str, shown: str) -> None:
    """Rules: R-EML-7"""
    assert ReceivedEmail(recipients="", sender=sender).payload()["sender"] == shown


def test_fields_of_sendgrid_have_their_own_charsets() -> None:
    """What its field `charsets` names is used for that field; the raw message is taken as it was sent."""
    raw = {"text": "Füllstand".encode("iso-8859-2"), "subject": "Überlauf".encode("koi8-u", "replace")}
    form = {
        **DELIVERIES["sendgrid"].form,
        "charsets": json.dumps({"text": "iso-8859-2", "subject": "no-such"}),
    }
    form["subject"] = "as decoded before"
    received = PROVIDERS["sendgrid"](Delivery(headers=BASIC, body=b"", form=form, raw_form=raw), SECRET)
    assert received is not None
    assert received.text == "Füllstand"
    mime = "From: a@b.example\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nFüllstand".encode(
        "latin-1"
    )
    posted = {"envelope": form["envelope"], "email": mime.decode("cp1252")}
    received = PROVIDERS["sendgrid"](
        Delivery(headers=BASIC, body=b"", form=posted, raw_form={"email": mime}), SECRET
    )
    assert received is not None
    assert received.text == "Füllstand"


def test_ses_without_the_content_still_says_who_and_what() -> None:
    """A receipt rule with another action than SNS tells subject and sender only; the alert is not blank."""
    message = {
        "notificationType": "Received",
        "receipt": {"recipients": [TO]},
        "mail": {"commonHeaders": {"from": ["Bot <bot@example.com>"], "subject": "Disk full"}},
    }
    received = PROVIDERS["amazon_ses"](json_delivery({"Message": json.dumps(message)}), SECRET)
    assert received is not None
    assert received.payload() == {"subject": "Disk full", "message": "", "sender": "bot@example.com"}
