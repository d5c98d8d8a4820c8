"""One run of a webhook: the request, what came of it, and what is written about it (alert-flow 13.4)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Connection

from tocsin.api.outgoingwebhook import Trigger
from tocsin.dispatch.clock import SECOND
from tocsin.dispatch.triggers import WebhookOrder
from tocsin.flow.groups import Entry, LogKind
from tocsin.flow.model import Micros, SecretKey, WebhookFragment
from tocsin.flow.webhooks import MASK, Failed, Request, Skipped, webhook_request
from tocsin.notify.calls import retry_after
from tocsin.notify.client import Answer, Cause, FetchFailed, HttpClient
from tocsin.store import deliveries, logbook, webhookruns
from tocsin.store.deliveries import Delivery, DeliveryState, Outcome
from tocsin.store.webhookruns import WebhookRun

TRIES = 4
"""One, and up to three more (alert-flow R-WHK-19)."""

PAUSE = 10 * SECOND
LONGEST_PAUSE = 300 * SECOND
RESPONSE_LIMIT = 50_000
REQUEST_LIMIT = 50_000
KEPT = 200
"""Runs of one webhook that are kept."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """How a run went. `dropped`: there was nothing to run it for. `skipped`: what the condition rendered to.

    `failed`: the part that could not be rendered. `retry`: microseconds until the next try makes sense, None never.
    `secrets` are masked wherever they show up.
    """

    request: Request | None = None
    answer: Answer | None = None
    failed: Failed | None = None
    skipped: str | None = None
    dropped: str = ""
    error: str = ""
    retry: int | None = None
    hidden_url: bool = False
    secrets: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return self.answer is not None and self.answer.ok

    @property
    def problem(self) -> str:
        """In words for people, "" if all is well."""
        if self.failed is not None:
            return f"{self.failed.field}: {self.failed.message}"
        if self.error or self.ok or self.answer is None:
            return self.error
        return f"the answer was {self.answer.status}"


async def attempt(  # noqa: PLR0913 - a request has that many parts
    webhook: WebhookFragment,
    document: Mapping[str, Any],
    values: Mapping[SecretKey, str],
    now: Micros,
    http: HttpClient,
    *,
    key: str,
    own_url: str = "",
) -> Attempt:
    """Renders and sends. Never raises for content or network."""
    made = webhook_request(webhook, document, values, now)
    hidden = webhook.url_secret is not None
    base = Attempt(hidden_url=hidden, secrets=tuple(filter(None, values.values())))
    if isinstance(made, Skipped):
        return replace(base, skipped=made.result)
    if isinstance(made, Failed):
        return replace(base, failed=made)
    if own_url and made.url.startswith(own_url):
        return replace(base, failed=Failed(field="url", message="it leads to Tocsin itself"))
    headers = dict(made.headers)
    if not any(name.lower() == "idempotency-key" for name in headers):
        headers["Idempotency-Key"] = key
    try:
        answer = await http.exchange(
            made.method, made.url, body=made.body, headers=headers, timeout=webhook.timeout / SECOND
        )
    except FetchFailed as error:
        retry = PAUSE if error.cause in (Cause.TIMEOUT, Cause.OTHER) and not _is_tls(error) else None
        return replace(base, request=made, error=str(error), retry=retry)
    return replace(base, request=made, answer=answer, retry=_pause(answer))


def not_there(run: Delivery) -> Attempt:
    return Attempt(
        failed=Failed(field="webhook", message=f"there is no OutgoingWebhook {run.channel} (any more)")
    )


def record(connection: Connection, run: Delivery, order: WebhookOrder, made: Attempt, now: Micros) -> None:
    """The run, its entry in the group's log, and whether it is tried again. What the condition skips leaves no trace
    on the group.
    """
    again = made.retry is not None and run.attempts < TRIES
    state = DeliveryState.DELIVERED if made.ok else DeliveryState.FAILED
    if made.dropped or made.skipped is not None:
        state = DeliveryState.DROPPED
    if again:
        state = DeliveryState.PENDING
    reason = made.dropped or ("the condition does not hold" if made.skipped is not None else "")
    outcome = Outcome(
        id=run.id,
        attempts=run.attempts,
        state=state,
        at=now,
        reason=reason,
        error=_masked(made, made.problem),
        retry_at=Micros(now + (made.retry or 0)) if again else None,
    )
    if run.id not in deliveries.record(connection, [outcome]) or run.group is None or made.dropped:
        return
    webhookruns.add(connection, _row(run, order, made, now))
    webhookruns.prune(connection, run.channel, KEPT)
    if made.skipped is None:
        logbook.append(connection, run.group, [_entry(run, made, now)])


def _row(run: Delivery, order: WebhookOrder, made: Attempt, now: Micros) -> WebhookRun:
    assert run.group is not None
    base = WebhookRun(
        group=run.group,
        webhook=run.channel,
        event=order.event.value,
        at=now,
        ok=made.ok or made.skipped is not None,
        error=_masked(made, made.problem),
        field=made.failed.field if made.failed is not None else "",
    )
    if made.skipped is not None:
        return replace(base, field="condition", response=f"not run: the condition gave {made.skipped!r}")
    if made.request is None:
        return base
    request, answer = made.request, made.answer
    return replace(
        base,
        url=_shown_url(request.url) if made.hidden_url else _masked(made, request.url),
        method=request.method,
        headers=_masked(made, json.dumps(request.shown_headers())),
        request=_masked(made, (request.body or b"").decode("utf-8", "replace"))[:REQUEST_LIMIT],
        status=0 if answer is None else answer.status,
        response="" if answer is None else _masked(made, _content(answer)),
    )


def _content(answer: Answer) -> str:
    if answer.truncated or len(answer.body) > RESPONSE_LIMIT:
        return f"the answer is larger than {RESPONSE_LIMIT:,} bytes and was not kept"
    return answer.body.decode("utf-8", "replace")


def _entry(run: Delivery, made: Attempt, now: Micros) -> Entry:
    details = (("webhook", run.channel), ("attempt", str(run.attempts)))
    if made.answer is not None:
        return Entry(kind=LogKind.WEBHOOK_TRIGGERED, at=now, reason=str(made.answer.status), details=details)
    reason = _masked(made, made.problem)
    return Entry(kind=LogKind.ESCALATION_FAILED, at=now, reason=reason, details=details)


def _pause(answer: Answer) -> int | None:
    """Overload heals by itself; all other answers are final (alert-flow R-WHK-19 is stricter)."""
    if answer.status != 429 and answer.status < 500:
        return None
    wanted = retry_after(answer)
    return PAUSE if wanted is None else min(int(wanted * SECOND), LONGEST_PAUSE)


def _masked(made: Attempt, text: str) -> str:
    for secret in made.secrets:
        text = text.replace(secret, MASK)
    return text


def _shown_url(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}/{MASK}"


def _is_tls(error: FetchFailed) -> bool:
    return "certificate" in str(error)


class Meters:
    """`tocsin_webhook_runs_total`: by trigger and outcome, both from short lists."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._runs = Counter(
            "tocsin_webhook_runs_total",
            "Tries of outgoing webhooks. outcome: success, refused (an answer other than 2xx), failed, skipped, dropped.",
            ["trigger", "outcome"],
            registry=registry,
        )

    def ran(self, trigger: Trigger, made: Attempt) -> None:
        self._runs.labels(trigger.value, _outcome(made)).inc()


def _outcome(made: Attempt) -> str:
    if made.dropped:
        return "dropped"
    if made.skipped is not None:
        return "skipped"
    if made.answer is None:
        return "failed"
    return "success" if made.ok else "refused"
