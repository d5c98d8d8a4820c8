"""The alerts that a heartbeat makes: one when it goes missing, one when it is back.

They do not go through the user's behaviour templates, which know nothing of heartbeats: title and text are the
heartbeat's own, each outage has a grouping id of its own, and its return resolves exactly that group. They do go
through the routes, unless the heartbeat names one.

Payload, for routes and for what is stored:

    alert_uid                      heartbeat of the outage: equal in both alerts, another in the next outage
    title, message                 as shown
    state                          alerting, then ok
    status                         firing, then resolved
    is_oncall_heartbeat            true
    is_oncall_heartbeat_restored   false, then true
    heartbeat.integration          namespace/name
    heartbeat.interval             for example 10m
    heartbeat.interval_seconds
    heartbeat.last_seen            RFC 3339 in UTC, null if there never was one
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from tocsin.flow.decision import Decision, Grouping, Outcome, TemplateError
from tocsin.flow.evaluator import NOTHING, TITLE_LIMIT
from tocsin.flow.labels import MOST_LABELS
from tocsin.flow.model import DEFAULT_ROUTE, HeartbeatFragment, Micros, TemplateText
from tocsin.flow.outcome import bounded, shortened
from tocsin.flow.rendering import Prepared, failure_of, render_text
from tocsin.flow.routing import Route, Trial
from tocsin.flow.templates import TemplateProblem, Variables
from tocsin.flow.windows import windows_in_force

if TYPE_CHECKING:
    from tocsin.flow.program import IntegrationProgram

SECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """One silence of one integration. `last_seen` is the last signal before it; None: there never was one.

    `name` tells it from all others of the integration; its beginning and its end have the same.
    """

    last_seen: Micros | None
    name: str
    over: bool = False


def alert(program: IntegrationProgram, now: Micros, outage: Outage) -> tuple[dict[str, Any], Decision]:
    """Payload and decision of the alert that opens (or, when over, resolves) an outage. Pure, never raises."""
    errors: list[TemplateError] = []
    fragment = program.fragment
    beat = fragment.heartbeat or HeartbeatFragment(interval=0)
    payload = _payload(program, beat, outage)
    payload["title"], payload["message"] = _texts(program, beat, Variables(payload=payload, now=now), errors)
    labels = {**program.evaluator.labels.fixed, **dict(beat.labels)}
    trial = Trial(Variables(payload=payload, labels=labels, now=now), errors)
    route = program.heartbeat_route or program.evaluator.routes.choose(trial)
    return payload, _decision(program, trial, route, now)


def _payload(program: IntegrationProgram, beat: HeartbeatFragment, outage: Outage) -> dict[str, Any]:
    fragment = program.fragment
    return {
        "alert_uid": _uid(outage.name),
        "title": "",
        "message": "",
        "state": "ok" if outage.over else "alerting",
        "status": "resolved" if outage.over else "firing",
        "is_oncall_heartbeat": True,
        "is_oncall_heartbeat_restored": outage.over,
        "heartbeat": {
            "integration": f"{fragment.namespace}/{fragment.name}",
            "interval": interval_text(beat.interval),
            "interval_seconds": beat.interval // SECOND,
            "last_seen": None if outage.last_seen is None else moment_text(outage.last_seen),
        },
    }


def _texts(
    program: IntegrationProgram,
    beat: HeartbeatFragment,
    variables: Variables,
    errors: list[TemplateError],
) -> tuple[str, str]:
    """Title and message: the heartbeat's templates while it is missing, fixed words when it is back."""
    facts = variables.payload["heartbeat"]
    who, since, every = facts["integration"], facts["last_seen"] or "never", facts["interval"]
    if variables.payload["is_oncall_heartbeat_restored"]:
        return (
            f"Heartbeat of {who} is back",
            f"{who} sends its heartbeat again. The last one before the outage: {since}. Expected every {every}.",
        )
    variables.extra = {"heartbeat": facts, "integration_name": program.evaluator.name}
    title = _rendered("heartbeat.title", beat.title, variables, errors)
    message = _rendered("heartbeat.message", beat.message, variables, errors)
    return (
        shortened(title or f"Heartbeat of {who} is missing", TITLE_LIMIT),
        message or f"No heartbeat from {who} in time. Last one: {since}. Expected every {every}.",
    )


def _rendered(
    slot: str, source: TemplateText | None, variables: Variables, errors: list[TemplateError]
) -> str:
    """The text of the user's template, or "" where there is none or it failed."""
    if source is None or not source.text:
        return ""
    try:
        text = render_text(Prepared(source), variables).strip()
    except TemplateProblem as problem:
        errors.append(failure_of(slot, problem))
        return ""
    return "" if text in NOTHING else text


def _decision(program: IntegrationProgram, trial: Trial, route: Route | None, now: Micros) -> Decision:
    payload, labels = trial.payload, trial.labels
    evaluator = program.evaluator
    windows = windows_in_force(evaluator.windows, now, labels)
    name = DEFAULT_ROUTE if route is None else route.name
    uid, title, over = payload["alert_uid"], payload["title"], payload["is_oncall_heartbeat_restored"]
    outcome = Outcome(
        route=name,
        title=title,
        grouping_id=uid,
        resolve=over,
        errors=tuple(trial.errors),
        windows=tuple(window.window for window in windows),
    )
    return Decision(
        route=name,
        target=evaluator.default_target if route is None else route.target,
        title=title,
        grouping=Grouping.BY_ID,
        grouping_id=uid,
        grouping_key=_grouping_key(uid),
        acknowledge=False,
        resolve=over,
        source_link="",
        labels=labels,
        kept_labels=tuple(sorted(labels.items())[:MOST_LABELS]),
        windows=windows,
        outcome=bounded(outcome),
    )


def outage_key(name: str) -> bytes:
    """The grouping key of the group that the outage of this name opened."""
    return _grouping_key(_uid(name))


def _uid(name: str) -> str:
    return f"heartbeat {name}"


def _grouping_key(uid: str) -> bytes:
    return hashlib.sha256(b"heartbeat\0" + uid.encode()).digest()


def interval_text(micros: int) -> str:
    """A duration as it is written in YAML: `90s` is 1m30s."""
    seconds = micros // SECOND
    parts = []
    for unit, size in _UNITS:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def moment_text(moment: Micros) -> str:
    """RFC 3339 in UTC, to the second."""
    return (_EPOCH + timedelta(microseconds=moment)).strftime("%Y-%m-%dT%H:%M:%SZ")
