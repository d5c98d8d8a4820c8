"""MaintenanceWindow: its schedule, whether it ever opens, and what it is for."""

from __future__ import annotations

from datetime import date, datetime

from tocsin.api.common import Identity
from tocsin.api.conditions import Hint, Reason
from tocsin.api.durations import DAY, SECOND, parse_duration
from tocsin.api.maintenancewindow import MaintenanceWindow, MaintenanceWindowSpec
from tocsin.api.maintenancewindow import Schedule as ScheduleSpec
from tocsin.flow.compiler.findings import Findings, checked_duration
from tocsin.flow.compiler.local import Local, accepted_reason
from tocsin.flow.compiler.texts import check_matchers
from tocsin.flow.model import Micros, WindowFragment
from tocsin.flow.schedule import HORIZON, InvalidSchedule, Schedule, normalize_start, parse_exception

SCHEDULE_FIELD = "spec.schedule"
_LONGEST_NOTICE = 31 * DAY


def compile_window(identity: Identity, window: MaintenanceWindow, now: Micros) -> Local:
    """A schedule that cannot be read refuses the whole window: open at the wrong time would be worse than closed."""
    spec, findings = window.spec, Findings()
    try:
        fragment = _fragment(identity, spec, findings)
        schedule = Schedule(fragment)
    except InvalidSchedule as problem:
        findings.error(f"{SCHEDULE_FIELD}.{problem.field}", Reason.INVALID_SCHEDULE, problem.message)
        return Local(reason=Reason.INVALID_SCHEDULE, findings=findings.done())
    check_matchers(fragment.matchers, "spec.matchLabels", findings)
    _check_exceptions(spec.schedule, schedule, findings)
    recheck = _check_opening(spec.schedule, schedule, now, findings)
    return Local(
        fragment=fragment,
        reason=accepted_reason(suspend=spec.suspend),
        findings=findings.done(),
        recheck=recheck,
    )


def _fragment(identity: Identity, spec: MaintenanceWindowSpec, findings: Findings) -> WindowFragment:
    schedule, announce = spec.schedule, spec.announce
    start, zone = normalize_start(schedule.start, schedule.time_zone, recurring=bool(schedule.recurrence))
    return WindowFragment(
        namespace=identity.namespace,
        name=identity.name,
        mode=spec.mode.value,
        start=start,
        duration=_duration(schedule.duration),
        time_zone=zone,
        recurrence=schedule.recurrence,
        exceptions=schedule.exceptions,
        matchers=spec.match_labels,
        on_end=spec.on_end.value,
        announce_at_start=announce is not None and announce.at_start,
        announce_at_end=announce is not None and announce.at_end,
        announce_before=_notices(spec, findings),
    )


def _duration(text: str) -> int:
    try:
        return parse_duration(text)
    except ValueError as problem:
        raise InvalidSchedule("duration", str(problem)) from None


def _notices(spec: MaintenanceWindowSpec, findings: Findings) -> tuple[int, ...]:
    """How long before the start to announce, longest first, each once."""
    found: set[int] = set()
    for index, text in enumerate(() if spec.announce is None else spec.announce.before):
        field = f"spec.announce.before[{index}]"
        micros = checked_duration(text, field, (SECOND, _LONGEST_NOTICE), findings)
        if micros is not None:
            found.add(micros)
    return tuple(sorted(found, reverse=True))


def _check_exceptions(spec: ScheduleSpec, schedule: Schedule, findings: Findings) -> None:
    for index, text in enumerate(spec.exceptions):
        exception = parse_exception("", text)
        is_moment = isinstance(exception, datetime)
        day: date = exception.date() if isinstance(exception, datetime) else exception
        if not schedule.starts_on(day) or (is_moment and exception != schedule.nominal_start(day)):
            findings.warn(
                f"{SCHEDULE_FIELD}.exceptions[{index}]",
                Hint.UNUSED_EXCEPTION,
                f"no occurrence starts on {text}: the window opens as if this exception were not there",
            )


def _check_opening(spec: ScheduleSpec, schedule: Schedule, now: Micros, findings: Findings) -> Micros | None:
    """Warns of a window with nothing ahead. The result says when the answer may be another one.

    What is ahead is counted from the start of the day in UTC, so that the answer changes at most once a day.
    """
    today = Micros(now - now % DAY)
    ahead = schedule.occurrence_at(now) or schedule.next_occurrence(now)
    if ahead is not None and ahead.start <= today + HORIZON:
        return ahead.end
    if spec.recurrence:
        message = "the recurrence has no occurrence within two years from now"
    else:
        message = "the window is over"
    findings.warn(
        SCHEDULE_FIELD,
        Hint.NEVER_OPENS,
        f"{message}, so it never opens again; remove it or change its schedule",
    )
    return Micros(today + DAY) if spec.recurrence else None
