"""Mails as alerts: the webhook that e-mail services post to, for all Integrations of type inbound_email together.

The envelope's recipient says whose a mail is (`<token>@<domain>`); from there it takes the way of every other alert.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from aiohttp import web
from aiohttp.hdrs import CONTENT_ENCODING

from tocsin.problems import Problem, ProblemError, malformed, method_not_allowed, not_found
from tocsin.receive.answers import TEXT, Answer
from tocsin.receive.body import Bodies
from tocsin.receive.content import parameter
from tocsin.receive.credentials import Credentials
from tocsin.receive.endpoints import Endpoints, Located
from tocsin.receive.environment import Environment
from tocsin.receive.forms import form_fields, multipart_fields
from tocsin.receive.jsonbody import encode_json
from tocsin.receive.settings import Settings
from tocsin.receive.sns import MESSAGE_TYPE, Topics, as_signed
from tocsin.sources.charsets import decoded
from tocsin.sources.inbound_email.providers import PROVIDERS, Delivery, proven_by_secret, receive

SLUG = "inbound_email"

_NAME = "inbound_email_webhook"
_PATH = ["integrations", "v1", _NAME]
_METHODS = ("HEAD", "POST")
_SES = "amazon_ses"
_SES_VALIDATED = "amazon_ses_validated"
_THREAD_FROM = 32_768
"""Bytes from which a body is read in a thread: mails carry attachments, and other requests shall not wait for those."""


class Mail(NamedTuple):
    """A mail for an Integration. `body`: the alert's payload as JSON (`subject`, `message`, `sender`)."""

    located: Located
    body: bytes


class Mailbox:
    """Off without a configured provider: then its URL does not exist."""

    def __init__(
        self, environment: Environment, endpoints: Endpoints, credentials: Credentials, topics: Topics
    ) -> None:
        """Raises ValueError if the settings for mails do not fit together."""
        self._settings = checked(environment.settings)
        self._domain = environment.settings.email_domain.removeprefix("@")
        self._now = environment.now
        self._endpoints = endpoints
        self._credentials = credentials
        self._topics = topics
        self._bodies = Bodies(environment)

    def knows(self, path: str) -> bool:
        """Whether a path is that of the webhook; doubled and trailing slashes mean nothing."""
        return _NAME in path and [part for part in path.split("/") if part] == _PATH

    async def open(self, request: web.BaseRequest) -> Mail | Answer:
        """The mail, or the answer to what is none: probes, and confirmations of an SNS subscription.

        Raises ProblemError: 400 for what is not proven, malformed or for nobody here, 403 for an unknown token.
        """
        if not self._settings.email_providers:
            raise ProblemError(
                not_found("mails are not received here", action="configure a provider of inbound mails")
            )
        if request.method == "HEAD":
            return Answer(b"", content_type=TEXT)
        if request.method != "POST":
            raise ProblemError(method_not_allowed(request.method, _METHODS, detail="mails are sent by POST"))
        raw = self._bodies.read_now(request)
        if raw is None:
            raw = await self._bodies.read(request)
        held = len(raw)
        try:
            body = self._bodies.decoded(raw, request.headers.get(CONTENT_ENCODING, ""))
            held += len(body) if body is not raw else 0
            opened = await self._opened(request, body)
        finally:
            self._bodies.release(held)
        if isinstance(opened, Answer):
            return opened
        token, payload = opened
        return Mail(await self._located(token), payload)

    async def _opened(self, request: web.BaseRequest, body: bytes) -> Answer | tuple[str, bytes]:
        headers = {name.lower(): value for name, value in request.headers.items()}
        url = self._settings.email_url or f"https://{headers.get('host', '')}{request.raw_path}"
        delivery = Delivery(headers=headers, body=body, url=url)
        if MESSAGE_TYPE in headers:
            of_sns = await self._of_sns(delivery)
            if isinstance(of_sns, Answer):
                return of_sns
            delivery = msgspec.structs.replace(delivery, signed=of_sns)
        if len(body) < _THREAD_FROM:
            return self._read(delivery)
        return await asyncio.to_thread(self._read, delivery)

    async def _of_sns(self, delivery: Delivery) -> Answer | bool:
        """Whether SNS signed this for the configured topic; its answer if it is about the subscription.

        Raises ProblemError: 400 if the signature is wrong, 503 while it cannot be checked.
        """
        settings = self._settings
        if not {_SES, _SES_VALIDATED} & set(settings.email_providers):
            return False
        envelope = as_signed(delivery.body)
        signed = _SES_VALIDATED in settings.email_providers and envelope.topic == settings.email_ses_topic
        if signed:
            await self._topics.verify(envelope)
        trusted = signed or (
            _SES in settings.email_providers and proven_by_secret(delivery, settings.email_secret)
        )
        if trusted and envelope.type != "Notification":
            return await self._topics.settle(envelope, "")
        return signed

    def _read(self, delivery: Delivery) -> tuple[str, bytes]:
        """The token that the mail was sent to, and its payload. Raises ProblemError (400)."""
        fields = _fields(delivery, self._settings.fields_limit)
        delivery = msgspec.structs.replace(
            delivery, raw_form=fields, form={name: decoded(value) for name, value in fields.items()}
        )
        received = receive(delivery, self._settings.email_providers, self._settings.email_secret)
        if received is None:
            raise ProblemError(_UNPROVEN)
        token = received.token(self._domain)
        if token is None:
            raise ProblemError(
                malformed(
                    f"no envelope recipient is at {self._domain}",
                    field=_RECIPIENT,
                    action=_ACTION,
                )
            )
        return token, encode_json(received.payload())

    async def _located(self, token: str) -> Located:
        """The Integration of the token; one that is not known may be new, as with all URLs. Raises ProblemError."""
        try:
            endpoint = self._endpoints.of_token(token, self._now())
        except ProblemError:
            await self._credentials.refresh_if_older(1.0)
            try:
                endpoint = self._endpoints.of_token(token, self._now())
            except ProblemError as error:
                problem = error.problem
                if problem.field == "path":
                    problem = msgspec.structs.replace(problem, field=_RECIPIENT, action=_ACTION)
                raise ProblemError(problem) from None
        if endpoint.program is not None and endpoint.program.type.slug != SLUG:
            raise ProblemError(
                malformed(f"Integration {endpoint.name} takes no mails", field=_RECIPIENT, action=_ACTION)
            )
        return endpoint.alert


def checked(settings: Settings) -> Settings:
    """The settings. Raises ValueError, in words for whoever starts the process, if those for mails do not fit together."""
    providers = settings.email_providers
    for name in providers:
        if name not in PROVIDERS:
            raise ValueError(f"{name!r} is no e-mail provider: use {', '.join(PROVIDERS)}")
    if providers and not settings.email_domain.removeprefix("@"):
        raise ValueError("e-mail providers need the domain that mails are sent to")
    if set(providers) - {_SES_VALIDATED} and not settings.email_secret:
        raise ValueError("e-mail providers need the secret that they prove themselves with")
    if _SES_VALIDATED in providers and not settings.email_ses_topic.startswith("arn:"):
        raise ValueError(f"{_SES_VALIDATED} needs the ARN of the SNS topic that SES publishes to")
    return settings


def _fields(delivery: Delivery, limit: int) -> Mapping[str, bytes]:
    """The text fields of a form; attachments are passed over. Raises ProblemError (400) for a broken one."""
    media = delivery.headers.get("content-type", "")
    match media.partition(";")[0].strip().lower():
        case "multipart/form-data":
            return multipart_fields(delivery.body, parameter(media, "boundary"), limit)
        case "application/x-www-form-urlencoded":
            return form_fields(delivery.body, limit)
        case _:
            return {}


_RECIPIENT = "envelope recipient"
_ACTION = "send to <token>@<domain> of an Integration of type inbound_email, as `tocsin endpoints` shows it"
_UNPROVEN = Problem(
    status=400,
    kind="mail-not-proven",
    detail="no configured provider recognises this delivery as its own",
    field="body",
    action="check the provider's secret and format in its settings; docs/email-and-sns.md says what each needs",
)
