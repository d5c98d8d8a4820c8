"""How chats prove that a request is theirs. Pure; the secrets come from the NotificationChannel."""

from __future__ import annotations

import hashlib
import hmac

from tocsin.flow.model import Micros

WINDOW = 300
"""Seconds that a signed request of Slack is valid, before and after: later it may be a repeated one."""


def is_from_slack(secret: str, timestamp: str, signature: str, body: bytes, now: Micros) -> bool:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack: version v0."""
    if not secret or not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) < 13):
        return False
    if abs(now / 1_000_000 - int(timestamp)) > WINDOW:
        return False
    signed = b"v0:" + timestamp.encode() + b":" + body
    expected = "v0=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.encode("utf-8", "replace"))


def is_from_telegram(secret: str, token: str) -> bool:
    """The secret token that the bot's webhook was set with."""
    return bool(secret) and hmac.compare_digest(secret.encode(), token.encode("utf-8", "replace"))
