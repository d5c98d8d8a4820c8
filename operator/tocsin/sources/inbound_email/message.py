"""One received e-mail, whatever the provider: envelope, sender, subject, text; and the alert payload made of it."""

from __future__ import annotations

import re
from email.utils import parseaddr

import msgspec

from tocsin.sources.inbound_email.html_text import text_of_html
from tocsin.sources.inbound_email.mime import HEADER_LIMIT, read_mime

_ADDRESS_LIMIT = 320
"""Characters of the longest address that SMTP knows."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class ReceivedEmail(msgspec.Struct, frozen=True, kw_only=True):
    """`recipients` is the envelope's, never the To or Cc header; `sender` the raw From header values, joined by comma."""

    recipients: str
    sender: str
    subject: str = ""
    text: str = ""
    html: str = ""

    def token(self, domain: str) -> str | None:
        """The token of the first envelope recipient at `domain` (alert-flow R-EML-4); None without one."""
        for recipient in self.recipients.split(","):
            address = _address(recipient.strip()[:_ADDRESS_LIMIT]) or recipient.strip()
            local, _, host = address.rpartition("@")
            if local and host.lower() == domain.lower():
                return local
        return None

    def payload(self) -> dict[str, str]:
        """The alert's payload: `subject`, `message`, `sender` (alert-flow R-EML-5 to R-EML-7).

        Databases take every text in it: NUL and halves of surrogate pairs are replaced.
        """
        message = self.text.strip() or (text_of_html(self.html) if self.html else "")
        sender = self.sender[:HEADER_LIMIT]
        return {
            "subject": _storable(self.subject.strip()),
            "message": _storable(message.replace("\r\n", "\n").strip()),
            "sender": _storable(_address(sender) or sender),
        }


def from_mime(raw: bytes, recipients: str) -> ReceivedEmail:
    """A raw RFC 5322 message with its envelope recipients; attachments are ignored (alert-flow R-EML-8)."""
    mime = read_mime(raw)
    return ReceivedEmail(
        recipients=recipients, sender=mime.sender, subject=mime.subject, text=mime.text, html=mime.html
    )


def _address(text: str) -> str:
    """The first address in a header's text; "" if there is none."""
    try:
        return parseaddr(text)[1]
    except RecursionError:
        return ""


def _storable(text: str) -> str:
    return _UNSTORABLE.sub("\ufffd", text)
