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

from tocsin.sources.charsets import decoded
from tocsin.sources.inbound_email.message import ReceivedEmail, from_mime


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A provider's request: `form` holds the text fields of form or multipart bodies, `raw_form` the same as sent,
    `body` the raw bytes.

    Header names are lower-case. `url` is the public URL that the provider was given (Mandrill signs it). `signed`: the body
    is an SNS message of the configured topic whose signature was verified.
    """

    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, str] = {}
    raw_form: Mapping[str, bytes] = {}
    url: str = ""
    signed: bool = False


Provider = Callable[[Delivery, str], ReceivedEmail | None]


def mailgun(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    """Signed with HMAC-SHA256 over timestamp and token by the webhook signing key."""
    form = delivery.form
    signed = hmac.new(
        secret.encode(), _bytes(form.get("timestamp", "") + form.get("token", "")), hashlib.sha256
    ).hexdigest()
    if not secret or not hmac.compare_digest(signed.encode(), _bytes(form.get("signature", ""))):
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
    proof = base64.b64encode(hmac.new(secret.encode(), _bytes(signed), hashlib.sha1).digest())
    given = _bytes(delivery.headers.get("x-mandrill-signature", ""))
    if not secret or not hmac.compare_digest(proof, given):
        return None
    events = _json(_bytes(delivery.form.get("mandrill_events", "")))
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
    raw = _bytes(_text(message, "message"))
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
                return from_mime(_bytes(raw), _text(relay, "rcpt_to"))
            return ReceivedEmail(
                recipients=_text(relay, "rcpt_to"),
                sender=_text(relay, "friendly_from") or _text(relay, "msg_from"),
                subject=_text(content, "subject"),
                text=_text(content, "text"),
                html=_text(content, "html"),
            )
    return None


def sendgrid(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    """With or without "POST the raw, full MIME message". Each field has its own charset, named in the field `charsets`."""
    if not proven_by_secret(delivery, secret):
        return None
    form = delivery.form
    envelope = _json(_bytes(form.get("envelope", "")))
    if not isinstance(envelope, dict):
        return None
    to = envelope.get("to")
    recipients = ",".join(str(one) for one in to) if isinstance(to, list) else str(to or "")
    if "email" in form:
        return from_mime(delivery.raw_form.get("email") or _bytes(form["email"]), recipients)
    charsets = _dict(_json(_bytes(form.get("charsets", ""))))

    def field(name: str) -> str:
        raw, charset = delivery.raw_form.get(name), _text(charsets, name)
        return decoded(raw, charset) if raw is not None and charset else form.get(name, "")

    return ReceivedEmail(
        recipients=recipients,
        sender=field("from"),
        subject=field("subject"),
        text=field("text"),
        html=field("html"),
    )


def amazon_ses(delivery: Delivery, secret: str) -> ReceivedEmail | None:
    """SES through SNS, proven by the shared secret as Basic credentials of the subscription's URL."""
    envelope = _json_with_basic(delivery, secret)
    return ses_notification(envelope) if isinstance(envelope, dict) else None


def amazon_ses_validated(delivery: Delivery, secret: str) -> ReceivedEmail | None:  # noqa: ARG001 -- a Provider
    """SES through SNS, proven by SNS's own signature and the configured topic."""
    return ses_notification(_dict(_json(delivery.body))) if delivery.signed else None


def ses_notification(envelope: Mapping[str, Any]) -> ReceivedEmail | None:
    """The e-mail inside an SNS notification of SES; None for any other notification.

    Without its content (the receipt rule's action is another one than SNS) sender and subject are all that is known.
    """
    message = _dict(_json(_bytes(_text(envelope, "Message"))))
    if message.get("notificationType") != "Received":
        return None
    receipt = _dict(message.get("receipt"))
    addresses = receipt.get("recipients")
    recipients = ",".join(str(one) for one in addresses) if isinstance(addresses, list) else ""
    content = _text(message, "content")
    if not content:
        headers = _dict(_dict(message.get("mail")).get("commonHeaders"))
        senders = headers.get("from")
        return ReceivedEmail(
            recipients=recipients,
            sender=", ".join(str(one) for one in senders) if isinstance(senders, list) else "",
            subject=_text(headers, "subject"),
        )
    try:
        if _dict(receipt.get("action")).get("encoding") == "BASE64":
            return from_mime(base64.b64decode(_bytes(content), validate=True), recipients)
    except binascii.Error:
        return None
    return from_mime(_bytes(content), recipients)


PROVIDERS: Mapping[str, Provider] = {
    "amazon_ses": amazon_ses,
    "amazon_ses_validated": amazon_ses_validated,
    "mailgun": mailgun,
    "mailjet": mailjet,
    "mandrill": mandrill,
    "postal": postal,
    "postmark": postmark,
    "sendgrid": sendgrid,
    "sparkpost": sparkpost,
}
"""Provider name (as configured) -> parser."""


def receive(delivery: Delivery, providers: tuple[str, ...], secret: str) -> ReceivedEmail | None:
    """The first configured provider that proves and parses the delivery wins (alert-flow R-EML-1)."""
    for name in providers:
        parse = PROVIDERS.get(name)
        received = parse(delivery, secret) if parse else None
        if received is not None:
            return received
    return None


def proven_by_secret(delivery: Delivery, secret: str) -> bool:
    """Whether a request carries the shared secret (`user:password`) as Basic credentials."""
    scheme, _, credentials = delivery.headers.get("authorization", "").partition(" ")
    expected = base64.b64encode(secret.encode())
    return (
        scheme.lower() == "basic"
        and bool(secret)
        and hmac.compare_digest(_bytes(credentials.strip()), expected)
    )


def _json_with_basic(delivery: Delivery, secret: str) -> Any:
    return _json(delivery.body) if proven_by_secret(delivery, secret) else None


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _bytes(text: str) -> bytes:
    """Also of text that UTF-8 cannot hold: what is compared with it then just differs."""
    return text.encode(errors="replace")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(message: Mapping[str, Any], key: str) -> str:
    value = message.get(key)
    return value if isinstance(value, str) else ""
