"""What every channel does, and how it says that it could not."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from tocsin.notify.message import Message, Recipient, Sent


class FailureReason(StrEnum):
    """Alertmanager's words, which dashboards know (needs 4.7), and one for the rest."""

    CLIENT_ERROR = "clientError"
    SERVER_ERROR = "serverError"
    AUTH_ERROR = "authError"
    RATE_LIMITED = "rateLimited"
    TIMEOUT = "contextDeadlineExceeded"
    OTHER = "other"


class DeliveryFailed(Exception):
    """A message was not delivered, or nobody knows whether it was.

    `message` is one line without secrets, paths or queries of URLs. `retry_after`: seconds that the vendor asks to wait.
    `permanent`: trying again cannot help before somebody changes something.
    """

    def __init__(
        self,
        reason: FailureReason,
        message: str,
        *,
        retry_after: float | None = None,
        permanent: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.permanent = permanent


class Channel(Protocol):
    """Where messages can be sent. `type` is the member of the NotificationChannel, `edits`: `update` works.

    Both raise DeliveryFailed and nothing else.
    """

    @property
    def type(self) -> str: ...
    @property
    def edits(self) -> bool: ...

    async def send(self, message: Message, recipient: Recipient) -> Sent: ...

    async def update(self, message: Message, reference: str) -> Sent:
        """Make the message with this `Sent.reference` say what `message` says."""
        ...
