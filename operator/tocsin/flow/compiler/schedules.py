"""OnCallSchedule: its layers, overrides and calendar, and whether somebody is on call all the time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zlib import crc32

import msgspec

from tocsin.api.conditions import Hint, Reason
from tocsin.api.durations import DAY, MINUTE
from tocsin.api.oncallschedule import ICal, Layer, OnCallScheduleSpec, Override, Participants
from tocsin.flow import oncall
from tocsin.flow.compiler.findings import checked_duration, checked_zone, did_you_mean
from tocsin.flow.compiler.references import Scope, check_team, reach_all, secret
from tocsin.flow.model import CalendarFragment, Micros, ResponderFragment, ScheduleFragment
from tocsin.flow.schedule import InvalidSchedule
from tocsin.flow.zones import load_zone, wall_time

_REFRESH = (MINUTE, 7 * DAY)
_DEFAULT_REFRESH = 10 * MINUTE
_LOOKED_AHEAD = 14 * DAY

replace = msgspec.structs.replace


def schedule_of(spec: OnCallScheduleSpec, scope: Scope) -> ScheduleFragment:
    """What cannot be read is left out: the rest of the schedule holds."""
    zone = checked_zone(spec.time_zone, "spec.timeZone", scope.findings, ", so UTC is used") or "UTC"
    check_team(spec.team, scope)
    return ScheduleFragment(
        namespace=scope.owner.namespace,
        name=scope.owner.name,
        time_zone=zone,
        team=spec.team,
        layers=tuple(_layers(spec.layers, scope)),
        overrides=tuple(_overrides(spec.overrides, zone, scope)),
        calendar=None if spec.ical is None else _calendar(spec.ical, scope),
    )


def check_gaps(fragment: ScheduleFragment, now: Micros, scope: Scope) -> Micros | None:
    """Warns of times without anybody within the next two weeks. The result: when the answer may be another one.

    Of a schedule with a calendar nothing is said: the compiler does not see the calendar, or not as it is later. Nor
    of one that names people who are not there: that is said already.
    """
    people = {f"{at.namespace}/{at.name}": _present(at.namespace, at.name) for at in scope.reached}
    if fragment.calendar is not None or not fragment.layers or not _named(fragment) <= people.keys():
        return None
    today = _day_of(scope, now)
    gaps = oncall.gaps(fragment, people, None, today, Micros(today + _LOOKED_AHEAD))
    if gaps:
        when = _when(gaps, Micros(today + _LOOKED_AHEAD), fragment)
        message = f"nobody is on call {when}: a step that asks this schedule then tells nobody"
        scope.findings.warn("spec.layers", Hint.ON_CALL_GAP, message)
    return Micros(today + DAY)


def _named(fragment: ScheduleFragment) -> set[str]:
    refs = [ref for layer in fragment.layers for turn in layer.participants for ref in turn.responder_refs]
    refs += [ref for override in fragment.overrides for ref in override.responder_refs]
    return {f"{ref.namespace}/{ref.name}" for ref in refs}


def _when(gaps: Sequence[tuple[Micros, Micros]], end: Micros, fragment: ScheduleFragment) -> str:
    """One gap of several is enough; one that goes on beyond the two weeks has no end here."""
    since, until = gaps[1] if len(gaps) > 1 else gaps[0]
    more = "" if len(gaps) == 1 else f" (and {len(gaps) - 1} times more within two weeks)"
    return f"from {_local(since, fragment)}{'' if until == end else f' to {_local(until, fragment)}'}{more}"


def _day_of(scope: Scope, now: Micros) -> Micros:
    """The start of a day of 24 hours: another moment for each schedule, lest all are looked at in one second."""
    offset = crc32(str(scope.owner).encode()) * 1_000_000 % DAY
    return Micros(now - (now - offset) % DAY)


def _present(namespace: str, name: str) -> ResponderFragment:
    return ResponderFragment(namespace=namespace, name=name, display_name=name, username=name)


def _local(moment: Micros, fragment: ScheduleFragment) -> str:
    wall = wall_time(moment, load_zone(fragment.time_zone))
    return f"{wall.isoformat(timespec='minutes')} {fragment.time_zone}"


def _layers(layers: tuple[Layer, ...], scope: Scope) -> Iterable[Layer]:
    for index, layer in enumerate(layers):
        field = f"spec.layers[{index}]"
        participants = tuple(
            _turn(turn, f"{field}.participants[{number}].responderRefs", scope)
            for number, turn in enumerate(layer.participants)
        )
        try:
            oncall.check_layer(layer)
        except InvalidSchedule as problem:
            _left_out(problem, field, f"layer {layer.name} is left out", scope)
        else:
            yield replace(layer, participants=participants)


def _turn(turn: Participants, field: str, scope: Scope) -> Participants:
    reached = reach_all(turn.responder_refs, "Responder", field, scope)
    return replace(turn, responder_refs=tuple(found.ref for found in reached))


def _overrides(overrides: tuple[Override, ...], zone: str, scope: Scope) -> Iterable[Override]:
    for index, override in enumerate(overrides):
        field = f"spec.overrides[{index}]"
        reached = reach_all(override.responder_refs, "Responder", f"{field}.responderRefs", scope)
        try:
            oncall.check_override(override, load_zone(zone))
        except InvalidSchedule as problem:
            _left_out(problem, field, "this override is left out", scope)
        else:
            yield replace(override, responder_refs=tuple(found.ref for found in reached))


def _left_out(problem: InvalidSchedule, field: str, consequence: str, scope: Scope) -> None:
    message = f"{problem.message}; {consequence}"
    scope.findings.error(f"{field}.{problem.field}", Reason.INVALID_SCHEDULE, message)


def _calendar(ical: ICal, scope: Scope) -> CalendarFragment:
    refresh = checked_duration(ical.refresh, "spec.ical.refresh", _REFRESH, scope.findings)
    url_secret = None
    if ical.url_secret_ref is not None:
        url_secret = secret(ical.url_secret_ref, "spec.ical.urlSecretRef", scope, "the calendar is empty")
    return CalendarFragment(
        url=ical.url or "",
        url_secret=url_secret,
        text=_text(ical, scope),
        refresh=refresh or _DEFAULT_REFRESH,
    )


def _text(ical: ICal, scope: Scope) -> str:
    """The calendar of a ConfigMap; what cannot be read is as if empty, with a finding."""
    ref, namespace = ical.config_map_key_ref, scope.owner.namespace
    if ref is None:
        return ""
    data = scope.reader.config_map(namespace, ref.name)
    text = "" if data is None else data.get(ref.key, "")
    field = "spec.ical.configMapKeyRef"
    if not text:
        missing, hint = f"ConfigMap {ref.name} is not in namespace {namespace}", ""
        if data is not None:
            missing = f"ConfigMap {ref.name} has no text under key {ref.key!r}"
            hint = did_you_mean(ref.key, data)
        scope.findings.error(field, Reason.REF_NOT_FOUND, f"{missing}, so the calendar is empty{hint}")
        return ""
    try:
        for skipped in oncall.parse(text).skipped:
            scope.findings.warn(field, Reason.INVALID_SCHEDULE, f"left out of the calendar: {skipped}")
    except oncall.InvalidCalendar as problem:
        scope.findings.error(
            field, Reason.INVALID_SCHEDULE, f"{problem}; the calendar is empty until it is mended"
        )
    return text
