"""Trying a template without declaring it (alert-flow R-DEM-6): the text it gives, or the error in words, both with 200."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web
from sqlalchemy import Connection

from tocsin.api.common import Identity
from tocsin.console.api.context import (
    Document,
    answer,
    bad_request,
    context_of,
    json_object,
    missing,
)
from tocsin.flow.model import Micros, TemplateText
from tocsin.flow.program import IntegrationProgram
from tocsin.flow.templates import TemplateProblem, Variables, is_true, parse
from tocsin.store import alerts, groups

KNOWN = frozenset(
    {"template", "slot", "payload", "alert_id", "alert_group_id", "integration", "labels", "delimiters"}
)
LONGEST_TEMPLATE = 50_000


async def preview(request: web.Request) -> web.Response:
    """`template` over `payload` (or that of an alert, or of a group's first alert).

    With `integration` the labels are those that it would compute, so that a preview sees what the real run sees;
    `labels` replaces them.
    """
    body = await json_object(request, known=KNOWN)
    template = _template(body)
    context = context_of(request)
    integration = _integration(body, context.live.program.integrations)
    payload = await _payload(request, body)
    now = context.now()
    labels = _labels(body, integration, payload, now)
    extra = {"integration_name": integration.evaluator.name} if integration is not None else {}
    variables = Variables(payload=payload, labels=labels, now=now, extra=extra)
    return answer(await asyncio.to_thread(_render, template, variables))


def _render(template: TemplateText, variables: Variables) -> Document:
    try:
        text = parse(template).render(variables)
    except TemplateProblem as problem:
        return {
            "preview": None,
            "is_error": True,
            "error": {
                "kind": problem.kind,
                "message": problem.message,
                "line": problem.line,
                "column": problem.column,
            },
            "notes": list(dict.fromkeys(variables.notes)),
        }
    return {
        "preview": text,
        "is_error": False,
        "is_true": is_true(text),
        "is_valid_json_object": _is_object(text),
        "notes": list(dict.fromkeys(variables.notes)),
    }


def _is_object(text: str) -> bool:
    try:
        return isinstance(msgspec.json.decode(text.encode()), dict)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False


def _template(body: Mapping[str, Any]) -> TemplateText:
    text, slot = body.get("template"), body.get("slot", "")
    if not isinstance(text, str) or len(text) > LONGEST_TEMPLATE:
        raise bad_request(f"a text of at most {LONGEST_TEMPLATE} characters", field="template")
    if not isinstance(slot, str):
        raise bad_request("the name of a slot, such as groupingId", field="slot")
    delimiters = body.get("delimiters", ["{{", "}}"])
    if (
        not isinstance(delimiters, list)
        or len(delimiters) != 2
        or not all(isinstance(d, str) and 2 <= len(d) <= 4 for d in delimiters)
    ):
        raise bad_request('two texts, such as ["[[", "]]"]', field="delimiters")
    return TemplateText(
        text=text, delimiters=(delimiters[0], delimiters[1]), origin=f"preview {slot}".strip()
    )


def _integration(
    body: Mapping[str, Any], known: Mapping[Identity, IntegrationProgram]
) -> IntegrationProgram | None:
    name = body.get("integration")
    if name is None:
        return None
    if not isinstance(name, str) or name.count("/") != 1:
        raise bad_request("an Integration is named namespace/name", field="integration")
    found = known.get(Identity("Integration", *name.split("/")))
    if found is None:
        raise missing(f"Integration {name[:200]}")
    return found


async def _payload(request: web.Request, body: Mapping[str, Any]) -> Any:
    given = [name for name in ("payload", "alert_id", "alert_group_id") if body.get(name) is not None]
    if len(given) != 1:
        raise bad_request("give exactly one of payload, alert_id and alert_group_id", field="payload")
    (source,) = given
    value = body[source]
    if source == "payload":
        return value
    if not isinstance(value, str):
        raise bad_request("give an id", field=source)

    def read(connection: Connection) -> bytes | None:
        if source == "alert_id":
            alert = alerts.get_by_public_id(connection, value)
        else:
            group = groups.get_by_public_id(connection, value)
            alert = None if group is None else alerts.first(connection, group.number)
        return None if alert is None else alerts.payload_of(connection, alert.id)

    stored = await context_of(request).store.read(read)
    if stored is None:
        raise missing(f"payload of {value[:24]}")
    return msgspec.json.decode(stored)


def _labels(
    body: Mapping[str, Any], integration: IntegrationProgram | None, payload: Any, now: Micros
) -> Mapping[str, str]:
    labels = body.get("labels")
    if labels is None:
        return {} if integration is None else integration.evaluate(payload, now).labels
    if not isinstance(labels, dict) or not all(isinstance(v, str) for v in labels.values()):
        raise bad_request("an object of texts", field="labels")
    return labels
