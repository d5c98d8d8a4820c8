"""From the bytes of a body to the value that alerts are made of, whatever the sender calls it.

JSON is taken under any media type. Forms, multipart and query strings are for the types that declare them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from aiohttp import web

from tocsin.problems import Problem, ProblemError, malformed
from tocsin.receive.forms import parse_form, parse_multipart, parse_query, unwrap
from tocsin.receive.jsonbody import Notes, parse_json
from tocsin.receive.settings import Settings
from tocsin.sources.model import BodyKind, SourceType

FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"
_CONTAINERS = (b"{", b"[")
_BOM = b"\xef\xbb\xbf"


class Content(NamedTuple):
    """`notes` say what was changed in the body; they go onto the alert's trace."""

    value: Any
    notes: Notes = ()


class ContentReader:
    """Reads decoded bodies within the limits of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._fields = settings.fields_limit

    def read(self, request: web.BaseRequest, body: bytes, source: SourceType) -> Content:
        """Raises ProblemError: 400 for what is malformed or empty, 415 for a form that the type does not take.

        What parses as a JSON object or list is that, so the media type is only looked at for the rest.
        """
        if body[:1] in _CONTAINERS:
            return Content(*parse_json(body))
        if not body:
            return self._query(request, source)
        return self.parse(body, request.headers.get("Content-Type", ""), source)

    def parse(self, body: bytes, media: str, source: SourceType) -> Content:
        """The same for a body that was kept: `media` is the value of its Content-Type header."""
        if body[:1] in _CONTAINERS:
            return Content(*parse_json(body))
        kind = media.partition(";")[0].strip().lower()
        if kind == MULTIPART:
            _require(source, BodyKind.MULTIPART)
            return self._unwrapped(
                parse_multipart(body, parameter(media, "boundary"), parameter(media, "charset"), self._fields)
            )
        if kind == FORM and not _looks_like_json(body):
            _require(source, BodyKind.FORM)
            return self._unwrapped(parse_form(body.strip(), parameter(media, "charset"), self._fields))
        return Content(*parse_json(body))

    def _query(self, request: web.BaseRequest, source: SourceType) -> Content:
        if not request.query_string:
            raise ProblemError(malformed("the body is empty", action="send the alert as JSON"))
        if BodyKind.QUERY not in source.body and not source.query_delivery:
            raise ProblemError(
                malformed(
                    f"the body is empty, and type {source.slug!r} takes no alerts in the query",
                    action="send the alert as JSON in the body",
                )
            )
        raw = request.raw_path.partition("?")[2]
        return self._unwrapped(parse_query(raw, self._fields))

    def _unwrapped(self, parsed: tuple[dict[str, str], Notes]) -> Content:
        fields, notes = parsed
        if not fields:
            raise ProblemError(
                malformed("the body holds no field", action="send at least one field, or JSON")
            )
        value, more = unwrap(fields)
        return Content(value, (*notes, *more))


def _looks_like_json(body: bytes) -> bool:
    """`curl -d '{...}'` calls its JSON a form."""
    return body.removeprefix(_BOM).lstrip()[:1] in _CONTAINERS


def _require(source: SourceType, kind: BodyKind) -> None:
    if kind not in source.body:
        raise ProblemError(
            Problem(
                status=415,
                kind="unsupported-body",
                detail=f"type {source.slug!r} takes JSON; this body is a {kind.value} body",
                field="header Content-Type",
                action="send JSON, or use an Integration of type webhook",
            )
        )


def parameter(media: str, name: str) -> str:
    for part in media.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"')
    return ""
