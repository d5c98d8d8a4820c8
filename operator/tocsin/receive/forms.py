"""Form, multipart and query-string bodies as flat objects of strings (alert-flow R-ING-18: the last of repeated keys counts)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from aiohttp import parse_content_disposition

from tocsin.problems import Problem, ProblemError, malformed
from tocsin.receive.jsonbody import NUL_REPLACED, Notes, parse_json
from tocsin.sources.charsets import KNOWN_CHARSETS, decoded

CHARSET_GUESSED = "charset-guessed"

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
    for head, content in _headed_parts(body, boundary, fields_limit):
        parameters = _disposition(head)
        if _is_file(parameters):
            raise ProblemError(malformed("the multipart body carries a file", action="send text fields only"))
        fields[_name(parameters)] = text.decode(content)
    return fields, text.notes


def form_fields(body: bytes, fields_limit: int) -> dict[str, bytes]:
    """The fields of `a=1&b=2`, values still in the sender's charset. Raises ProblemError (400) for too many fields."""
    pairs = body.split(b"&")
    if len(pairs) > fields_limit:
        raise ProblemError(_too_many(len(pairs), fields_limit))
    split = (pair.partition(b"=") for pair in pairs if pair)
    return {decoded(_unescape(key)): _unescape(value) for key, _, value in split}


def multipart_fields(body: bytes, boundary: str, fields_limit: int) -> dict[str, bytes]:
    """The text fields of multipart/form-data, values still in the sender's charset; files are passed over.

    Raises ProblemError (400) for broken parts and too many fields.
    """
    fields: dict[str, bytes] = {}
    for head, content in _headed_parts(body, boundary, fields_limit):
        parameters = _disposition(head)
        if not _is_file(parameters):
            fields[_name(parameters)] = content
    return fields


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


def _headed_parts(body: bytes, boundary: str, fields_limit: int) -> Iterable[tuple[bytes, bytes]]:
    """Headers and content of each part."""
    for part in _parts(body, boundary.encode("utf-8", "surrogateescape"), fields_limit):
        head, separator, content = part.partition(b"\r\n\r\n")
        if not separator or len(head) > _HEADER_LIMIT:
            raise ProblemError(malformed("a part of the multipart body has no end of its headers"))
        yield head, content


def _disposition(head: bytes) -> Mapping[str, str]:
    """The parameters of a part's Content-Disposition."""
    for line in head.decode("utf-8", "replace").split("\r\n"):
        header, _, value = line.partition(":")
        if header.strip().lower() == "content-disposition":
            return parse_content_disposition(value.strip())[1]
    return {}


def _is_file(parameters: Mapping[str, str]) -> bool:
    return "filename" in parameters or "filename*" in parameters


def _name(parameters: Mapping[str, str]) -> str:
    name = parameters.get("name")
    if name is None:
        raise ProblemError(malformed("a part of the multipart body has no name"))
    return name.replace("\x00", "\ufffd")


def _too_many(count: int, limit: int) -> Problem:
    return malformed(f"{count} fields or more; at most {limit} are taken", action="send JSON", limit=limit)
