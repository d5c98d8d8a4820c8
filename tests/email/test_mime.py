"""Raw e-mails and HTML parts: what people sent comes out right, what attackers send costs no time."""

from __future__ import annotations

import base64

import pytest

from tocsin.sources.inbound_email.html_text import LIMIT, text_of_html
from tocsin.sources.inbound_email.message import ReceivedEmail, from_mime

HEAD = b"From: Bot <bot@example.com>\r\nSubject: s\r\n"


def mixed(*parts: bytes, boundary: bytes = b"b") -> bytes:
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts)
    return (
        b'Content-Type: multipart/mixed; boundary="'
        + boundary
        + b'"\r\n\r\npreamble\r\n'
        + body
        + b"--"
        + boundary
        + b"--\r\nepilogue"
    )


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"\r\nplain", "plain"),
        (b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\nF\xfcllstand", "Füllstand"),
        (b"\r\nF\xc3\xbcllstand", "Füllstand"),
        (b"Content-Type: text/plain; charset=punycode\r\n\r\nF\xfcllstand", "Füllstand"),
        (b"Content-Transfer-Encoding: quoted-printable\r\n\r\nF=C3=BCll=\r\nstand", "Füllstand"),
        (
            b"Content-Transfer-Encoding: BASE64\r\n\r\n" + base64.encodebytes("Füllstand".encode()),
            "Füllstand",
        ),
        (b"Content-Transfer-Encoding: base64\r\n\r\n*", ""),
        (mixed(b"Content-Type: text/plain\r\n\r\none", b"Content-Type: text/plain\r\n\r\ntwo"), "one"),
        (mixed(b"Content-Disposition: attachment; filename=a.txt\r\n\r\nno", b"\r\nyes"), "yes"),
        (mixed(b"Content-Type: image/png\r\n\r\n..", b"\r\nyes"), "yes"),
        (mixed(mixed(b"\r\ninner", boundary=b"b1"), b"\r\nouter"), "inner"),
        (mixed(b"\r\n", b"Content-Type: text/plain\r\n\r\nsecond"), ""),
        (
            mixed(b"Content-Type: text/plain\r\n\r\n--bold-- is no end\r\n--bx neither"),
            "--bold-- is no end\n--bx neither",
        ),
        (b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ncut off", "cut off"),
        (b"Content-Type: multipart/mixed\r\n\r\nno boundary", ""),
        (b"Content-Type: TEXT/Plain\r\n\r\nx\r\ny", "x\ny"),
        (b"Content-Type: application/pdf\r\n\r\n%PDF", ""),
        (b"X-Long: a\r\n b\r\n\tc\r\n\r\nafter folding", "after folding"),
    ],
)
def test_the_text_of_a_raw_message(raw: bytes, text: str) -> None:
    """The first text part that is no attachment, decoded as it says, or as it can be."""
    assert from_mime(HEAD + raw, "").payload()["message"] == text


@pytest.mark.parametrize(
    ("header", "shown"),
    [
        (b"Subject: plain", "plain"),
        (b"Subject: =?utf-8?q?F=C3=BCll?= =?utf-8?b?c3RhbmQ=?=", "Füllstand"),
        (b"Subject: F\xc3\xbcllstand", "Füllstand"),
        (b"Subject: =?no-such?q?F=C3=BCllstand?=", "Füllstand"),
        (b"Subject: =?utf-8?b?*?=", "=?utf-8?b?*?="),
        (b"subject: folded\r\n over lines", "folded over lines"),
        (b"X: 1", ""),
    ],
)
def test_the_subject_of_a_raw_message(header: bytes, shown: str) -> None:
    assert from_mime(header + b"\r\n\r\ntext", "").payload()["subject"] == shown


def test_html_is_read_as_browsers_read_it() -> None:
    """Unclosed comments and tags swallow the rest; a stray `<` is text; quotes that close protect `>`; entities are decoded once."""
    cases = {
        "a<!-- x --> b": "a b",
        "a<!-- x": "a",
        "a < b > c": "a < b > c",
        "a<br title='1 > 0'>b": "a\nb",
        'a<b class="x>b</b>': "ab",
        "x &amp;lt; y &uuml;": "x &lt; y ü",
        "<head><title>t</title><body>text": "text",
        "<!DOCTYPE html><?xml?>text</nothing>": "text",
        "<a href='https://x.example/?a=1&amp;b=2'>here</a>": "here (https://x.example/?a=1&b=2)",
        "<a data-href=no>here</a>": "here",
        "<a href=https://x.example>https://x.example</a>": "https://x.example",
        "<style>p{}</style>a<SCRIPT>if (a</b) {}</SCRIPT>b": "ab",
        "&#99999999999999;": "\ufffd",
    }
    for html, text in cases.items():
        assert text_of_html(html) == text, html


HOSTILE_HTML = [
    "<!",
    "<a ",
    "&",
    "<!--",
    "</",
    "<a b='",
    "<a b=",
    '<a b="',
    "<?",
    "<![CDATA[",
    "&#",
    "<script>",
    "<div>",
]
HOSTILE_HTML += [
    "<a href=x>y",
    "<a>x</a",
    "href='",
    "<a href='",
    "<head>",
    "<p\n",
    "&#9",
    "<li>",
    "\u0130<script>",
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("piece", HOSTILE_HTML)
def test_no_html_keeps_the_reader_busy(piece: str) -> None:
    """The work is in proportion to the length: with the standard library's parser some of these take hours."""
    assert isinstance(text_of_html((piece * (LIMIT // 4))[: LIMIT // 4]), str)


def hostile_mail(name: str, size: int) -> bytes:
    match name:
        case "addresses":
            return b"From: " + b"a@b.example, " * (size // 13) + b"\r\n\r\nx"
        case "quotes":
            return b"From: " + b'"' * size + b"\r\n\r\nx"
        case "brackets":
            return b"From: " + b"(" * size + b"\r\n\r\nx"
        case "words":
            return b"Subject: " + b"=?utf-8?q?x?= " * (size // 14) + b"\r\n\r\nx"
        case "parameters":
            return b"Content-Type: text/plain; " + b'a="b;' * (size // 5) + b"\r\n\r\nx"
        case "headers":
            return b"A: b\r\n" * (size // 6) + b"\r\nx"
        case "folds":
            return b"Subject: a\r\n" + b" \r\n" * (size // 3) + b"\r\nx"
        case "parts":
            return (
                HEAD
                + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
                + b"--b\r\n\r\nx\r\n" * (size // 10)
            )
        case "images":
            part = b"--b\r\nContent-Type: image/png\r\n\r\nx\r\n"
            return HEAD + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + part * (size // len(part))
        case "nested":
            level = b'Content-Type: multipart/mixed; boundary="%07d"\r\n\r\n--%07d\r\n'
            return b"".join(level % (number, number) for number in range(size // 65)) + b"\r\nx"
        case _:
            return HEAD + b"\r\n" + b"\r\n" * (size // 2)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "name",
    [
        "addresses",
        "quotes",
        "brackets",
        "words",
        "parameters",
        "headers",
        "folds",
        "parts",
        "images",
        "nested",
        "lines",
    ],
)
def test_no_mail_keeps_the_reader_busy(name: str) -> None:
    """Nor does any end in an exception."""
    assert set(from_mime(hostile_mail(name, 1_000_000), "x").payload()) == {"subject", "message", "sender"}


def test_recipients_and_senders_of_any_length_are_read() -> None:
    """What cannot be an address is none."""
    mail = ReceivedEmail(recipients="(" * 100_000 + ",tok@a.example", sender='"(<' * 100_000)
    assert mail.token("a.example") == "tok"
    assert len(mail.payload()["sender"]) <= 4096
