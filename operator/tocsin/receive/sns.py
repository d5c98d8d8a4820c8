"""Amazon SNS: envelopes are opened and checked before their content is an alert, subscriptions are confirmed.

What SNS delivers "raw" has no envelope and no signature: the URL alone is its credential, as with any other sender.
"""

from __future__ import annotations

import json
from asyncio import Semaphore
from collections import OrderedDict
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from tocsin.notify.client import FetchFailed
from tocsin.problems import Problem, ProblemError, unavailable
from tocsin.receive.answers import Answer
from tocsin.receive.environment import Environment
from tocsin.receive.jsonbody import encode_json, parse_json
from tocsin.sources.amazon_sns.envelope import (
    Envelope,
    InvalidEnvelope,
    alert_payload,
    parse_envelope,
    signing_key,
    verify,
)
from tocsin.sources.charsets import decoded

SLUG = "amazon_sns"
MESSAGE_TYPE = "x-amz-sns-message-type"

Fetch = Callable[[str], Awaitable[bytes]]
"""The body of an https URL, from where outgoing requests may go. Raises FetchFailed."""

_KEYS_LIMIT = 64
_PASSING = (408, 429)
"""Refusals that end by themselves."""

_FETCHES_AT_ONCE = 8


class Topics:
    """Opens deliveries of SNS. The keys of the last 64 certificates are kept: an address never gets another certificate."""

    def __init__(self, fetch: Fetch, environment: Environment) -> None:
        self._fetch = fetch
        self._log = environment.telemetry.log
        self._keys: OrderedDict[str, RSAPublicKey] = OrderedDict()
        self._fetching = Semaphore(_FETCHES_AT_ONCE)

    async def open(self, request: web.BaseRequest, body: bytes, integration: str) -> bytes | Answer:
        """The alert's JSON inside of a delivery, or the answer to what is no alert (alert-flow R-SNS-1 to R-SNS-3).

        Raises ProblemError: 400 if it is not genuine, 503 while that cannot be found out.
        """
        try:
            value = parse_json(body)[0]
        except ProblemError:
            if body and MESSAGE_TYPE in request.headers:
                return encode_json({"message": decoded(body)})
            return body
        if opened(value) is None:
            return body
        envelope = as_signed(body)
        await self.verify(envelope)
        if envelope.type != "Notification":
            return await self.settle(envelope, integration)
        return encode_json(alert_payload(envelope.message, _json))

    async def verify(self, envelope: Envelope) -> None:
        """Checks the signature. Raises ProblemError (400 or 503)."""
        key = await self._key(envelope.certificate_url)
        try:
            verify(envelope, key)
        except InvalidEnvelope as error:
            raise ProblemError(_not_genuine(str(error))) from None

    async def settle(self, envelope: Envelope, integration: str) -> Answer:
        """Confirms a subscription, or takes note of its end: no alert either way. Raises ProblemError (400 or 503)."""
        if envelope.type == "SubscriptionConfirmation":
            await self._asked("SubscribeURL", envelope.subscribe_url)
            state = "confirmed"
        else:
            state = "ended"
        self._log.info(f"subscription {state}", integration=integration, topic=envelope.topic[:256])
        return Answer(msgspec.json.encode({"subscription": state}))

    async def _key(self, url: str) -> RSAPublicKey:
        held = self._held(url)
        if held is not None:
            return held
        async with self._fetching:
            held = self._held(url)
            if held is not None:
                return held
            fetched = await self._asked("SigningCertURL", url)
            try:
                key = signing_key(fetched.strip())
            except InvalidEnvelope as error:
                raise ProblemError(_not_genuine(str(error))) from None
            self._keys[url] = key
            if len(self._keys) > _KEYS_LIMIT:
                self._keys.popitem(last=False)
        return key

    def _held(self, url: str) -> RSAPublicKey | None:
        if url in self._keys:
            self._keys.move_to_end(url)
        return self._keys.get(url)

    async def _asked(self, field: str, url: str) -> bytes:
        """What Amazon answers. Its refusal is the sender's fault, no answer is nobody's: SNS sends again after a 503."""
        try:
            return await self._fetch(url)
        except FetchFailed as error:
            if 400 <= error.status < 500 and error.status not in _PASSING:
                raise ProblemError(_not_genuine(f"{field}: {error}")) from None
            self._log.warning("Amazon SNS cannot be asked", field=field, reason=str(error))
            raise ProblemError(
                unavailable("sns-unavailable", f"{field} cannot be fetched: {error}", retry_after=20)
            ) from None


def opened(value: object) -> Envelope | None:
    """The envelope, None for a raw delivery. Raises ProblemError (400) for one that cannot be genuine."""
    try:
        return parse_envelope(value)
    except InvalidEnvelope as error:
        raise ProblemError(_not_genuine(str(error))) from None


def as_signed(body: bytes) -> Envelope:
    """The envelope with its texts as they were signed, nothing in them repaired. Raises ProblemError (400)."""
    try:
        envelope = opened(json.loads(body))
    except (ValueError, RecursionError):
        envelope = None
    if envelope is None:
        raise ProblemError(_not_genuine("Signature: cannot be checked, the body is not strict JSON"))
    return envelope


def _not_genuine(reason: str) -> Problem:
    field, _, detail = reason.partition(": ")
    return Problem(
        status=400,
        kind="sns-not-genuine",
        detail=f"this is no genuine message of Amazon SNS: {detail}",
        field=f"body.{field}",
        action="let SNS deliver to this URL itself; signatures are checked for every envelope",
    )


def _json(text: str) -> object:
    """Raises ValueError where the text is no JSON."""
    try:
        return parse_json(text.encode(errors="replace"))[0]
    except ProblemError as error:
        raise ValueError(error.problem.detail) from None
