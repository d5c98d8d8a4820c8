"""What each e-mail service posts when a message arrives: proof of origin and parsing, as pure functions.

A provider is tried with the request as received. `None` means "not mine": proof or shape do not fit, try the next.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from tocsin.sources.inbound_email.message import ReceivedEmail, from_mime


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's request: `form` holds the text fields of form or multipart bodies, `body` the raw bytes.

    Header names are lower-case. `url` is the public URL that the provider was given (Mandrill signs it).
    """

    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, str] = {}
    url: str = ""


Provider = Callable[[Delivery, str], ReceivedEmail | None]


def mailgun(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    """Signed with HMAC-SHA256 over timestamp and token by the webhook signing key."""
    form = delivery.form
    signed = hmac.new(
        secret.encode(), f"{form.get('timestamp', '')}{form.get('token', '')}".encode(), hashlib.sha256
    ).hexdigest()
    if not hmac.compare_digest(signed.encode(), form.get("signature", "").encode()):
        return None
    return ReceivedEmail(
        recipients=form.get("recipient", ""),
        sender=form.get("from") or form.get("sender", ""),
        subject=form.get("subject", ""),
        text=form.get("body-plain", ""),
        html=form.get("body-html", ""),
    )


def mandrill(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    """Signed with HMAC-SHA1 over URL and sorted fields; only the first inbound event counts (alert-flow R-EML-8)."""
    signed = delivery.url + "".join(f"{key}{delivery.form[key]}" for key in sorted(delivery.form))
    proof = base64.b64encode(hmac.new(secret.encode(), signed.encode(), hashlib.sha1).digest())
    if not hmac.compare_digest(proof, delivery.headers.get("x-mandrill-signature", "").encode()):
        return None
    events = _json(delivery.form.get("mandrill_events", "").encode())
    for event in events if isinstance(events, list) else ():
        message = _dict(_dict(event).get("msg"))
        if message:
            name, address = _text(message, "from_name"), _text(message, "from_email")
            return ReceivedEmail(
                recipients=_text(message, "email"),
                sender=f"{name} <{address}>" if name else address,
                subject=_text(message, "subject"),
                text=_text(message, "text"),
                html=_text(message, "html"),
            )
    return None


def mailjet(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    message = _json_with_basic(delivery, secret)
    if not isinstance(message, dict) or "Recipient" not in message:
        return None
    return ReceivedEmail(
        recipients=_text(message, "Recipient"),
        sender=_text(message, "From") or _text(message, "Sender"),
        subject=_text(message, "Subject"),
        text=_text(message, "Text-part"),
        html=_text(message, "Html-part"),
    )


def postmark(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    message = _json_with_basic(delivery, secret)
    if not isinstance(message, dict) or "OriginalRecipient" not in message:
        return None
    return ReceivedEmail(
        recipients=_text(message, "OriginalRecipient"),
        sender=_text(message, "From"),
        subject=_text(message, "Subject"),
        text=_text(message, "TextBody"),
        html=_text(message, "HtmlBody"),
    )


def postal(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    message = _json_with_basic(delivery, secret)
    if not isinstance(message, dict) or "rcpt_to" not in message or "message" not in message:
        return None
    raw = _text(message, "message").encode()
    if message.get("base64"):
        try:
            raw = base64.b64decode(raw, validate=True)
        except binascii.Error:
            return None
    return from_mime(raw, _text(message, "rcpt_to"))


def sparkpost(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    events = _json_with_basic(delivery, secret)
    for event in events if isinstance(events, list) else ():
        relay = _dict(_dict(_dict(event).get("msys")).get("relay_message"))
        content = _dict(relay.get("content"))
        if content:
            raw = _text(content, "email_rfc822")
            if content.get("email_rfc822_is_base64") and raw:
                try:
                    return from_mime(base64.b64decode(raw, validate=True), _text(relay, "rcpt_to"))
                except binascii.Error:
                    return None
            if raw:
                return from_mime(raw.encode(), _text(relay, "rcpt_to"))
            return ReceivedEmail(
                recipients=_text(relay, "rcpt_to"),
                sender=_text(relay, "friendly_from") or _text(relay, "msg_from"),
                subject=_text(content, "subject"),
                text=_text(content, "text"),
                html=_text(content, "html"),
            )
    return None


def sendgrid(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    if not _basic(delivery, secret):
        return None
    envelope = _json(delivery.form.get("envelope", "").encode())
    if not isinstance(envelope, dict):
        return None
    to = envelope.get("to")
    recipients = ",".join(str(one) for one in to) if isinstance(to, list) else str(to or "")
    if "email" in delivery.form:
        return from_mime(delivery.form["email"].encode(), recipients)
    form = delivery.form
    return ReceivedEmail(
        recipients=recipients,
        sender=form.get("from", ""),
        subject=form.get("subject", ""),
        text=form.get("text", ""),
        html=form.get("html", ""),
    )


def amazon_ses(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    """SES through SNS, proven by the shared secret as Basic credentials of the subscription's URL."""
    envelope = _json_with_basic(delivery, secret)
    return ses_notification(envelope) if isinstance(envelope, dict) else None


def ses_notification(envelope: Mapping[str, Any]) -> ReceivedEmail | None:
    """The e-mail inside an SNS notification of SES; None for any other notification."""
    message = _json(_text(envelope, "Message").encode())
    if not isinstance(message, dict) or message.get("notificationType") != "Received":
        return None
    recipients = _dict(message.get("receipt")).get("recipients")
    content = _text(message, "content")
    action = _dict(_dict(message.get("receipt")).get("action"))
    try:
        raw = (
            base64.b64decode(content, validate=True)
            if action.get("encoding") == "BASE64"
            else content.encode()
        )
    except binascii.Error:
        return None
    return from_mime(raw, ",".join(str(one) for one in recipients) if isinstance(recipients, list) else "")


PROVIDERS: Mapping[str, Provider] = {
    "amazon_ses": amazon_ses,
    "mailgun": mailgun,
    "mailjet": mailjet,
    "mandrill": mandrill,
    "postal": postal,
    "postmark": postmark,
    "sendgrid": sendgrid,
    "sparkpost": sparkpost,
}
"""Provider name (as configured) -> parser. `amazon_ses_validated` needs I/O and is the receiver's."""


def receive(delivery: Delivery, providers: tuple[str, ...], secret: str) -> ReceivedEmail | None:
    """The first configured provider that proves and parses the delivery wins (alert-flow R-EML-1)."""
    for name in providers:
        parse = PROVIDERS.get(name)
        received = parse(delivery, secret) if parse else None
        if received is not None:
            return received
    return None


def _basic(delivery: Delivery, secret: str) -> bool:
    scheme, _, credentials = delivery.headers.get("authorization", "").partition(" ")
    expected = base64.b64encode(secret.encode())
    return (
        scheme.lower() == "basic"
        and bool(secret)
        and hmac.compare_digest(credentials.strip().encode(), expected)
    )


def _json_with_basic(delivery: Delivery, secret: str) -> Any:
    return _json(delivery.body) if _basic(delivery, secret) else None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    return value if isinstance(value, str) else ""
