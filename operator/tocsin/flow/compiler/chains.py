"""EscalationChain: its steps, with every reference followed."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tocsin.api.conditions import Hint, Reason
from tocsin.api.durations import DAY, MINUTE, SECOND
from tocsin.api.escalationchain import (
    AcknowledgeReminder,
    EscalationChainSpec,
    OnCallStep,
    RespondersStep,
    Step,
)
from tocsin.flow.compiler.findings import Findings, checked_duration, checked_zone
from tocsin.flow.compiler.references import Scope, check_team, reach, reach_all, reach_place
from tocsin.flow.model import ChainFragment

WAIT = (SECOND, DAY)
_WITHIN = (SECOND, DAY)
_REMINDER = (10 * MINUTE, 7 * DAY)
"""At most one reminder a group in 10 minutes (alert-flow R-ACK-6)."""

replace = msgspec.structs.replace


def chain_of(spec: EscalationChainSpec, scope: Scope) -> ChainFragment:
    """A step that cannot work stays where it is and is told of in `broken`; the steps after it run."""
    steps: list[Step] = []
    broken: list[tuple[int, str]] = []
    for index, step in enumerate(spec.steps):
        mine = Findings()
        steps.append(
            _step(step, f"spec.steps[{index}]", Scope(scope.owner, scope.reader, mine, scope.reached))
        )
        scope.findings.add(mine.done())
        broken += [(index, _to_log(index, problem)) for problem in _breaking(mine)][:1]
    _hint(spec.steps, scope.findings)
    check_team(spec.team, scope)
    every, unacknowledge_after = _reminder(spec.acknowledge_reminder, scope.findings)
    return ChainFragment(
        namespace=scope.owner.namespace,
        name=scope.owner.name,
        steps=tuple(steps),
        broken=tuple(broken),
        team=spec.team,
        remind_every=every,
        unacknowledge_after=unacknowledge_after,
    )


def _step(step: Step, field: str, scope: Scope) -> Step:
    """The step with the namespace in every reference."""
    findings = scope.findings
    if step.wait is not None:
        checked_duration(step.wait.duration, f"{field}.wait.duration", WAIT, findings)
    if step.continue_if_more_alerts is not None:
        within = step.continue_if_more_alerts.within
        checked_duration(within, f"{field}.continueIfMoreAlerts.within", _WITHIN, findings)
    if step.continue_in_time_window is not None:
        zone = step.continue_in_time_window.time_zone
        checked_zone(zone, f"{field}.continueInTimeWindow.timeZone", findings)
    if step.notify_team is not None:
        _check_team_step(step.notify_team.name, f"{field}.notifyTeam.name", scope)
    if step.notify_responders is not None:
        told = _people(step.notify_responders, f"{field}.notifyResponders", scope)
        return replace(step, notify_responders=told)
    if step.notify_next_responder is not None:
        told = _people(step.notify_next_responder, f"{field}.notifyNextResponder", scope)
        return replace(step, notify_next_responder=told)
    if step.notify_on_call is not None:
        return replace(step, notify_on_call=_on_call(step.notify_on_call, field, scope))
    if step.notify_channel is not None:
        reached = reach_place(step.notify_channel.channel_ref, f"{field}.notifyChannel.channelRef", scope)
        return replace(step, notify_channel=replace(step.notify_channel, channel_ref=reached.ref))
    if step.trigger_webhook is not None:
        ref = step.trigger_webhook.webhook_ref
        webhook = reach(ref, "OutgoingWebhook", f"{field}.triggerWebhook.webhookRef", scope)
        return replace(step, trigger_webhook=replace(step.trigger_webhook, webhook_ref=webhook.ref))
    return step


def _people(step: RespondersStep, field: str, scope: Scope) -> RespondersStep:
    reached = reach_all(step.responder_refs, "Responder", f"{field}.responderRefs", scope)
    return replace(step, responder_refs=tuple(found.ref for found in reached))


def _on_call(step: OnCallStep, field: str, scope: Scope) -> OnCallStep:
    schedule = reach(step.schedule_ref, "OnCallSchedule", f"{field}.notifyOnCall.scheduleRef", scope)
    return replace(step, schedule_ref=schedule.ref)


def _check_team_step(team: str, field: str, scope: Scope) -> None:
    namespace, reader = scope.owner.namespace, scope.reader
    if not reader.has_team(namespace, team):
        hint = reader.team_hint(namespace, team) or ""
        message = f"no Responder of namespace {namespace} is in team {team!r}{hint}"
        scope.findings.error(field, Reason.REF_NOT_FOUND, message)


def _breaking(findings: Findings) -> Iterator[str]:
    """What keeps a step from working. A reference that leads nowhere does not: that is seen when the step runs."""
    for finding in findings.done():
        if finding.reason in (Reason.INVALID_VALUE, Reason.REF_UNSUITABLE):
            yield finding.message


def _to_log(index: int, problem: str) -> str:
    return f"step {index + 1} cannot be carried out: {problem}"


def _hint(steps: tuple[Step, ...], findings: Findings) -> None:
    """Orders of steps that are hardly meant."""
    for index, step in enumerate(steps):
        if step.resolve is not None and index + 1 < len(steps):
            findings.warn(
                f"spec.steps[{index + 1}]",
                Hint.UNREACHABLE_STEP,
                f"never runs, because spec.steps[{index}] resolves the group, which ends the escalation",
            )
            return
        if step.repeat is not None and not any(_holds_up(earlier) for earlier in steps[:index]):
            findings.warn(
                f"spec.steps[{index}].repeat",
                Hint.REPEATS_WITHOUT_WAIT,
                f"the steps before it are repeated {step.repeat.times} times, a minute apart, because none of them "
                "waits: put a wait before it",
            )


def _holds_up(step: Step) -> bool:
    return (
        step.wait is not None
        or step.continue_in_time_window is not None
        or step.continue_if_more_alerts is not None
    )


def _reminder(reminder: AcknowledgeReminder | None, findings: Findings) -> tuple[int, int]:
    """`every` and `unacknowledgeAfter` in microseconds, 0 for never."""
    if reminder is None:
        return 0, 0
    field = "spec.acknowledgeReminder"
    every = checked_duration(reminder.every, f"{field}.every", _REMINDER, findings)
    if every is None or reminder.unacknowledge_after is None:
        return every or 0, 0
    bounds = (MINUTE, every)
    after = checked_duration(reminder.unacknowledge_after, f"{field}.unacknowledgeAfter", bounds, findings)
    return every, after or 0
