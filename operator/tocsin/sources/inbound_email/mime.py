"""The few things of a raw e-mail that matter, read in bounded time.

The standard library's parser takes minutes for headers and part counts that any sender can produce; this one looks
at a bounded number of parts and at the beginning of each header, and never raises.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message

import msgspec

from tocsin.sources.charsets import decoded

HEADER_LIMIT = 4_096
"""Characters of one header that are read."""

_HEAD_LIMIT = 65_536
_PARTS_LIMIT = 200
_DEPTH_LIMIT = 8
_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_FOLD = re.compile(r"\r?\n[ \t]+")


class Mime(msgspec.Struct, frozen=True, kw_only=True):
    """`sender` is the From header's value, all of them joined by comma. `text` and `html` are the first such parts."""

    sender: str
    subject: str
    text: str
    html: str


class _Part:
    """One part: its headers by lower-case name, and its body, still encoded."""

    def __init__(self, raw: bytes) -> None:
        end = None if raw.startswith((b"\r\n", b"\n")) else _END_OF_HEAD.search(raw)
        if end is not None:
            head, self.body = raw[: end.start()], raw[end.end() :]
        elif raw.startswith((b"\r\n", b"\n")):
            head, self.body = b"", raw.lstrip(b"\r\n")
        else:
            head, self.body = raw, b""
        self.headers: dict[str, list[str]] = {}
        for line in _FOLD.sub(" ", decoded(head[:_HEAD_LIMIT])).split("\n"):
            name, _, value = line.partition(":")
            self.headers.setdefault(name.strip().lower(), []).append(value.strip()[:HEADER_LIMIT])
        self.content: Message[str, str] = Message()
        self.content["Content-Type"] = self.header("content-type") or "text/plain"

    def header(self, name: str) -> str:
        return self.headers.get(name, [""])[0]

    @property
    def is_attachment(self) -> bool:
        return self.header("content-disposition").lower().startswith("attachment")

    def text(self) -> str:
        encoding = self.header("content-transfer-encoding").lower()
        body = self.body
        if encoding == "base64":
            body = _from_base64(body)
        elif encoding == "quoted-printable":
            body = binascii.a2b_qp(body)
        return decoded(body, self.content.get_content_charset() or "")

    def parts(self) -> Iterator[bytes]:
        boundary = self.content.get_boundary()
        if not boundary:
            return
        delimiter = re.compile(
            rb"(?:\A|\r?\n)--" + re.escape(boundary.encode(errors="replace")) + rb"(--)?[ \t]*(?=\r?\n|\Z)"
        )
        begin: int | None = None
        for found in delimiter.finditer(self.body):
            if begin is not None:
                yield _without_newline(self.body[begin : found.start()])
            begin = None if found[1] else found.end()
            if found[1]:
                return
        if begin is not None:
            yield _without_newline(self.body[begin:])


def read_mime(raw: bytes) -> Mime:
    """What a raw RFC 5322 message says. Attachments are passed over; what is beyond the limits is not looked at."""
    message = _Part(raw)
    found: dict[str, str] = {}
    for part in _leaves(message):
        kind = part.content.get_content_type()
        if kind in ("text/plain", "text/html") and kind not in found and not part.is_attachment:
            found[kind] = part.text()
        if len(found) == 2:
            break
    return Mime(
        sender=", ".join(_readable(value) for value in message.headers.get("from", ())[:_DEPTH_LIMIT]),
        subject=_readable(message.header("subject")),
        text=found.get("text/plain", ""),
        html=found.get("text/html", ""),
    )


def _leaves(message: _Part) -> Iterator[_Part]:
    """Parts without parts, in their order."""
    waiting = [(message, 0)]
    for _ in range(_PARTS_LIMIT):
        if not waiting:
            return
        part, depth = waiting.pop()
        if part.content.get_content_maintype() != "multipart":
            yield part
        elif depth < _DEPTH_LIMIT and not part.is_attachment:
            below = []
            for raw in part.parts():
                below.append((_Part(raw), depth + 1))
                if len(below) == _PARTS_LIMIT:
                    break
            waiting += reversed(below)


def _readable(value: str) -> str:
    """A header's text with its encoded words decoded."""
    if "=?" not in value:
        return value
    try:
        words = decode_header(value)
    except (HeaderParseError, ValueError):
        return value
    text = "".join(word if isinstance(word, str) else decoded(word, charset or "") for word, charset in words)
    return text.strip() or value


def _from_base64(body: bytes) -> bytes:
    compact = b"".join(body.split())
    try:
        return binascii.a2b_base64(compact + b"===")
    except binascii.Error:
        return b""


def _without_newline(raw: bytes) -> bytes:
    """A part begins after the line break that ends its delimiter."""
    return raw[2:] if raw.startswith(b"\r\n") else raw[1:]
