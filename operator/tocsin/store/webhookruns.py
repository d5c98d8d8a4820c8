"""What outgoing webhooks did: each try with what was sent and what came back, secrets masked by the writer."""

from __future__ import annotations

import msgspec
from sqlalchemy import Connection, RowMapping, delete, func, select

from tocsin.flow.model import Micros
from tocsin.store.tables import webhook_run
from tocsin.store.text import clean


class WebhookRun(msgspec.Struct, frozen=True, kw_only=True):
    """One try. `webhook` is `namespace/name`, `event` a trigger. `status` 0: no answer.

    `field` is the part of the webhook that failed (`url`, `headers`, `body`, `condition`), empty if none did.
    """

    group: int
    webhook: str
    event: str
    at: Micros
    url: str = ""
    method: str = ""
    status: int = 0
    ok: bool = False
    headers: str = ""
    request: str = ""
    response: str = ""
    error: str = ""
    field: str = ""
    id: int = 0


def add(connection: Connection, run: WebhookRun) -> int:
    """The number of the run."""
    texts = ("url", "method", "headers", "request", "response", "error", "field")
    values: dict[str, object] = {name: clean(getattr(run, name)) for name in texts}
    values |= {
        "group_id": run.group,
        "webhook": run.webhook,
        "event": run.event,
        "at": run.at,
        "status": run.status,
        "ok": run.ok,
    }
    made = connection.execute(webhook_run.insert().values(values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def list_runs(
    connection: Connection,
    *,
    group: int | None = None,
    webhook: str = "",
    before: int | None = None,
    limit: int = 100,
) -> tuple[WebhookRun, ...]:
    """Latest first, of a group or of a webhook; `before` is the id of the last one already seen."""
    wanted = select(webhook_run).order_by(webhook_run.c.id.desc()).limit(limit)
    if group is not None:
        wanted = wanted.where(webhook_run.c.group_id == group)
    if webhook:
        wanted = wanted.where(webhook_run.c.webhook == webhook)
    if before is not None:
        wanted = wanted.where(webhook_run.c.id < before)
    return tuple(_run(row) for row in connection.execute(wanted).mappings())


def latest(connection: Connection, webhook: str) -> WebhookRun | None:
    """The last run of a webhook, for its status."""
    runs = list_runs(connection, webhook=webhook, limit=1)
    return runs[0] if runs else None


class WebhookState(msgspec.Struct, frozen=True, kw_only=True):
    """How a webhook does. `error` and `status` are those of the last run; `failing_since` None: it was a success."""

    webhook: str
    last_run: Micros
    status: int
    error: str
    failing_since: Micros | None


def states(connection: Connection) -> tuple[WebhookState, ...]:
    """Of every webhook that ran, by name: for statuses."""
    newest = select(func.max(webhook_run.c.id)).group_by(webhook_run.c.webhook)
    rows = connection.execute(
        select(webhook_run).where(webhook_run.c.id.in_(newest)).order_by(webhook_run.c.webhook)
    ).mappings()
    return tuple(
        WebhookState(
            webhook=row["webhook"],
            last_run=row["at"],
            status=row["status"],
            error=row["error"],
            failing_since=None if row["ok"] else _failing_since(connection, row["webhook"]),
        )
        for row in rows
    )


def _failing_since(connection: Connection, webhook: str) -> Micros | None:
    """The first failure after the last success."""
    mine = webhook_run.c.webhook == webhook
    success = select(func.max(webhook_run.c.id)).where(mine, webhook_run.c.ok).scalar_subquery()
    first = connection.scalar(
        select(func.min(webhook_run.c.at)).where(mine, webhook_run.c.id > func.coalesce(success, 0))
    )
    return None if first is None else Micros(first)


def latest_responses(connection: Connection, group: int, *, without: str = "") -> dict[str, str]:
    """Webhook -> what it answered last for this group, except `without` (alert-flow R-WHK-11, `responses`)."""
    newest = (
        select(func.max(webhook_run.c.id))
        .where(webhook_run.c.group_id == group, webhook_run.c.webhook != without, webhook_run.c.status != 0)
        .group_by(webhook_run.c.webhook)
    )
    rows = connection.execute(
        select(webhook_run.c.webhook, webhook_run.c.response)
        .where(webhook_run.c.id.in_(newest))
        .order_by(webhook_run.c.webhook)
    )
    return {row.webhook: row.response for row in rows}


def prune(connection: Connection, webhook: str, keep: int) -> int:
    """Forget all but the last `keep` runs of a webhook; how many."""
    oldest = connection.scalar(
        select(webhook_run.c.id)
        .where(webhook_run.c.webhook == webhook)
        .order_by(webhook_run.c.id.desc())
        .offset(keep)
        .limit(1)
    )
    if oldest is None:
        return 0
    done = connection.execute(
        delete(webhook_run).where(webhook_run.c.webhook == webhook, webhook_run.c.id <= oldest)
    )
    return done.rowcount


def _run(row: RowMapping) -> WebhookRun:
    values = {name: row[name] for name in WebhookRun.__struct_fields__ if name != "group"}
    return WebhookRun(group=row["group_id"], **values)
