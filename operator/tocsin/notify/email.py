"""E-mail by SMTP: text and HTML, one thread per alert group (alert-flow R-TPL-29)."""

from __future__ import annotations

import asyncio
import hashlib
import html
import re
import socket
import ssl
from collections.abc import Iterable, Mapping
from email.message import EmailMessage
from email.utils import formataddr, formatdate

import aiosmtplib
from aiosmtplib import SMTP
from markdown_it import MarkdownIt

from tocsin import __version__
from tocsin.api.notificationchannel import EmailChannel, SmtpTls
from tocsin.flow.model import ChannelFragment
from tocsin.notify import plain
from tocsin.notify.calls import clean, no_answer
from tocsin.notify.channel import Channel, DeliveryFailed, FailureReason
from tocsin.notify.client import Cause, FetchFailed
from tocsin.notify.guard import AddressRefused, Guard
from tocsin.notify.message import Message, Recipient, Sent
from tocsin.notify.text import (
    colour,
    facts,
    failures,
    fit,
    is_rendered,
    items_left,
    name_of,
    one_line,
    short,
    shown_items,
    state_words,
)
from tocsin.notify.tools import Tools

SUBJECT_LIMIT = 200
TEXT_LIMIT = 100_000
TIMEOUT = 20.0
"""Seconds for a whole conversation with the mail server."""

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")
_markdown = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable("table").disable("image")
"""Raw HTML stays text; images would tell a stranger who reads the mail."""


class Email:
    type = "email"
    edits = False

    def __init__(self, fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> None:
        assert fragment.target.email is not None
        self._target: EmailChannel = fragment.target.email
        self._password = secrets.get("email.passwordSecretRef", "")
        self._guard = tools.guard
        self._trust = tools.trust

    async def send(self, message: Message, recipient: Recipient) -> Sent:
        to = (formataddr((recipient.name, recipient.address)),) if recipient.address else self._target.to
        if not to:
            raise DeliveryFailed(
                FailureReason.CLIENT_ERROR,
                "no address: set spec.email.to, or an address on the contact",
                permanent=True,
            )
        mail = compose(message, self._target.from_, to)
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._deliver(mail)
        except DeliveryFailed:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever the library raises, a channel raises DeliveryFailed
            raise self._failure(error) from None
        return Sent(receipt=str(mail["Message-ID"]))

    async def update(self, message: Message, reference: str) -> Sent:
        return await self.send(message, Recipient())

    async def _deliver(self, mail: EmailMessage) -> None:
        target = self._target
        smtp = SMTP(
            hostname=target.host,
            sock=await connect(target.host, target.port, self._guard),
            use_tls=target.tls is SmtpTls.TLS,
            start_tls=target.tls is SmtpTls.START_TLS,
            tls_context=self._trust or ssl.create_default_context(),
            timeout=TIMEOUT,
        )
        try:
            await smtp.connect()
            if target.username:
                await smtp.login(target.username, self._password)
            refused, _ = await smtp.send_message(mail)
            if refused:  # some took it: the others are named, not sent again to all
                worst = next(iter(refused.values()))
                raise self._answered(worst.code, worst.message)
        finally:
            smtp.close()

    def _failure(self, error: Exception) -> DeliveryFailed:
        host = self._target.host
        match error:
            case aiosmtplib.SMTPAuthenticationError():
                message = f"{host} refused the login ({error.code}): check spec.email.username and its Secret"
                return DeliveryFailed(FailureReason.AUTH_ERROR, message, permanent=error.code >= 500)
            case aiosmtplib.SMTPRecipientsRefused():
                first = error.recipients[0]
                return self._answered(first.code, first.message)
            case aiosmtplib.SMTPResponseException():
                return self._answered(error.code, error.message)
            case aiosmtplib.SMTPNotSupported():
                message = f"{host} does not offer what spec.email asks for: {self._clean(str(error))}"
                return DeliveryFailed(FailureReason.CLIENT_ERROR, message, permanent=True)
            case aiosmtplib.SMTPConnectError() if isinstance(error.__cause__, OSError):
                return self._failure(error.__cause__)
            case AddressRefused():
                return no_answer(FetchFailed(host, str(error), cause=Cause.REFUSED))
            case ssl.SSLError():
                return DeliveryFailed(FailureReason.OTHER, f"{host}: TLS failed: {self._clean(str(error))}")
            case TimeoutError():
                return DeliveryFailed(FailureReason.TIMEOUT, f"{host}: no answer in time")
            case _:
                return DeliveryFailed(FailureReason.OTHER, f"{host}: {self._clean(str(error))}")

    def _answered(self, code: int, said: str) -> DeliveryFailed:
        """4xx: the server asks to come again; 5xx: it never will take this."""
        message = f"{self._target.host} answered {code}: {self._clean(said)}"
        if code >= 500:
            return DeliveryFailed(FailureReason.CLIENT_ERROR, message, permanent=True)
        return DeliveryFailed(FailureReason.SERVER_ERROR, message)

    def _clean(self, text: str) -> str:
        return clean(text, (self._password,) if self._password else ())


async def connect(host: str, port: int, guard: Guard) -> socket.socket:
    """A connection to an address that the guard allows, which is judged, not the name. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    trusted = guard.trusts(host)
    failure: OSError = OSError("the name leads nowhere")
    for info in found:
        try:
            opened = socket.socket(*info[:3]) if trusted else guard.socket(info)
        except OSError as error:
            failure = error
            continue
        opened.settimeout(0)
        try:
            await loop.sock_connect(opened, info[4])
        except BaseException as error:
            opened.close()
            if not isinstance(error, OSError):
                raise
            failure = error
            continue
        return opened
    raise failure


def compose(message: Message, sender: str, to: tuple[str, ...]) -> EmailMessage:
    """Headers and both parts. A repeated attempt has the same Message-ID; mails of a group answer one root."""
    domain = sender.rpartition("@")[2]
    mail = EmailMessage()
    mail["Subject"] = short(_header(plain.without_markup(message.title)), SUBJECT_LIMIT) or "Alert"
    mail["From"] = formataddr(("Tocsin", sender))
    mail["To"] = ", ".join(to)
    mail["Date"] = formatdate(usegmt=True)
    mail["Message-ID"] = f"<{_digest(message.key, *to)}@{domain}>"
    if message.public_id:
        root = f"<group.{message.public_id.lower()}.{_digest(*to)[:16]}@{domain}>"
        mail["In-Reply-To"] = mail["References"] = root
        mail["X-Tocsin-Group"] = message.public_id
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail["X-Mailer"] = f"Tocsin {__version__}"
    mail.set_content(f"{plain.headline(message)}\n\n{plain.body(message, limit=TEXT_LIMIT)}\n")
    mail.add_alternative(_page(message), subtype="html")
    return mail


def _header(text: str) -> str:
    return _UNPRINTABLE.sub(" ", one_line(text))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]


def _page(message: Message) -> str:
    text = fit(message.text, TEXT_LIMIT)
    shown = _markdown.render(text) if is_rendered(message) else f"<p>{_lines(text)}</p>"
    title = html.escape(one_line(plain.without_markup(message.title)))
    heading = f'<a href="{html.escape(message.link)}">{title}</a>' if message.link else title
    parts = [
        f'<div style="border-left:4px solid #{colour(message):06x};padding-left:12px;font-family:sans-serif">',
        f"<h2>{html.escape(name_of(message))} {heading}</h2>",
        f"<p>{_lines(message.reason)}</p>" if message.reason else "",
        f"<p><b>{html.escape(state_words(message))}</b></p>" if message.number else "",
        shown,
        _list(html.escape(line) for line in failures(message)),
        _list(_item(*item) for item in shown_items(message)),
        f"<p>and {items_left(message)} more</p>" if items_left(message) else "",
        _list(html.escape(f"{key}: {value}") for key, value in message.labels) if not message.errors else "",
        f'<p style="color:#666">{html.escape(" · ".join(facts(message)))}</p>',
        _links(message),
        "</div>",
    ]
    return "\n".join(part for part in parts if part)


def _lines(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def _item(number: str, title: str, link: str) -> str:
    words = html.escape(f"{number} {title}")
    return f'<a href="{html.escape(link)}">{words}</a>' if link else words


def _list(items: Iterable[str]) -> str:
    lines = [f"<li>{item}</li>" for item in items]
    return f"<ul>{''.join(lines)}</ul>" if lines else ""


def _links(message: Message) -> str:
    links = (("Alert group", message.link), ("Source", message.source_link), ("Image", message.image_url))
    found = [
        f'<a href="{html.escape(url)}">{words}</a>'
        for words, url in links
        if url.startswith(("http://", "https://"))
    ]
    return f"<p>{' · '.join(found)}</p>" if found else ""


def build(fragment: ChannelFragment, secrets: Mapping[str, str], tools: Tools) -> Channel:
    return Email(fragment, secrets, tools)
