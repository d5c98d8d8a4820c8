"""The request of an outgoing webhook, from its templates and what happened (alert-flow 13.4). Pure.

Order: condition, URL, headers, body. The first that fails ends it: no request is made, and the failure names the part.
"""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tocsin.flow.model import Micros, SecretKey, TemplateText, WebhookFragment
from tocsin.flow.rendering import Prepared, render_text
from tocsin.flow.templates import TemplateProblem, Variables, is_true

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
BODY_LIMIT = 1_000_000
"""Bytes of a rendered body."""

MASK = "*" * 16
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_QUOTES_ITSELF = re.compile(r"\|\s*(tojson|tojson_pretty|json_dumps)\b")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """`headers` in order, those of Secrets last; `secret` are the names whose values nobody may see."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes | None = None
    secret: frozenset[str] = frozenset()

    def shown_headers(self) -> dict[str, str]:
        """For people: with credentials masked."""
        return {name: MASK if name.lower() in self.secret else value for name, value in self.headers}


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """The condition did not hold. `result` is what it rendered to."""

    result: str


class Failed(msgspec.Struct, frozen=True, kw_only=True):
    """`field` is `condition`, `url`, `headers`, `body` or `credentials`."""

    field: str
    message: str


class _Failure(Exception):
    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.failed = Failed(field=field, message=message)


def webhook_request(
    webhook: WebhookFragment, data: Mapping[str, Any], secrets: Mapping[SecretKey, str], now: Micros
) -> Request | Skipped | Failed:
    """`data` as in alert-flow R-WHK-11; `secrets`: the values of `secret_keys(webhook)`. Never raises for content."""
    try:
        variables = _variables(data, now)
        if webhook.condition is not None:
            result = _render("condition", webhook.condition, variables)
            if not is_true(result):
                return Skipped(result=result[:200])
        url = _url(webhook, variables, secrets)
        body, media_type = _body(webhook, data, variables, now)
        headers, secret = _headers(webhook, variables, secrets)
    except _Failure as failure:
        return failure.failed
    if body is not None and "content-type" not in {name.lower() for name, _ in headers}:
        headers = (("Content-Type", media_type), *headers)
    return Request(method=webhook.method, url=url, headers=headers, body=body, secret=secret)


def secret_keys(webhook: WebhookFragment) -> tuple[SecretKey, ...]:
    """Every Secret that the request needs."""
    own = (webhook.url_secret, webhook.username, webhook.password)
    return tuple(key for key in (*own, *(key for _, key in webhook.secret_headers)) if key is not None)


def _variables(data: Mapping[str, Any], now: Micros) -> Variables:
    """`payload` and `labels` are there too, as in every template: those of the alert and of the group."""
    group = data.get("alert_group")
    labels = group.get("labels") if isinstance(group, dict) else None
    return Variables(payload=data.get("alert_payload"), labels=labels or {}, now=now, extra=data)


def _render(field: str, source: TemplateText, variables: Variables) -> str:
    try:
        return render_text(Prepared(source), variables)
    except TemplateProblem as problem:
        where = f" (line {problem.line})" if problem.line else ""
        raise _Failure(field, f"{problem.message}{where}") from None


def _url(webhook: WebhookFragment, variables: Variables, secrets: Mapping[SecretKey, str]) -> str:
    """The address itself is judged when it is connected to (`notify.guard`)."""
    if webhook.url_secret is not None:
        url = _secret("url", webhook.url_secret, secrets).strip()
    else:
        url = _render("url", webhook.url, variables).strip() if webhook.url is not None else ""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or not url.isprintable() or " " in url:
        raise _Failure("url", "the result is no http or https URL with a host")
    return url


def _headers(
    webhook: WebhookFragment, variables: Variables, secrets: Mapping[SecretKey, str]
) -> tuple[tuple[tuple[str, str], ...], frozenset[str]]:
    found: dict[str, tuple[str, str]] = {}
    hidden = {"authorization", "proxy-authorization", "cookie"}
    for name, source in webhook.headers.items():
        found[name.lower()] = (name, _header(name, _render("headers", source, variables).strip()))
    if webhook.username is not None and webhook.password is not None:
        pair = f"{_secret('credentials', webhook.username, secrets)}:{_secret('credentials', webhook.password, secrets)}"
        found["authorization"] = ("Authorization", f"Basic {b64encode(pair.encode()).decode()}")
    for name, key in webhook.secret_headers:
        found.pop(name.lower(), None)
        found[name.lower()] = (name, _header(name, _secret("credentials", key, secrets).strip()))
        hidden.add(name.lower())
    return tuple(found.values()), frozenset(hidden)


def _header(name: str, value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise _Failure("headers", f"the value of {name} holds a line break or a character beyond Latin-1")
    return value


def _secret(field: str, key: SecretKey, secrets: Mapping[SecretKey, str]) -> str:
    value = secrets.get(key, "")
    if not value:
        raise _Failure(field, f"Secret {key.namespace}/{key.name} has no value for key {key.key}")
    return value


def _body(
    webhook: WebhookFragment, data: Mapping[str, Any], variables: Variables, now: Micros
) -> tuple[bytes | None, str]:
    """Values inside quotes cannot end them: they are escaped as JSON before they are put there (alert-flow R-WHK-17).

    A body that writes its own JSON with `tojson` gets them as they are, else they would be escaped twice.
    """
    if webhook.method not in _WITH_BODY:
        return None, ""
    if webhook.body is None:
        return _bounded(json.dumps(data, ensure_ascii=False, default=str)), JSON
    if not _QUOTES_ITSELF.search(webhook.body.text):
        variables = _variables({key: _escaped(value) for key, value in data.items()}, now)
    text = _render("body", webhook.body, variables)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return _bounded(text), TEXT
    return _bounded(text), JSON


def _bounded(text: str) -> bytes:
    body = text.encode("utf-8", "replace")
    if len(body) > BODY_LIMIT:
        raise _Failure("body", f"the body is larger than {BODY_LIMIT:,} bytes")
    return body


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)[1:-1]
    if isinstance(value, dict):
        return {key: _escaped(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_escaped(child) for child in value]
    return value
