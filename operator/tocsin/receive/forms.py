"""Form, multipart and query-string bodies as flat objects of strings (alert-flow R-ING-18: the last of repeated keys counts)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import parse_content_disposition

from tocsin.problems import Problem, ProblemError, malformed
from tocsin.receive.jsonbody import NUL_REPLACED, Notes, parse_json

CHARSET_GUESSED = "charset-guessed"

_CHARSETS = (
    "utf-8 us-ascii ascii utf-16 utf-16le utf-16be "
    "iso-8859-1 iso-8859-2 iso-8859-3 iso-8859-4 iso-8859-5 iso-8859-6 iso-8859-7 iso-8859-8 iso-8859-9 iso-8859-10 "
    "iso-8859-13 iso-8859-14 iso-8859-15 iso-8859-16 latin-1 latin1 "
    "windows-1250 windows-1251 windows-1252 windows-1253 windows-1254 windows-1255 windows-1256 windows-1257 windows-1258 "
    "cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 cp437 cp850 cp866 "
    "koi8-r koi8-u shift_jis euc-jp euc-kr iso-2022-jp gb2312 gbk gb18030 big5"
)
KNOWN_CHARSETS = frozenset(_CHARSETS.split())
"""Closed, because some of Python's codecs are no character sets and some take quadratic time."""

_JSON_FIELDS = ("payload", "data")
_HEADER_LIMIT = 16_384


def parse_form(body: bytes, charset: str, fields_limit: int) -> tuple[dict[str, str], Notes]:
    """`a=1&b=2`. Raises ProblemError (400) for an unknown charset or too many fields."""
    text = _Text(charset)
    pairs = body.split(b"&")
    if len(pairs) > fields_limit:
        raise ProblemError(_too_many(len(pairs), fields_limit))
    fields: dict[str, str] = {}
    for pair in pairs:
        if not pair:
            continue
        key, _, value = pair.partition(b"=")
        fields[text.decode(_unescape(key))] = text.decode(_unescape(value))
    return fields, text.notes


def parse_query(query: str, fields_limit: int) -> tuple[dict[str, str], Notes]:
    return parse_form(query.encode("utf-8", "surrogateescape"), "", fields_limit)


def parse_multipart(
    body: bytes, boundary: str, charset: str, fields_limit: int
) -> tuple[dict[str, str], Notes]:
    """The text fields of multipart/form-data. Raises ProblemError (400) for files, broken parts and too many fields."""
    text = _Text(charset)
    fields: dict[str, str] = {}
    for part in _parts(body, boundary.encode(), fields_limit):
        head, separator, content = part.partition(b"\r\n\r\n")
        if not separator or len(head) > _HEADER_LIMIT:
            raise ProblemError(malformed("a part of the multipart body has no end of its headers"))
        name = _field_name(head)
        fields[name] = text.decode(content)
    return fields, text.notes


def unwrap(fields: dict[str, str]) -> tuple[Any, Notes]:
    """Senders that put the whole JSON into one field named `payload` or `data` mean that JSON."""
    if len(fields) == 1:
        name, value = next(iter(fields.items()))
        if name in _JSON_FIELDS and value.lstrip()[:1] in ("{", "["):
            return parse_json(value.encode())
    return fields, ()


class _Text:
    """Decodes with the declared charset; undeclared is UTF-8, or Windows-1252 where it is not UTF-8."""

    def __init__(self, charset: str) -> None:
        self._charset = charset.strip("\"' ").lower()
        if self._charset and self._charset not in KNOWN_CHARSETS:
            raise ProblemError(
                malformed(
                    f"charset {self._charset[:40]!r} is not known",
                    field="header Content-Type",
                    action="send UTF-8",
                )
            )
        self._seen: set[str] = set()

    def decode(self, raw: bytes) -> str:
        if self._charset:
            value = raw.decode(self._charset, "replace")
        else:
            try:
                value = raw.decode()
            except UnicodeDecodeError:
                self._seen.add(CHARSET_GUESSED)
                value = raw.decode("cp1252", "replace")
        if "\x00" in value:
            self._seen.add(NUL_REPLACED)
            value = value.replace("\x00", "\ufffd")
        return value

    @property
    def notes(self) -> Notes:
        return tuple(sorted(self._seen))


def _unescape(raw: bytes) -> bytes:
    return unquote_to_bytes(raw.replace(b"+", b" ")) if b"%" in raw or b"+" in raw else raw


def _parts(body: bytes, boundary: bytes, fields_limit: int) -> Iterable[bytes]:
    if not boundary or len(boundary) > 200:
        raise ProblemError(malformed("multipart without a usable boundary", field="header Content-Type"))
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary, fields_limit + 2)
    if len(pieces) > fields_limit + 2:
        raise ProblemError(_too_many(len(pieces) - 2, fields_limit))
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise ProblemError(
            malformed("the multipart body has no closing boundary", action="send the whole body")
        )
    for piece in pieces[1:-1]:
        line, separator, part = piece.partition(b"\r\n")
        if not separator or line.strip(b" \t"):
            raise ProblemError(malformed("a boundary of the multipart body is followed by other text"))
        yield part


def _field_name(head: bytes) -> str:
    for line in head.decode("utf-8", "replace").split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            _, parameters = parse_content_disposition(value.strip())
            if "filename" in parameters or "filename*" in parameters:
                raise ProblemError(
                    malformed("the multipart body carries a file", action="send text fields only")
                )
            name = parameters.get("name")
            if name is not None:
                return name.replace("\x00", "\ufffd")
    raise ProblemError(malformed("a part of the multipart body has no name"))


def _too_many(count: int, limit: int) -> Problem:
    return malformed(f"{count} fields or more; at most {limit} are taken", action="send JSON", limit=limit)
