"""Requests of all providers for the same mail, as they post them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from amazon import TOPIC, envelope, headers
from receiving import Answer, Receiver, token_of

from tocsin.receive.settings import Settings

URL = "/integrations/v1/inbound_email_webhook/"
DOMAIN = "alerts.example.com"
SECRET = "user:s3cret-of-the-webhook"
BASIC = {"Authorization": "Basic " + base64.b64encode(SECRET.encode()).decode()}
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
MIME = (
    b"From: Ops Bot <bot@example.com>\r\nTo: someone@else.example\r\nSubject: Disk full\r\n"
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nsda1 is at 97 %\r\n'
    b'--b\r\nContent-Disposition: attachment; filename="a.txt"\r\n\r\nnot me\r\n--b--\r\n'
)
PAYLOAD = {"subject": "Disk full", "message": "sda1 is at 97 %", "sender": "bot@example.com"}

Made = tuple[bytes, dict[str, str]]


def settings(*providers: str, **more: Any) -> Settings:
    return Settings(
        **{
            "email_providers": providers,
            "email_domain": DOMAIN,
            "email_secret": SECRET,
            "email_ses_topic": TOPIC,
            **more,
        }
    )


def multipart(fields: dict[str, str], *, file: bytes = b"") -> Made:
    parts = [
        f'--bnd\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    if file:
        head = b'--bnd\r\nContent-Disposition: form-data; name="attachment-1"; filename="a.bin"\r\n\r\n'
        parts.append(head + file + b"\r\n")
    return b"".join(parts) + b"--bnd--\r\n", {"Content-Type": 'multipart/form-data; boundary="bnd"'}


def of_json(body: Any) -> Made:
    return json.dumps(body).encode(), {**BASIC, **JSON}


def mailgun(to: str, **more: str) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), b"1700000000tok", hashlib.sha256).hexdigest()
    proof = {"timestamp": "1700000000", "token": "tok", "signature": signature}
    mail = {"from": "Ops Bot <bot@example.com>", "subject": "Disk full", "body-plain": "sda1 is at 97 %"}
    return {**proof, "recipient": to, **mail, **more}


def mandrill(to: str, url: str = f"https://receiver{URL}") -> Made:
    message = {
        "email": to,
        "from_email": "bot@example.com",
        "from_name": "Ops Bot",
        "subject": "Disk full",
        "text": "sda1 is at 97 %",
    }
    events = json.dumps(
        [{"event": "inbound", "msg": message}, {"event": "inbound", "msg": {"email": "x@y.example"}}]
    )
    proof = hmac.new(SECRET.encode(), f"{url}mandrill_events{events}".encode(), hashlib.sha1).digest()
    body = urlencode({"mandrill_events": events}).encode()
    return body, {**FORM, "X-Mandrill-Signature": base64.b64encode(proof).decode()}


def sendgrid(to: str) -> Made:
    mail = {"from": "Ops Bot <bot@example.com>", "subject": "Disk full", "text": "sda1 is at 97 %"}
    fields = {"envelope": json.dumps({"to": [to], "from": "bounce@example.com"}), "to": "x@y.example", **mail}
    body, sent = multipart(fields, file=b"\x00\xff" * 100)
    return body, {**sent, **BASIC}


def ses(to: str) -> str:
    receipt = {"recipients": [to], "action": {"type": "SNS", "encoding": "BASE64"}}
    content = base64.b64encode(MIME).decode()
    return json.dumps({"notificationType": "Received", "receipt": receipt, "content": content})


def mail_of(to: str, **keys: str) -> dict[str, str]:
    values = {
        "recipient": to,
        "sender": "Ops Bot <bot@example.com>",
        "subject": "Disk full",
        "text": "sda1 is at 97 %",
    }
    return {name: values[key] for key, name in keys.items()}


PROVIDERS: dict[str, Callable[[str], Made]] = {
    "amazon_ses": lambda to: (json.dumps(envelope(ses(to))).encode(), headers(**BASIC)),
    "amazon_ses_validated": lambda to: (json.dumps(envelope(ses(to))).encode(), headers()),
    "mailgun": lambda to: multipart(mailgun(to), file=b"\x00" * 100),
    "mailjet": lambda to: of_json(
        mail_of(to, recipient="Recipient", sender="From", subject="Subject", text="Text-part")
    ),
    "mandrill": mandrill,
    "postal": lambda to: of_json({"rcpt_to": to, "message": base64.b64encode(MIME).decode(), "base64": True}),
    "postmark": lambda to: of_json(
        mail_of(to, recipient="OriginalRecipient", sender="From", subject="Subject", text="TextBody")
    ),
    "sendgrid": sendgrid,
    "sparkpost": lambda to: of_json(
        [{"msys": {"relay_message": {"rcpt_to": to, "content": {"email_rfc822": MIME.decode()}}}}]
    ),
}


def address(name: str = "mail") -> str:
    return f"{token_of(name)}@{DOMAIN}"


async def deliver(running: Receiver, made: Made, url: str = URL) -> Answer:
    return await running.request("POST", url, *made)
