"""E-mail against a real SMTP server on loopback, with TLS, logins and refusals."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from services import LOOPBACK, SECRET, channel, close, message, tools

from tocsin.flow.groups import State
from tocsin.notify import email
from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.guard import Guard
from tocsin.notify.message import BundleItem, Recipient


@dataclass
class Mailbox:
    """What the server took, and what it says instead of taking it."""

    mails: list[tuple[list[str], EmailMessage]] = field(default_factory=list)
    refusal: str = ""
    refused_recipient: str = ""
    hang: asyncio.Event | None = None
    port: int = 0
    trust: ssl.SSLContext | None = None

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address == self.refused_recipient:
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.hang is not None:
            await self.hang.wait()
        if self.refusal:
            return self.refusal
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.SMTP)
        self.mails.append((envelope.rcpt_tos, mail))
        return "250 OK"


def _login(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=data.login == b"tocsin" and data.password == SECRET.encode(), handled=False)


def _smtp(box: Mailbox, options: dict[str, Any]) -> SMTP:
    with (
        warnings.catch_warnings()
    ):  # that logins without STARTTLS are unsafe, even where all is TLS from the start
        warnings.simplefilter("ignore")
        return SMTP(box, hostname="mail.example.org", **options)


@pytest.fixture
async def mailbox() -> AsyncIterator[Callable[..., Any]]:
    servers: list[asyncio.Server] = []
    boxes: list[Mailbox] = []

    async def run(tls: str) -> Mailbox:
        authority = trustme.CA()
        given = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(given)
        box = Mailbox(trust=ssl.create_default_context())
        authority.configure_trust(box.trust)
        options: dict[str, Any] = {"authenticator": _login, "auth_required": tls != "None"}
        if tls == "StartTLS":
            options |= {"tls_context": given, "require_starttls": True}
        elif tls == "TLS":
            options["auth_require_tls"] = False
        server = await asyncio.get_running_loop().create_server(
            lambda: _smtp(box, options),
            "127.0.0.1",
            0,
            ssl=given if tls == "TLS" else None,
        )
        box.port = server.sockets[0].getsockname()[1]
        servers.append(server)
        boxes.append(box)
        return box

    yield run
    for box in boxes:
        if box.hang is not None:
            box.hang.set()
    for server in servers:
        server.close()
    await close()


def mailer(box: Mailbox, tls: str = "None", **changes: Any) -> Any:
    spec: dict[str, Any] = {"host": "127.0.0.1", "port": box.port, "tls": tls, "from": "tocsin@example.org"}
    secrets: tuple[str, ...] = ()
    if tls != "None":
        spec |= {"username": "tocsin", "passwordSecretRef": {"name": "smtp", "key": "password"}}
        secrets = ("email.passwordSecretRef",)
    spec = {"to": ["ops@example.org"], **spec, **changes}
    return channel({"email": spec}, given=tools(trust=box.trust), secrets=secrets)


def parts(mail: EmailMessage) -> tuple[str, str]:
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert page is not None
    return plain.get_content(), page.get_content()


@pytest.mark.parametrize("tls", ["None", "StartTLS", "TLS"])
async def test_a_mail_arrives_with_text_and_page(mailbox, tls: str) -> None:
    """Encrypted and logged in where that is declared; subject is the title, Markdown became HTML.

    Rules: R-TPL-29
    """
    box = await mailbox(tls)
    sent = await mailer(box, tls).send(message(title="Disk full\non db-1"), Recipient())
    ((recipients, mail),) = box.mails
    assert recipients == ["ops@example.org"]
    assert mail["Subject"] == "Disk full on db-1"
    assert mail["Message-ID"] == sent.receipt
    assert mail["Auto-Submitted"] == "auto-generated"
    plain, page = parts(mail)
    assert "The disk of db-1 is full (https://example.org/d)." in plain
    assert "https://tocsin.example.org/groups/G12" in plain
    assert '<strong>db-1</strong> is <a href="https://example.org/d">full</a>' in page
    assert "severity: critical" in page


async def test_mails_of_a_group_are_one_thread(mailbox) -> None:
    """They answer one root per recipient; an attempt that is repeated has the same id, another message another one."""
    box = await mailbox("None")
    mail_to = mailer(box)
    for changes in (
        {},
        {},
        {"key": "other", "state": State.RESOLVED},
        {"public_id": "GOTHER", "key": "third"},
    ):
        await mail_to.send(message(**changes), Recipient())
    first, again, later, other = (mail for _, mail in box.mails)
    assert first["Message-ID"] == again["Message-ID"] != later["Message-ID"]
    assert first["References"] == later["References"] != other["References"]
    assert "Resolved by" in parts(later)[0].splitlines()[0]


async def test_a_person_gets_it_alone(mailbox) -> None:
    """The address of the contact, with the name, and nobody else."""
    box = await mailbox("None")
    await mailer(box).send(message(kind="personal"), Recipient(address="ann@example.org", name="Ann Ä, MD"))
    ((recipients, mail),) = box.mails
    assert recipients == ["ann@example.org"]
    assert mail["To"].addresses[0].display_name == "Ann Ä, MD"


async def test_payloads_cannot_write_headers_or_html(mailbox) -> None:
    """Line breaks in a title make no header; tags and script links of texts stay text; images are not fetched."""
    box = await mailbox("None")
    evil = "<script>alert(1)</script> [x](javascript:alert(1)) ![p](https://spy.example.org/p.png)"
    await mailer(box).send(
        message(
            title=f"a\r\nBcc: all@example.org\r\n\r\n{evil}", text=evil, reason=evil, labels=(("k", evil),)
        ),
        Recipient(),
    )
    ((recipients, mail),) = box.mails
    assert recipients == ["ops@example.org"]
    assert mail["Bcc"] is None
    _, page = parts(mail)
    assert "<script" not in page
    assert 'href="javascript' not in page
    assert "<img" not in page


async def test_a_huge_text_is_cut_and_keeps_title_and_link(mailbox) -> None:
    """Half a million characters, many long lines."""
    box = await mailbox("None")
    await mailer(box).send(message(title="T" * 5_000, text="word " * 100_000), Recipient())
    plain, page = parts(box.mails[0][1])
    assert len(plain) < 110_000
    assert plain.rstrip().endswith("https://tocsin.example.org/groups/G12")
    assert 'href="https://tocsin.example.org/groups/G12"' in page


async def test_a_bundle_lists_groups_with_links(mailbox) -> None:
    """Twenty of them, and how many more there are."""
    box = await mailbox("None")
    items = tuple(BundleItem(number=n, title=f"<b>{n}", link=f"https://t.example.org/{n}") for n in range(40))
    await mailer(box).send(
        message(kind="bundle", title="40 groups", text="", items=items, total=40, number=0), Recipient()
    )
    _, page = parts(box.mails[0][1])
    assert '<a href="https://t.example.org/7">#7 &lt;b&gt;7</a>' in page
    assert "and 20 more" in page


@pytest.mark.parametrize(
    ("refusal", "reason", "permanent"),
    [
        ("451 try again later", FailureReason.SERVER_ERROR, False),
        ("554 spam", FailureReason.CLIENT_ERROR, True),
    ],
)
async def test_the_server_refuses(mailbox, refusal: str, reason: FailureReason, permanent: bool) -> None:
    """4xx is tried again, 5xx is not."""
    box = await mailbox("None")
    box.refusal = refusal
    with pytest.raises(DeliveryFailed) as failed:
        await mailer(box).send(message(), Recipient())
    assert (failed.value.reason, failed.value.permanent) == (reason, permanent)
    assert refusal[4:] in failed.value.message


async def test_a_recipient_is_refused(mailbox) -> None:
    """A wrong address is a failure that names the answer, also where another address took the mail."""
    box = await mailbox("None")
    box.refused_recipient = "gone@example.org"
    for to in (["gone@example.org"], ["gone@example.org", "ops@example.org"]):
        with pytest.raises(DeliveryFailed, match="550: no such user") as failed:
            await mailer(box, to=to).send(message(), Recipient())
        assert failed.value.permanent
    assert [recipients for recipients, _ in box.mails] == [["ops@example.org"]]


async def test_a_wrong_password_is_said_without_it(mailbox) -> None:
    """An authentication error that is not tried again."""
    box = await mailbox("StartTLS")
    with pytest.raises(DeliveryFailed) as failed:
        await mailer(box, "StartTLS", username="other").send(message(), Recipient())
    assert (failed.value.reason, failed.value.permanent) == (FailureReason.AUTH_ERROR, True)
    assert SECRET not in str(failed.value)


async def test_no_encryption_where_it_is_asked_for(mailbox) -> None:
    """A server without STARTTLS gets neither password nor mail."""
    box = await mailbox("None")
    with pytest.raises(DeliveryFailed):
        await mailer(box, "StartTLS").send(message(), Recipient())
    assert not box.mails


async def test_a_certificate_of_nobody_is_refused(mailbox) -> None:
    """Nothing is said to a server that cannot prove its name."""
    box = await mailbox("TLS")
    box.trust = None
    with pytest.raises(DeliveryFailed, match="TLS"):
        await mailer(box, "TLS").send(message(), Recipient())
    assert not box.mails


async def test_a_server_that_hangs(mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ends with the time limit."""
    monkeypatch.setattr(email, "TIMEOUT", 0.5)
    box = await mailbox("None")
    box.hang = asyncio.Event()
    with pytest.raises(DeliveryFailed) as failed:
        await mailer(box).send(message(), Recipient())
    assert failed.value.reason is FailureReason.TIMEOUT


async def test_private_addresses_are_refused(mailbox) -> None:
    """The address that is connected to is judged; whoever runs Tocsin can allow it, and is told how."""
    box = await mailbox("None")
    with pytest.raises(OSError, match="loopback"):
        await email.connect("localhost", box.port, Guard())
    opened = await email.connect("localhost", box.port, Guard(("localhost", *LOOPBACK)))
    opened.close()
    made = channel(
        {"email": {"host": "10.0.0.1", "port": 25, "from": "a@example.org", "to": ["b@example.org"]}},
        given=tools(),
    )
    with pytest.raises(DeliveryFailed, match="--allow-outgoing") as failed:
        await made.send(message(), Recipient())
    assert failed.value.permanent
