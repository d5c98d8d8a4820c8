"""One received e-mail, whatever the provider: envelope, sender, subject, text; and the alert payload made of it."""

from __future__ import annotations

import email.policy
from email import message_from_bytes
from email.message import EmailMessage
from email.utils import parseaddr

import msgspec

from tocsin.sources.inbound_email.html_text import text_of_html


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
            address = parseaddr(recipient.strip())[1] or recipient.strip()
            local, _, host = address.rpartition("@")
            if local and host.lower() == domain.lower():
                return local
        return None

    def payload(self) -> dict[str, str]:
        """The alert's payload: `subject`, `message`, `sender` (alert-flow R-EML-5 to R-EML-7)."""
        message = self.text.strip() or (text_of_html(self.html) if self.html else "")
        return {
            "subject": self.subject.strip(),
            "message": message.strip(),
            "sender": parseaddr(self.sender)[1] or self.sender,
        }


def from_mime(raw: bytes, recipients: str) -> ReceivedEmail:
    """A raw RFC 5322 message with its envelope recipients; attachments are ignored (alert-flow R-EML-8)."""
    parsed = message_from_bytes(raw, policy=email.policy.default)
    return ReceivedEmail(
        recipients=recipients,
        sender=", ".join(str(value) for value in parsed.get_all("From", [])),
        subject=str(parsed.get("Subject", "")),
        text=_body(parsed, "plain"),
        html=_body(parsed, "html"),
    )


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    try:
        content = part.get_content()
    except (LookupError, UnicodeError):
        data = part.get_payload(decode=True)
        content = data.decode("utf-8", "replace") if isinstance(data, bytes) else ""
    return content if isinstance(content, str) else ""
