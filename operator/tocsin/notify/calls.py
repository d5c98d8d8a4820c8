"""Requests to vendors: what an answer, or none, means for the delivery."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import orjson
from yarl import URL

from tocsin.notify.channel import DeliveryFailed, FailureReason
from tocsin.notify.client import Answer, Cause, FetchFailed, HttpClient

_DETAIL = 200
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_LONGEST_WAIT = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Calls one service. What `secrets` holds is never in an error, whatever the service answers."""

    http: HttpClient
    secrets: tuple[str, ...] = field(default=(), repr=False)

    async def post(
        self, url: str, document: Any, *, headers: Mapping[str, str] | None = None, method: str = "POST"
    ) -> Answer:
        """Sends `document` as JSON; any answer is given back. Raises DeliveryFailed where there was none."""
        sent = {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
        return await self.send(method, url, encoded(document), headers=sent)

    async def send(
        self, method: str, url: str, body: bytes | None, *, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """As `post`, of any body."""
        try:
            return await self.http.exchange(method, url, body=body, headers=headers)
        except FetchFailed as error:
            raise no_answer(error) from None

    def failure(self, url: str, answer: Answer, detail: str = "") -> DeliveryFailed:
        """`failure_of` with what the service says, made harmless."""
        return failure_of(URL(url).raw_host or "", answer, self.clean(detail))

    def clean(self, text: str) -> str:
        """One short line without secrets."""
        return clean(text, self.secrets)


def clean(text: str, secrets: Iterable[str]) -> str:
    """What a far end says as one short line, without these secrets."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return _UNPRINTABLE.sub(" ", text).strip()[:_DETAIL]


def encoded(document: Any) -> bytes:
    """JSON. Half a surrogate pair, which a template may leave, becomes a question mark."""
    try:
        return orjson.dumps(document)
    except orjson.JSONEncodeError:
        return json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")


def no_answer(error: FetchFailed) -> DeliveryFailed:
    """What it means that nothing usable came back."""
    match error.cause:
        case Cause.TIMEOUT:
            return DeliveryFailed(FailureReason.TIMEOUT, str(error))
        case Cause.REFUSED:
            message = f"{error}; whoever runs Tocsin can allow it with --allow-outgoing"
            return DeliveryFailed(FailureReason.CLIENT_ERROR, message, permanent=True)
        case Cause.URL:
            return DeliveryFailed(FailureReason.CLIENT_ERROR, str(error), permanent=True)
        case _:
            return DeliveryFailed(FailureReason.OTHER, str(error))


def failure_of(host: str, answer: Answer, detail: str = "") -> DeliveryFailed:
    """What an answer other than 2xx means. `detail`: words of the service that hold no secret."""
    status = answer.status
    message = f"{host} answered {status}{': ' if detail else ''}{detail}"
    if status in (401, 403):
        return DeliveryFailed(FailureReason.AUTH_ERROR, message, permanent=True)
    if status == 429:
        return DeliveryFailed(FailureReason.RATE_LIMITED, message, retry_after=retry_after(answer))
    if status == 408 or status >= 500:
        return DeliveryFailed(FailureReason.SERVER_ERROR, message, retry_after=retry_after(answer))
    if 300 <= status < 400:
        message += " (redirects are not followed: give the final URL)"
    return DeliveryFailed(FailureReason.CLIENT_ERROR, message, permanent=True)


def retry_after(answer: Answer) -> float | None:
    """Seconds to wait as `Retry-After` says, in seconds or as a date; at most a day."""
    given = answer.headers.get("retry-after", "").strip()
    try:
        seconds = float(given)
    except ValueError:
        try:
            moment = parsedate_to_datetime(given)
        except ValueError:
            return None
        seconds = (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else None  # noqa: PLR0124 -- not a number


def failed_later(failed: DeliveryFailed, seconds: object) -> DeliveryFailed:
    """The same, to be tried after as many seconds as the service says in a way of its own, if it does."""
    try:
        wait = float(seconds)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return failed
    if failed.retry_after is None and failed.reason is FailureReason.RATE_LIMITED and wait == wait:  # noqa: PLR0124
        failed.retry_after = min(max(wait, 0.0), _LONGEST_WAIT)
    return failed


def json_of(answer: Answer) -> dict[str, Any]:
    """The answer's JSON object, {} where it is none."""
    try:
        found = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
